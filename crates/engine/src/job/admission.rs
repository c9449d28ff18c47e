//! What the sources list goes into the staging: begun, taken entry by entry, sealed.

use std::sync::Arc;

use peerstream_recovery::Admitted;
use peerstream_snapshot::{ManifestHasher, SinkError};
use peerstream_types::{Digest, Entry, ManifestHeader};

use super::outlines::Outlines;
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
        self.listing += 1;
        self.joined = (!joined.is_empty()).then(ManifestHasher::new);
        let mut begun = self.staging.begin(header).await;
        for header in joined {
            if begun.is_ok() {
                begun = self.staging.contribute(header).await;
            }
        }
        if let Err(error) = begun {
            self.store_failed(&error);
        }
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
