//! The file `CURRENT`: which generation is visible. Replacing it is the one atomic step of a publish.

use std::path::Path;

use bytes::Bytes;

use crate::disk::{read_whole, replace_file};
use crate::{Disk, DiskError, Generation};

/// First line; the number is the version of the format.
const MAGIC: &str = "peerstream current 1";

/// The visible generation, or `None` before the first publish.
pub(super) async fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Generation>, DiskError> {
    let Some(text) = read_whole(disk, path).await? else { return Ok(None) };
    decode(&text).map(Some).ok_or_else(|| DiskError::corrupt(path, "it names no generation"))
}

/// Makes another generation the visible one. After an error either may be.
pub(super) async fn swap(disk: &dyn Disk, path: &Path, to: Generation) -> Result<(), DiskError> {
    replace_file(disk, path, encode(to)).await
}

fn encode(generation: Generation) -> Bytes {
    let text = format!("{MAGIC}\n{generation}\n");
    let check = blake3::hash(text.as_bytes()).to_hex();
    format!("{text}{check}\n").into()
}

/// Whatever is not just what `encode` writes is damaged.
fn decode(text: &[u8]) -> Option<Generation> {
    let number = std::str::from_utf8(text).ok()?.lines().nth(1)?;
    let generation = Generation(number.parse().ok()?);
    (encode(generation) == text).then_some(generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pins the format: a store of today has to be readable tomorrow.
    #[test]
    fn the_format_is_pinned() {
        let golden = "peerstream current 1\n42\n\
                      e2fc5078cb87f04c96e4202052ecd68894d4857b89749ae485ad79c26fa4ec81\n";
        assert_eq!(encode(Generation(42)), golden);
        assert_eq!(decode(golden.as_bytes()), Some(Generation(42)));
    }

    #[test]
    fn a_damaged_pointer_names_nothing() {
        let good = encode(Generation(7)).to_vec();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(decode(&bad), None, "byte {at}");
            assert_eq!(decode(&good[..at]), None, "cut at {at}");
        }
    }
}
