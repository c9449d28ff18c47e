//! The file `head` of a catalog: eight bytes of magic, a version and the sealed header in postcard,
//! and the BLAKE3 hash of all that.

use std::path::Path;

use bytes::Bytes;
use peerstream_types::ManifestHeader;

use crate::disk::read_whole;
use crate::{Disk, DiskError};

const MAGIC: &[u8; 8] = b"PSCATLG\n";
const VERSION: u16 = 1;
const CHECK_LEN: usize = 32;

pub(super) fn encode(header: &ManifestHeader) -> Bytes {
    let head = postcard::to_extend(&(VERSION, header), MAGIC.to_vec());
    let mut head = head.expect("writing to memory does not fail");
    let check = blake3::hash(&head);
    head.extend_from_slice(check.as_bytes());
    head.into()
}

/// Reads the header of a sealed catalog.
pub(super) async fn read(disk: &dyn Disk, path: &Path) -> Result<ManifestHeader, DiskError> {
    let head = read_whole(disk, path).await?;
    let head = head.ok_or_else(|| DiskError::corrupt(path, "it is missing"))?;
    decode(&head).map_err(|why| DiskError::corrupt(path, why))
}

fn decode(head: &[u8]) -> Result<ManifestHeader, &'static str> {
    let (content, check) = head.split_last_chunk::<CHECK_LEN>().ok_or("it is cut off")?;
    let body = content.strip_prefix(MAGIC).ok_or("it is not the head of a catalog")?;
    if blake3::hash(content) != *check {
        return Err("its checksum is wrong");
    }
    let (version, body) = postcard::take_from_bytes::<u16>(body).map_err(|_| "it has no version")?;
    if version != VERSION {
        return Err("it is of a version that is not known here");
    }
    let header: ManifestHeader = postcard::from_bytes(body).map_err(|_| "it cannot be decoded")?;
    if !header.is_sealed() {
        return Err("it is not sealed");
    }
    Ok(header)
}
