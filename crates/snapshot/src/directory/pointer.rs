//! The file `CURRENT`: which generation is visible. Replacing it is the one atomic step of a publish.

use std::path::Path;

use bytes::Bytes;

use crate::disk::{read_whole, replace_file};
use crate::{Disk, DiskError, Generation};

/// First line; the number is the version of the format.
const MAGIC: &str = "peerstream current 2";

/// What `CURRENT` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pointer {
    /// What readers see.
    pub(super) visible: Generation,
    /// What they saw before, if it can be shown again.
    pub(super) before: Option<Generation>,
    /// The last number that was ever used.
    pub(super) last: Generation,
}

impl Pointer {
    /// After the publish of a generation. Nothing changes if it is visible already.
    pub(super) fn publish(old: Option<Self>, generation: Generation) -> Self {
        if let Some(old) = old.filter(|old| old.visible == generation) {
            return old;
        }
        let last = old.map_or(generation, |old| generation.max(old.last));
        Self { visible: generation, before: old.map(|old| old.visible), last }
    }

    /// After going back to the generation before; `None` if there is none.
    pub(super) fn roll_back(self) -> Option<Self> {
        Some(Self { visible: self.before?, before: None, last: self.last })
    }

    /// The number of the next generation.
    pub(super) fn next(self) -> Generation {
        Generation(self.last.0 + 1)
    }

    /// Whether it has use for a generation.
    pub(super) fn needs(&self, generation: Generation) -> bool {
        generation == self.visible || Some(generation) == self.before
    }
}

/// What is visible, or `None` before the first publish. It is durable then: whoever was about to make
/// it so may not have come to it.
pub(super) async fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Pointer>, DiskError> {
    let Some(text) = read_whole(disk, path).await? else { return Ok(None) };
    let pointer = decode(&text).ok_or_else(|| DiskError::corrupt(path, "it names no generation"))?;
    if let Some(dir) = path.parent() {
        disk.sync_dir(dir).await?;
    }
    Ok(Some(pointer))
}

/// Makes another generation the visible one. After an error either may be.
pub(super) async fn swap(disk: &dyn Disk, path: &Path, to: Pointer) -> Result<(), DiskError> {
    replace_file(disk, path, encode(to)).await
}

fn encode(pointer: Pointer) -> Bytes {
    let Pointer { visible, before, last } = pointer;
    let before = before.map_or("-".to_owned(), |before| before.to_string());
    let text = format!("{MAGIC}\n{visible}\n{before}\n{last}\n");
    let check = blake3::hash(text.as_bytes()).to_hex();
    format!("{text}{check}\n").into()
}

/// Whatever is not just what `encode` writes is damaged.
fn decode(text: &[u8]) -> Option<Pointer> {
    let mut lines = std::str::from_utf8(text).ok()?.lines().skip(1);
    let visible = Generation(lines.next()?.parse().ok()?);
    let before = lines.next()?.parse().ok().map(Generation);
    let last = Generation(lines.next()?.parse().ok()?);
    let pointer = Pointer { visible, before, last };
    (encode(pointer) == text).then_some(pointer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: Pointer =
        Pointer { visible: Generation(42), before: Some(Generation(40)), last: Generation(43) };

    /// Pins the format: a store of today has to be readable tomorrow.
    #[test]
    fn the_format_is_pinned() {
        let golden = "peerstream current 2\n42\n40\n43\n\
                      0d07fd31c7c6beed22e62d3cbbb350e245e97944614ab5be6bfd314e67206de7\n";
        assert_eq!(encode(SAMPLE), golden);
        assert_eq!(decode(golden.as_bytes()), Some(SAMPLE));
    }

    #[test]
    fn a_damaged_pointer_names_nothing() {
        for pointer in [SAMPLE, Pointer { before: None, ..SAMPLE }] {
            let good = encode(pointer).to_vec();
            assert_eq!(decode(&good), Some(pointer));
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 1;
                assert_eq!(decode(&bad), None, "byte {at}");
                assert_eq!(decode(&good[..at]), None, "cut at {at}");
            }
        }
    }

    #[test]
    fn no_number_is_used_twice() {
        let first = Pointer::publish(None, Generation(1));
        let second = Pointer::publish(Some(first), first.next());
        let back = second.roll_back().unwrap();
        assert_eq!((back.visible, back.before), (Generation(1), None));
        assert_eq!(back.roll_back(), None);
        let third = Pointer::publish(Some(back), back.next());
        assert_eq!((third.visible, third.before), (Generation(3), Some(Generation(1))));
        assert_eq!(Pointer::publish(Some(third), Generation(3)), third, "said again");
    }
}
