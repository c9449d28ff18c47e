//! The file `manifest` of a generation: header and entries.
//!
//! Eight bytes of magic, a version, the header and the entries in postcard, and the BLAKE3 hash of
//! all that.

use std::path::Path;

use bytes::Bytes;
use peerstream_types::{Entry, ManifestHeader};
use serde::{Deserialize, Serialize};

use crate::disk::{OpenMode, read_whole};
use crate::listing::{Frame, Listing};
use crate::{Disk, DiskError};

const MAGIC: &[u8; 8] = b"PSMANIF\n";
const VERSION: u16 = 1;
const CHECK_LEN: usize = 32;

#[derive(Serialize, Deserialize)]
struct Body<H, E> {
    version: u16,
    header: H,
    entries: E,
}

/// Writes and syncs a new manifest file.
pub(super) async fn write(disk: &dyn Disk, path: &Path, content: Bytes) -> Result<(), DiskError> {
    let file = disk.open(path, OpenMode::Create).await?;
    file.write_at(0, content).await?;
    file.sync().await
}

/// Reads a manifest file back as a listing, checked against its own digest.
pub(super) async fn read(disk: &dyn Disk, path: &Path) -> Result<Listing, DiskError> {
    let content = read_whole(disk, path).await?;
    let content = content.ok_or_else(|| DiskError::corrupt(path, "it is missing"))?;
    let (header, entries) = decode(&content).map_err(|why| DiskError::corrupt(path, why))?;
    let ManifestHeader { chunk_size, position, state, .. } = header.clone();
    let listing = Listing::seal(entries, Frame { chunk_size, position, state });
    let listing = listing.map_err(|why| DiskError::corrupt(path, why.to_string()))?;
    if *listing.header() != header {
        return Err(DiskError::corrupt(path, "its entries do not fit its digest"));
    }
    Ok(listing)
}

pub(super) fn encode(header: &ManifestHeader, entries: &[&Entry]) -> Bytes {
    let body = Body { version: VERSION, header, entries };
    let file = postcard::to_extend(&body, MAGIC.to_vec());
    let mut file = file.expect("writing to memory does not fail");
    let check = blake3::hash(&file);
    file.extend_from_slice(check.as_bytes());
    file.into()
}

fn decode(file: &[u8]) -> Result<(ManifestHeader, Vec<Entry>), &'static str> {
    let (content, check) = file.split_last_chunk::<CHECK_LEN>().ok_or("it is cut off")?;
    let body = content.strip_prefix(MAGIC).ok_or("it is not a manifest")?;
    if blake3::hash(content) != *check {
        return Err("its checksum is wrong");
    }
    let (version, _) = postcard::take_from_bytes::<u16>(body).map_err(|_| "it has no version")?;
    if version != VERSION {
        return Err("it is of a version that is not known here");
    }
    let body: Body<ManifestHeader, Vec<Entry>> =
        postcard::from_bytes(body).map_err(|_| "it cannot be decoded")?;
    Ok((body.header, body.entries))
}

#[cfg(test)]
mod tests {
    use peerstream_types::{Codec, EntryKey, EntryKind, Ordinal, Position};

    use super::*;
    use crate::content::digest_of_whole;

    fn sample() -> Listing {
        let entry = |path: &str, content: &[u8]| Entry {
            ordinal: Ordinal(0),
            key: EntryKey::from_path(path).unwrap(),
            len: content.len() as u64,
            digest: Some(digest_of_whole(content)),
            kind: EntryKind::File,
            codec: Codec::Plain,
            metadata: vec![7],
        };
        let position = Some(Position { log: "wal".into(), epoch: 3, token: vec![9] });
        let frame = Frame { position, state: b"state".to_vec(), ..Frame::default() };
        Listing::seal(vec![entry("a", b"x"), entry("b/c", b"")], frame).unwrap()
    }

    fn bytes() -> Bytes {
        let listing = sample();
        encode(listing.header(), &listing.entries().iter().collect::<Vec<_>>())
    }

    /// Pins the format: a store of today has to be readable tomorrow.
    #[test]
    fn the_format_is_pinned() {
        assert_eq!(
            blake3::hash(&bytes()).to_hex().as_str(),
            "b254b505401f53cbde15dc1ef7cb28207f342c66f5ef4ec6f2ddfb7991917f3b"
        );
    }

    #[test]
    fn a_manifest_reads_back() {
        let (header, entries) = decode(&bytes()).unwrap();
        assert_eq!((&header, &entries[..]), (sample().header(), sample().entries()));
    }

    #[test]
    fn every_damage_is_noticed() {
        let good = bytes();
        for at in 0..good.len() {
            let mut bad = good.to_vec();
            bad[at] ^= 1;
            assert!(decode(&bad).is_err(), "byte {at}");
            assert!(decode(&good[..at]).is_err(), "cut at {at}");
        }
    }
}
