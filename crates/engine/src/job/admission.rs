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

/// How a staging began with one manifest before the others.
struct Beginning {
    first: usize,
    /// How many sources have what it took.
    taken: usize,
    /// By their places, and why.
    refused: Vec<(usize, String)>,
    /// Those of the refused that have forgotten deletes which what was taken before, or what is here, may
    /// have missed.
    ahead: Vec<(usize, SinkError)>,
}

impl Beginning {
    /// The staging took one, refused it, or failed.
    fn take(&mut self, place: usize, sources: usize, taken: Result<(), SinkError>) -> Result<(), SinkError> {
        match taken {
            Ok(()) => self.taken += sources,
            Err(SinkError::BeyondHorizon { shard, synced, purged }) => {
                let why = format!(
                    "it has forgotten deletes up to {purged}, and others know those up to {synced} only"
                );
                self.refused.push((place, why));
                self.ahead.push((place, SinkError::BeyondHorizon { shard, synced, purged }));
            }
            Err(error @ (SinkError::SourceBeyondHorizon { .. } | SinkError::BadManifest(_))) => {
                self.refused.push((place, error.to_string()));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn is_behind(&self, place: usize) -> bool {
        self.ahead.iter().any(|(ahead, _)| *ahead == place)
    }

    /// The first one, if what is here may have missed what it has forgotten.
    fn ahead_of_here(&self) -> Option<(usize, SinkError)> {
        self.ahead.first().filter(|_| self.taken == 0).cloned()
    }
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

    /// Has the staging begin; says which manifests it does not take, by their places, and why.
    ///
    /// Which of them go together depends on their order: one that has forgotten a delete which another may
    /// have missed excludes that one if it comes before, and is excluded if it comes after. As many sources
    /// as possible are taken; where two orders take as many, no forgotten delete is missed. So what one
    /// source says costs only itself, true or not, where two others contradict it.
    async fn begin_staging(
        &self,
        header: &ManifestHeader,
        joined: &[ManifestHeader],
    ) -> Result<Vec<(usize, String)>, SinkError> {
        let of_base = |other: &ManifestHeader| other.state == header.state;
        let first = joined.iter().position(of_base).unwrap_or(0);
        let mut best = self.begin_from(header, joined, first).await?;
        if best.ahead.is_empty() {
            return Ok(best.refused);
        }
        let mut ahead_of_here: Vec<_> = best.ahead_of_here().into_iter().collect();
        for place in (0..joined.len()).filter(|place| *place != first) {
            let next = self.begin_from(header, joined, place).await?;
            ahead_of_here.extend(next.ahead_of_here());
            if (next.taken, best.is_behind(place)) > (best.taken, false) {
                best = next;
            }
        }
        let sources: usize = ahead_of_here.iter().map(|(place, _)| self.recovery.backers(*place)).sum();
        match ahead_of_here.pop() {
            // More have forgotten what may be missed here than have not: this replica has to begin anew.
            Some((_, error)) if sources > best.taken => Err(error),
            _ => Ok(self.begin_from(header, joined, best.first).await?.refused),
        }
    }

    /// The same, with one of them before the others.
    async fn begin_from(
        &self,
        header: &ManifestHeader,
        joined: &[ManifestHeader],
        first: usize,
    ) -> Result<Beginning, SinkError> {
        let state = joined.get(first).map_or(&header.state, |first| &first.state).clone();
        let mut beginning = Beginning { first, taken: 0, refused: Vec::new(), ahead: Vec::new() };
        let begun = self.staging.begin(&ManifestHeader { state, ..header.clone() }).await;
        beginning.take(first, self.recovery.backers(first), begun)?;
        let is_begun = beginning.taken > 0;
        for (place, header) in joined.iter().enumerate().filter(|(place, _)| is_begun && *place != first) {
            beginning.take(place, self.recovery.backers(place), self.staging.contribute(header).await)?;
        }
        Ok(beginning)
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
