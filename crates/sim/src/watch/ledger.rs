//! What sources published, byte for byte: what replicas are compared with.

use std::collections::{BTreeMap, BTreeSet};

use peerstream_snapshot::content::digest_of_whole;
use peerstream_snapshot::limits::READ_LEN_MAX;
use peerstream_snapshot::{Snapshot, SourceError};
use peerstream_types::{Digest, EntryKey, EntryKind, ManifestHeader, NodeId, PageToken, ShardId};

/// Entries of one page when a snapshot is read.
const PAGE: usize = 1024;

/// An entry as its bytes are, not as a manifest says they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// How many bytes it has.
    pub len: u64,
    /// Their BLAKE3 hash.
    pub bytes: Digest,
    /// What the manifest says that it is.
    pub declared: Option<Digest>,
    /// What it is.
    pub kind: EntryKind,
    /// What the store keeps with it.
    pub metadata: Vec<u8>,
}

/// All of a snapshot, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The sealed header.
    pub header: ManifestHeader,
    /// The entries.
    pub entries: BTreeMap<EntryKey, Seen>,
}

impl Image {
    /// Reads a snapshot to its end.
    ///
    /// # Errors
    ///
    /// What the snapshot says.
    pub async fn read(snapshot: &dyn Snapshot) -> Result<Self, SourceError> {
        let (mut entries, mut token, mut sealed) = (BTreeMap::new(), Some(PageToken::START), None);
        while let Some(from) = token {
            let page = snapshot.page(&from, PAGE).await?;
            for entry in page.entries {
                let mut bytes = Vec::new();
                while (bytes.len() as u64) < entry.len {
                    let left = entry.len - bytes.len() as u64;
                    let len = usize::try_from(left).unwrap_or(usize::MAX).min(READ_LEN_MAX);
                    bytes.extend_from_slice(&snapshot.read(entry.ordinal, bytes.len() as u64, len).await?);
                }
                let seen = Seen {
                    len: entry.len,
                    bytes: digest_of_whole(&bytes),
                    declared: entry.digest,
                    kind: entry.kind,
                    metadata: entry.metadata,
                };
                entries.insert(entry.key, seen);
            }
            (token, sealed) = (page.next, page.sealed);
        }
        Ok(Self { header: sealed.unwrap_or_else(|| snapshot.header()), entries })
    }

    /// Bytes of all entries.
    pub fn bytes(&self) -> u64 {
        self.entries.values().map(|seen| seen.len).sum()
    }
}

/// What sources published.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    manifests: BTreeMap<(ShardId, Digest), (NodeId, Image)>,
    contents: BTreeSet<(ShardId, EntryKey, Digest)>,
}

impl Ledger {
    /// Keeps what a source has; the first one to publish a manifest is remembered with it.
    pub fn record(&mut self, source: &NodeId, shard: &ShardId, image: Image) {
        let Some(digest) = image.header.digest else { return };
        for (key, seen) in &image.entries {
            self.contents.insert((shard.clone(), key.clone(), seen.bytes));
        }
        self.manifests.entry((shard.clone(), digest)).or_insert_with(|| (source.clone(), image));
    }

    /// Whether a manifest is known.
    pub fn knows(&self, shard: &ShardId, digest: Digest) -> bool {
        self.manifests.contains_key(&(shard.clone(), digest))
    }

    /// What was published under a digest.
    pub fn image(&self, shard: &ShardId, digest: Digest) -> Option<&Image> {
        self.manifests.get(&(shard.clone(), digest)).map(|(_, image)| image)
    }

    /// Whether some source published an entry of this key with these bytes.
    pub fn has_content(&self, shard: &ShardId, key: &EntryKey, bytes: Digest) -> bool {
        self.contents.contains(&(shard.clone(), key.clone(), bytes))
    }
}
