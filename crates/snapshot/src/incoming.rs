//! The manifest that a staging is filling: what was admitted, and whether it is sealed.

use std::sync::Arc;

use peerstream_types::{Entry, ManifestHeader};

use crate::content::ContentId;
use crate::{Admission, SinkError, VerifiedChunk};

/// A manifest on its way in.
#[derive(Debug)]
pub(crate) struct Incoming {
    admission: Admission,
    entries: Vec<Arc<Entry>>,
    sealed: Option<ManifestHeader>,
}

impl Incoming {
    pub(crate) fn begin(header: &ManifestHeader) -> Result<Self, SinkError> {
        Ok(Self { admission: Admission::begin(header)?, entries: Vec::new(), sealed: None })
    }

    /// Checks a page; the answer goes to [`Incoming::admit`] once the caller is ready for it.
    pub(crate) fn check(&self, page: &[Arc<Entry>]) -> Result<Admission, SinkError> {
        if self.sealed.is_some() {
            return Err(SinkError::BadManifest("it is sealed already".into()));
        }
        let mut admission = self.admission.clone();
        admission.admit(page)?;
        Ok(admission)
    }

    pub(crate) fn admit(&mut self, checked: Admission, page: Vec<Arc<Entry>>) {
        self.admission = checked;
        self.entries.extend(page);
    }

    /// All admitted entries with their content, in order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Arc<Entry>, ContentId)> {
        self.entries.iter().map(|entry| (entry, self.content_of(entry)))
    }

    pub(crate) fn content_of(&self, entry: &Entry) -> ContentId {
        ContentId::of(entry, self.admission.chunk_size()).expect("admitted entries have a digest")
    }

    /// The content that a chunk belongs to, if just its entry was admitted.
    pub(crate) fn owner(&self, chunk: &VerifiedChunk) -> Result<ContentId, SinkError> {
        let entry = chunk.entry();
        let place = usize::try_from(entry.ordinal.0).ok();
        let admitted = place.and_then(|place| self.entries.get(place)).filter(|held| *held == entry);
        if admitted.is_none() || chunk.chunk_size() != self.admission.chunk_size() {
            return Err(SinkError::NotAdmitted(entry.key.clone()));
        }
        Ok(self.content_of(entry))
    }

    /// Checks the sealed header and that `held` says of all content that it has every chunk.
    pub(crate) fn check_seal(
        &self,
        header: &ManifestHeader,
        held: impl Fn(ContentId) -> u64,
    ) -> Result<(), SinkError> {
        self.admission.seal(header)?;
        let mut lacking = self.entries().filter(|(_, content)| held(*content) < content.chunks());
        let Some((first, _)) = lacking.next() else { return Ok(()) };
        Err(SinkError::Incomplete { missing: 1 + lacking.count() as u64, first: first.key.clone() })
    }

    pub(crate) fn set_sealed(&mut self, header: ManifestHeader) {
        self.sealed = Some(header);
    }

    pub(crate) fn sealed(&self) -> Result<&ManifestHeader, SinkError> {
        self.sealed.as_ref().ok_or(SinkError::NotSealed)
    }
}

/// What is said when `begin` was forgotten.
pub(crate) fn not_begun() -> SinkError {
    SinkError::BadManifest("none was begun".into())
}
