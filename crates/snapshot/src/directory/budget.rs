//! Staged content that nobody works on any more is not kept for ever.

use std::ffi::OsString;
use std::path::Path;

use peerstream_types::ShardId;

use super::layout::StagingDir;
use super::options::Budget;
use super::sweep::list_after;
use crate::disk::FileKind;
use crate::{Disk, DiskError};

/// A staging that was removed because it was too old, or because there was too much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaned {
    /// Of which shard.
    pub shard: ShardId,
    /// How many bytes of files it had.
    pub bytes: u64,
    /// Why it was removed.
    pub why: Excess,
}

/// What staged content had too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Nothing was written to it for longer than [`Budget::age`].
    Age,
    /// With it, the store had more than [`Budget::bytes`].
    Bytes,
}

/// A staging that nobody works on.
#[derive(Debug, Clone)]
pub(super) struct Idle {
    pub(super) shard: ShardId,
    pub(super) dir: StagingDir,
    pub(super) bytes: u64,
    used_ms: u64,
}

impl Idle {
    /// Looks at a staging.
    pub(super) async fn look(disk: &dyn Disk, shard: ShardId, dir: StagingDir) -> Result<Self, DiskError> {
        let bytes = size_of(disk, dir.path()).await?;
        let mut used_ns = 0;
        for path in [dir.journal(), dir.attempts(), dir.packs(), dir.partials()] {
            used_ns = used_ns.max(disk.metadata(&path).await?.map_or(0, |found| found.modified_ns));
        }
        Ok(Self { shard, dir, bytes, used_ms: u64::try_from(used_ns / 1_000_000).unwrap_or(0) })
    }

    /// Whether nobody worked on it since it was found.
    pub(super) async fn is_still_idle(&self, disk: &dyn Disk) -> Result<bool, DiskError> {
        let now = Self::look(disk, self.shard.clone(), self.dir.clone()).await?;
        Ok((now.bytes, now.used_ms) == (self.bytes, self.used_ms))
    }
}

/// Which stagings have to go, and why: the oldest first. `busy` bytes are in stagings that stay.
pub(super) fn excess(budget: Budget, now_ms: u64, busy: u64, mut idle: Vec<Idle>) -> Vec<(Idle, Excess)> {
    idle.sort_by(|a, b| (a.used_ms, &a.shard).cmp(&(b.used_ms, &b.shard)));
    let age = u64::try_from(budget.age.as_millis()).unwrap_or(u64::MAX);
    let mut sum = idle.iter().fold(busy, |sum, idle| sum.saturating_add(idle.bytes));
    let mut gone = Vec::new();
    for idle in idle {
        let why = if now_ms.saturating_sub(idle.used_ms) > age {
            Excess::Age
        } else if budget.bytes.is_some_and(|most| sum > most) {
            Excess::Bytes
        } else {
            continue;
        };
        sum = sum.saturating_sub(idle.bytes);
        gone.push((idle, why));
    }
    gone
}

/// Bytes of all files below a directory. It may not exist, and what is below it may be removed
/// meanwhile: what is gone has no bytes.
pub(super) async fn size_of(disk: &dyn Disk, path: &Path) -> Result<u64, DiskError> {
    let mut dirs = vec![path.to_owned()];
    let mut sum: u64 = 0;
    while let Some(dir) = dirs.pop() {
        let mut after: Option<OsString> = None;
        loop {
            // Names that vanish while they are listed make an answer short, so a short one is no end.
            let names = list_after(disk, &dir, after.as_deref()).await?;
            let Some(last) = names.last() else { break };
            after = Some(last.name.clone());
            for entry in names {
                match entry.metadata.kind {
                    FileKind::File => sum = sum.saturating_add(entry.metadata.len),
                    FileKind::Dir => dirs.push(dir.join(entry.name)),
                    FileKind::Other => {}
                }
            }
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::layout::ShardDir;
    use super::*;
    use crate::Generation;

    fn idle(index: u32, used_ms: u64, bytes: u64) -> Idle {
        let shard: ShardId = format!("d@1/{index}").parse().unwrap();
        let dir = ShardDir::new(Path::new("/r"), &shard).staging(Generation(1));
        Idle { shard, dir, bytes, used_ms }
    }

    fn gone(budget: Budget, busy: u64) -> Vec<(u32, Excess)> {
        let idle = vec![idle(2, 600, 30), idle(0, 100, 10), idle(1, 500, 20)];
        excess(budget, 1000, busy, idle).into_iter().map(|(idle, why)| (idle.shard.index, why)).collect()
    }

    /// D8: what is left over goes, the oldest first.
    #[test]
    fn the_oldest_goes_first() {
        let budget = |age, bytes| Budget { age: Duration::from_millis(age), bytes };
        assert_eq!(gone(budget(900, None), 0), []);
        assert_eq!(gone(budget(899, None), 0), [(0, Excess::Age)]);
        assert_eq!(gone(budget(899, Some(50)), 0), [(0, Excess::Age)]);
        assert_eq!(gone(budget(899, Some(49)), 0), [(0, Excess::Age), (1, Excess::Bytes)]);
        assert_eq!(gone(budget(9000, Some(60)), 1), [(0, Excess::Bytes)], "busy ones count, and stay");
    }
}
