//! Small entries of a staging, back to back in a few large files.
//!
//! A pack has no format of its own: where an entry lies is said elsewhere. What one process has
//! written no other one adds to, so a torn end stays where it is.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

use super::open_files::OpenFiles;
use super::slots::{PACK_MAX, Place};
use super::sweep::list;
use crate::disk::{DiskErrorKind, OpenMode};
use crate::limits::{PACK_GAP_MAX, PACK_LEN_MAX, PACK_READ_MAX};
use crate::{Disk, DiskError, DiskFile};

/// The packs of a staging.
#[derive(Debug)]
pub(super) struct Packs {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    tail: Mutex<Tail>,
    files: OpenFiles<u32>,
}

/// Where the next bytes go.
#[derive(Debug, Clone, Copy)]
struct Tail {
    pack: u32,
    offset: u64,
}

/// Bytes in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Extent {
    pub(super) pack: u32,
    pub(super) offset: u64,
    pub(super) len: usize,
}

impl Packs {
    /// Opens the packs in a directory, which exists; new bytes go to a new one.
    pub(super) async fn open(disk: Arc<dyn Disk>, dir: PathBuf) -> Result<Self, DiskError> {
        let names = list(&*disk, &dir).await?;
        let numbers = names.iter().filter_map(|entry| entry.name.to_str()?.parse::<u32>().ok());
        let pack = numbers.max().map_or(0, |last| last.saturating_add(1));
        let tail = Mutex::new(Tail { pack, offset: 0 });
        Ok(Self { disk, dir, tail, files: OpenFiles::new() })
    }

    /// Writes entries back to back, with one write, and says where the first of them begins. After
    /// an error nothing of them counts, and what was written of them stays as a gap.
    pub(super) async fn append(&self, entries: &[&Bytes]) -> Result<Extent, DiskError> {
        let bytes = match entries {
            [only] => Bytes::clone(only),
            many => {
                let mut all = BytesMut::with_capacity(many.iter().map(|entry| entry.len()).sum());
                many.iter().for_each(|entry| all.extend_from_slice(entry));
                all.freeze()
            }
        };
        let extent = self.claim(bytes.len())?;
        let file = self.file(extent.pack, OpenMode::Create).await?;
        file.write_at(extent.offset, bytes).await?;
        Ok(extent)
    }

    /// Room at the end of the last pack, or at the beginning of the next.
    fn claim(&self, len: usize) -> Result<Extent, DiskError> {
        let mut tail = lock(&self.tail);
        if tail.offset > 0 && tail.offset + len as u64 > PACK_LEN_MAX {
            *tail = Tail { pack: tail.pack.saturating_add(1), offset: 0 };
        }
        if tail.pack >= PACK_MAX {
            return Err(DiskError::corrupt(&self.dir, "it holds a pack with the last number there is"));
        }
        let extent = Extent { pack: tail.pack, offset: tail.offset, len };
        tail.offset += len as u64;
        Ok(extent)
    }

    /// Makes a pack durable.
    pub(super) async fn sync(&self, pack: u32) -> Result<(), DiskError> {
        self.file(pack, OpenMode::Write).await?.sync().await
    }

    /// Reads many extents and hands each to `each` by its index: neighbours with one read. What is
    /// not there, or cannot be read, is left out, and a failure is the answer: the last one that is more
    /// than that there is no such pack.
    pub(super) async fn read(
        &self,
        extents: &[Extent],
        mut each: impl FnMut(usize, Bytes),
    ) -> Result<(), DiskError> {
        let mut order: Vec<usize> = (0..extents.len()).collect();
        order.sort_by_key(|at| extents[*at]);
        let (mut rest, mut result) = (&order[..], Ok(()));
        while let Some(first) = rest.first().map(|at| extents[*at]) {
            let count = run_of(rest.iter().map(|at| extents[*at]));
            let (run, later) = rest.split_at(count);
            rest = later;
            let end = run.iter().map(|at| extents[*at].end()).max().unwrap_or(first.offset);
            let len = usize::try_from(end - first.offset).expect("bounded by PACK_READ_MAX");
            let bytes = match self.read_at(first.pack, first.offset, len).await {
                Ok(bytes) => bytes,
                Err(error) => {
                    // What is not there says less than what cannot be read.
                    if result.is_ok() || error.kind != DiskErrorKind::NotFound {
                        result = Err(error);
                    }
                    continue;
                }
            };
            for at in run {
                let from = usize::try_from(extents[*at].offset - first.offset).expect("within one read");
                if bytes.len() >= from + extents[*at].len {
                    each(*at, bytes.slice(from..from + extents[*at].len));
                }
            }
        }
        result
    }

    async fn read_at(&self, pack: u32, offset: u64, len: usize) -> Result<Bytes, DiskError> {
        self.file(pack, OpenMode::Write).await?.read_at(offset, len).await
    }

    /// One handle serves all: what is only read now may be synced later.
    async fn file(&self, pack: u32, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.files.open(&*self.disk, pack, &self.dir.join(pack.to_string()), mode).await
    }
}

impl Extent {
    fn end(&self) -> u64 {
        self.offset + self.len as u64
    }

    /// Where an entry that is stored at `after` bytes from the beginning lies.
    pub(super) fn place(&self, after: u64) -> Place {
        Place::Packed { pack: self.pack, offset: self.offset + after }
    }
}

/// How many of these ascending extents are worth a single read; at least one.
fn run_of(extents: impl Iterator<Item = Extent>) -> usize {
    let mut run: Option<(Extent, u64)> = None;
    let mut count = 0;
    for extent in extents {
        if let Some((first, end)) = run {
            let near = extent.pack == first.pack && extent.offset <= end.saturating_add(PACK_GAP_MAX);
            if !near || extent.end().max(end) - first.offset > PACK_READ_MAX {
                break;
            }
        }
        let (first, end) = run.unwrap_or((extent, 0));
        run = Some((first, end.max(extent.end())));
        count += 1;
    }
    count
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::RealDisk;

    async fn packs(dir: &std::path::Path) -> Packs {
        Packs::open(Arc::new(RealDisk::new()), dir.to_owned()).await.unwrap()
    }

    #[tokio::test]
    async fn entries_are_read_back_in_any_order() {
        let dir = tempfile::tempdir().unwrap();
        let packs = packs(dir.path()).await;
        let entries: Vec<Bytes> = (1..60u8).map(|i| vec![i; usize::from(i) * 7].into()).collect();
        let mut extents = Vec::new();
        for batch in entries.chunks(7) {
            let extent = packs.append(&batch.iter().collect::<Vec<_>>()).await.unwrap();
            let mut offset = extent.offset;
            for entry in batch {
                extents.push(Extent { offset, len: entry.len(), ..extent });
                offset += entry.len() as u64;
            }
        }
        extents.reverse();
        let mut found = BTreeMap::new();
        packs.read(&extents, |at, bytes| drop(found.insert(at, bytes))).await.unwrap();
        assert!(found.into_values().eq(entries.into_iter().rev()));
    }

    #[tokio::test]
    async fn another_process_begins_another_pack() {
        let dir = tempfile::tempdir().unwrap();
        let entry = Bytes::from_static(b"x");
        assert_eq!(packs(dir.path()).await.append(&[&entry]).await.unwrap().pack, 0);
        assert_eq!(packs(dir.path()).await.append(&[&entry]).await.unwrap().pack, 1);
    }

    #[test]
    fn reads_are_joined_within_limits() {
        let extent = |pack, offset, len| Extent { pack, offset, len };
        let run = |extents: &[Extent]| run_of(extents.iter().copied());
        assert_eq!(run(&[extent(0, 0, 10), extent(0, 10, 10), extent(1, 20, 10)]), 2, "another pack");
        assert_eq!(run(&[extent(0, 0, 10), extent(0, 11 + PACK_GAP_MAX, 10)]), 1, "too far away");
        let large = usize::try_from(PACK_READ_MAX).unwrap();
        assert_eq!(run(&[extent(0, 0, large), extent(0, PACK_READ_MAX, 1)]), 1, "too much at once");
        assert_eq!(run(&[extent(0, 0, large + 1)]), 1, "one is always read");
    }
}
