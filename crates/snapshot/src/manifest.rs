//! The digest of a manifest, page by page.

use peerstream_types::{Digest, Entry, EntryCounts, ManifestHeader, Position};

mod check;

pub use check::{ManifestCheck, ManifestFault};

/// Names the encoding below inside the hash, so that another encoding can never collide with it.
const DOMAIN: &str = "peerstream 2026-11 manifest v1";

/// Bytes that are hashed at a time. An entry is a dozen parts of some bytes each, and the hash does many
/// kilobytes at once in the time of a few such parts.
const BLOCK: usize = 16 * 1024;

/// Hashes entries in key order as they come and seals with position and state. The encoding is
/// fixed here, apart from any wire format: every part is preceded by its length.
#[derive(Debug, Clone)]
pub struct ManifestHasher {
    hasher: blake3::Hasher,
    /// Less than a block that is not hashed yet.
    gathered: Vec<u8>,
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
        let hasher = blake3::Hasher::new_derive_key(DOMAIN);
        Self { hasher, gathered: Vec::new(), counts: EntryCounts::default() }
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
        self.hash_blocks();
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
        self.hasher.update(&self.gathered);
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
        self.gathered.extend_from_slice(bytes);
    }

    fn number(&mut self, number: u64) {
        self.gathered.extend_from_slice(&number.to_le_bytes());
    }

    /// Hashes what is a whole block, so that the hash always begins where it is fastest.
    fn hash_blocks(&mut self) {
        if self.gathered.len() >= BLOCK {
            let whole = self.gathered.len() / BLOCK * BLOCK;
            self.hasher.update(&self.gathered[..whole]);
            self.gathered.drain(..whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use peerstream_types::{ChunkSize, Codec, EntryKey, EntryKind, Ordinal};
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    fn header() -> ManifestHeader {
        let position = Some(Position { log: "wal".into(), epoch: 3, token: b"41".to_vec() });
        let state = b"schema 7".to_vec();
        let counts = EntryCounts::default();
        ManifestHeader { chunk_size: ChunkSize::DEFAULT, counts, digest: None, position, state }
    }

    fn digest(entries: &[Entry], header: &ManifestHeader) -> Digest {
        let mut hasher = ManifestHasher::new();
        entries.iter().for_each(|entry| hasher.entry(entry));
        hasher.seal(header)
    }

    fn entry(key: &[u8], len: u64, digest: Option<Digest>, metadata: Vec<u8>) -> Entry {
        let key = EntryKey::new(key).unwrap();
        Entry { ordinal: Ordinal(0), key, len, digest, kind: EntryKind::File, codec: Codec::Plain, metadata }
    }

    /// Pins the encoding: nodes of different releases have to agree on it. A new encoding needs a
    /// new domain, not new values here.
    #[test]
    fn the_encoding_is_pinned() {
        let entries = [
            entry(b"a", 5, Some(Digest::Blake3([1; 32])), vec![9, 8]),
            entry(b"b/c", 0, Some(Digest::Sha256([2; 32])), Vec::new()),
            Entry { kind: EntryKind::Block, ..entry(b"d", 1 << 40, None, Vec::new()) },
        ];
        let bare = ManifestHeader { position: None, state: Vec::new(), ..header() };
        let golden = [
            (digest(&entries, &header()), "23d3df01e11816fee32792c32472323adcfc90f7bdd68f30c48ce6db44c20464"),
            (digest(&entries, &bare), "11b9a4b8ad700e6cdc0b573ad76d33b60d44cdba6ec284634c061112fe0cc77f"),
            (digest(&[], &bare), "d42133a01550a2335d1fe336204003da4ec6f97a06f458cea1484d7a5a4be7fb"),
        ];
        let (got, want): (Vec<_>, Vec<_>) =
            golden.into_iter().map(|(got, want)| (got.to_string(), format!("blake3:{want}"))).unzip();
        assert_eq!(got, want);
    }

    #[test]
    fn the_header_is_part_of_the_digest() {
        let good = digest(&[], &header());
        let position = |log: &str, epoch, token: &[u8]| {
            let position = Position { log: log.into(), epoch, token: token.to_vec() };
            ManifestHeader { position: Some(position), ..header() }
        };
        let others = [
            ManifestHeader { position: None, ..header() },
            ManifestHeader { state: Vec::new(), ..header() },
            ManifestHeader { chunk_size: ChunkSize::new(1024).unwrap(), ..header() },
            position("wal4", 3, b"1"),
            position("wal", 4, b"41"),
            position("wal", 3, b"4"),
        ];
        for other in others {
            assert_ne!(digest(&[], &other), good, "{other:?}");
        }
        assert_eq!(digest(&[], &position("wal", 3, b"41")), good);
    }

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let bytes = |min, max| prop::collection::vec(any::<u8>(), min..max);
        let digest = prop::option::of(any::<[u8; 32]>());
        let one = (bytes(1, 6), any::<u64>(), digest, bytes(0, 6))
            .prop_map(|(key, len, digest, metadata)| entry(&key, len, digest.map(Digest::Blake3), metadata));
        prop::collection::vec(one, 1..6)
    }

    /// Every way to change one entry; `bit` chooses a bit of what is changed.
    fn change(entry: &mut Entry, what: usize, bit: Index) {
        let flip = |bytes: &mut Vec<u8>| match bytes.len() {
            0 => bytes.push(0),
            len => bytes[bit.index(len)] ^= 1 << bit.index(8),
        };
        match what {
            0 => {
                let mut key = entry.key.as_bytes().to_vec();
                flip(&mut key);
                entry.key = EntryKey::new(key).unwrap();
            }
            1 => entry.len ^= 1 << bit.index(64),
            2 => flip(&mut entry.metadata),
            3 => entry.kind = EntryKind::Tombstone,
            4 => entry.metadata.push(0),
            5 => entry.digest = entry.digest.map_or(Some(Digest::Blake3([0; 32])), |_| None),
            6 => entry.digest = Some(Digest::Sha256(entry.digest.map_or([0; 32], |d| *d.as_bytes()))),
            _ => {
                let mut digest = entry.digest.map_or([0; 32], |d| *d.as_bytes());
                digest[bit.index(32)] ^= 1 << bit.index(8);
                entry.digest = Some(Digest::Blake3(digest));
            }
        }
    }

    proptest! {
        #[test]
        fn any_change_to_an_entry_changes_the_digest(
            entries in entries(), place: Index, what in 0usize..8, bit: Index,
        ) {
            let mut other = entries.clone();
            change(&mut other[place.index(entries.len())], what, bit);
            prop_assert_ne!(digest(&other, &header()), digest(&entries, &header()));
        }

        /// Neither may an entry be missing, nor bytes move from one field or entry to the next.
        #[test]
        fn only_the_same_entries_have_the_same_digest(one in entries(), other in entries()) {
            prop_assert_eq!(one == other, digest(&one, &header()) == digest(&other, &header()));
            prop_assert_ne!(digest(&one[1..], &header()), digest(&one, &header()));
        }
    }
}
