//! What the sources list goes into the staging: begun, taken entry by entry, sealed.

use std::sync::Arc;

use peerstream_recovery::Admitted;
use peerstream_snapshot::{ManifestHasher, SinkError};
use peerstream_types::{Digest, Entry, ManifestHeader};

use super::outlines::Outlines;
use super::source::SourceLink;
use super::task::{JobEvent, Running};

/// The staging did not take the entries.
pub(super) enum NotAdmitted {
    /// Because of what the sources say of them.
    Refused(String),
    /// It has no room, no disk, no place here any more: no fault of theirs.
    Failed(SinkError),
}

impl Running {
    /// Begins the staging over, with one manifest or with several that are joined.
    pub(super) async fn begin(&mut self, header: &ManifestHeader, joined: &[ManifestHeader]) {
        if let Some(task) = self.admitting.take() {
            // What belongs to the listing before must not come after this.
            task.abort();
            let _ = task.await;
        }
        self.outlines = Outlines::default();
        self.sources.values_mut().for_each(SourceLink::end_listing);
        self.listing += 1;
        self.joined = (!joined.is_empty()).then(ManifestHasher::new);
        match self.begin_staging(header, joined).await {
            Ok(refused) if refused.is_empty() => {}
            Ok(refused) => {
                let (places, why): (Vec<usize>, Vec<String>) = refused.into_iter().unzip();
                let now = self.job.shared.clock.now();
                self.recovery.handle_begin_refused(now, &places, &why.join("; "));
            }
            Err(error) => self.store_failed(&error),
        }
    }

    /// Has the staging begin; says which manifests it does not take, by their places, and why. One that has
    /// forgotten a delete which another may have missed goes first: it is the other that is too old then.
    async fn begin_staging(
        &self,
        header: &ManifestHeader,
        joined: &[ManifestHeader],
    ) -> Result<Vec<(usize, String)>, SinkError> {
        let of_base = |other: &ManifestHeader| other.state == header.state;
        let mut first = joined.iter().position(of_base).unwrap_or(0);
        let mut turns = joined.len();
        loop {
            match self.begin_from(header, joined, first).await {
                Err((place, SinkError::BeyondHorizon { .. })) if place != first && turns > 0 => first = place,
                result => return result.map_err(|(_, error)| error),
            }
            turns -= 1;
        }
    }

    /// The same, with one of them before the others; an error has the place at which it came.
    async fn begin_from(
        &self,
        header: &ManifestHeader,
        joined: &[ManifestHeader],
        first: usize,
    ) -> Result<Vec<(usize, String)>, (usize, SinkError)> {
        let state = joined.get(first).map_or(&header.state, |first| &first.state).clone();
        let mut refused = Vec::new();
        let mut take = |place: usize, taken: Result<(), SinkError>| match taken {
            Err(error @ (SinkError::SourceBeyondHorizon { .. } | SinkError::BadManifest(_))) => {
                refused.push((place, error.to_string()));
                Ok(())
            }
            taken => taken.map_err(|error| (place, error)),
        };
        let begun = self.staging.begin(&ManifestHeader { state, ..header.clone() }).await;
        let is_begun = begun.is_ok();
        take(first, begun)?;
        for (place, header) in joined.iter().enumerate().filter(|(place, _)| is_begun && *place != first) {
            take(place, self.staging.contribute(header).await)?;
        }
        Ok(refused)
    }

    pub(super) fn store_failed(&mut self, error: &SinkError) {
        self.recovery.handle_store_failed(self.job.shared.clock.now(), &error.to_string());
    }

    /// Has the staging take entries.
    pub(super) fn admit(&mut self, entries: Vec<Arc<Entry>>) {
        if let Some(hasher) = &self.joined {
            let mut hasher = hasher.clone();
            entries.iter().for_each(|entry| hasher.entry(entry));
            self.joined_next = Some(hasher);
        }
        let (staging, events, listing) = (self.staging.clone(), self.events.clone(), self.listing);
        let task = tokio::spawn(async move {
            let admitted = match staging.admit(entries).await {
                Ok(held) => {
                    let held = held.into_iter().map(|held| (held.ordinal, held.chunks)).collect();
                    Ok(Admitted { held, unusable: Vec::new() })
                }
                Err(
                    error @ (SinkError::BadKey(_)
                    | SinkError::BadEntry { .. }
                    | SinkError::DuplicateKey(_)
                    | SinkError::BadManifest(_)),
                ) => Err(NotAdmitted::Refused(error.to_string())),
                Err(error) => Err(NotAdmitted::Failed(error)),
            };
            let _ = events.send(JobEvent::Admitted(listing, admitted)).await;
        });
        self.admitting = Some(task);
    }

    /// The staging has taken the entries, or not. What it says of a listing that was given up is of no use.
    pub(super) fn admitted(&mut self, listing: u64, admitted: Result<Admitted, NotAdmitted>) {
        if listing != self.listing {
            return;
        }
        let now = self.job.shared.clock.now();
        let next = self.joined_next.take();
        let told = match admitted {
            Ok(answer) => {
                self.joined = next.or(self.joined.take());
                self.recovery.handle_admitted(now, answer)
            }
            Err(NotAdmitted::Refused(why)) => self.recovery.handle_admit_refused(now, &why),
            Err(NotAdmitted::Failed(error)) => {
                self.store_failed(&error);
                Ok(())
            }
        };
        self.understood(told);
    }

    /// The header to seal with: that of several manifests has its digest from what was admitted.
    pub(super) fn sealed(&self, header: ManifestHeader) -> ManifestHeader {
        let digest = |hasher: &ManifestHasher| -> Digest { hasher.clone().seal(&header) };
        let digest = header.digest.or_else(|| self.joined.as_ref().map(digest));
        ManifestHeader { digest, ..header }
    }
}
