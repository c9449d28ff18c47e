//! The digest of a manifest, page by page.

use peerstream_types::{Digest, Entry, EntryCounts, ManifestHeader, Position};

/// Names the encoding below inside the hash, so that another encoding can never collide with it.
const DOMAIN: &str = "peerstream 2026-11 manifest v1";

/// Hashes entries in key order as they come and seals with position and state. The encoding is
/// fixed here, apart from any wire format: every part is preceded by its length.
#[derive(Debug, Clone)]
pub struct ManifestHasher {
    hasher: blake3::Hasher,
    counts: EntryCounts,
}

impl Default for ManifestHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl ManifestHasher {
    /// Begins an empty manifest.
    pub fn new() -> Self {
        Self { hasher: blake3::Hasher::new_derive_key(DOMAIN), counts: EntryCounts::default() }
    }

    /// Adds the next entry. The caller has checked order and ordinals.
    pub fn entry(&mut self, entry: &Entry) {
        self.counts.entries += 1;
        self.counts.bytes = self.counts.bytes.saturating_add(entry.len);
        self.bytes(entry.key.as_bytes());
        self.number(entry.len);
        match &entry.digest {
            None => self.number(0),
            Some(digest) => {
                self.number(u64::from(digest.code()));
                self.bytes(digest.as_bytes());
            }
        }
        self.number(u64::from(entry.kind.code()));
        self.number(u64::from(entry.codec.code()));
        self.bytes(&entry.metadata);
    }

    /// What was added so far.
    pub fn counts(&self) -> EntryCounts {
        self.counts
    }

    /// The digest over all entries, the position, the state and the chunk size of `header`.
    pub fn seal(mut self, header: &ManifestHeader) -> Digest {
        self.number(u64::MAX);
        self.number(self.counts.entries);
        self.number(header.chunk_size.bytes());
        self.position(header.position.as_ref());
        self.bytes(&header.state);
        Digest::Blake3(*self.hasher.finalize().as_bytes())
    }

    fn position(&mut self, position: Option<&Position>) {
        let Some(position) = position else { return self.number(0) };
        self.number(1);
        self.bytes(position.log.as_bytes());
        self.number(position.epoch);
        self.bytes(&position.token);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.hasher.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.hasher.update(&number.to_le_bytes());
    }
}
