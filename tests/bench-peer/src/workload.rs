//! `make`: the workloads, from a fixed seed.
//!
//! | | files | of |
//! |---|---|---|
//! | A | 1 | 2 GiB |
//! | B | 200 | 1 to 64 MiB, 2 GiB together |
//! | C | 20,000 in 100 directories | 4 to 64 KiB, a third of them small |
//! | D | 1,000,000 in 1,000 directories | 1 KiB |

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde_json::json;

use crate::options::Options;
use crate::{Result, say};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// Bytes that are made at a time.
const BLOCK: usize = 1 << 20;

/// One file to make.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    path: String,
    len: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let (kind, dir) = (options.word(0, "a workload")?, options.path("dir")?);
    let items = items(kind, options.flag("short"), options.optional("mib")?)?;
    let (mut files, mut bytes) = (0_u64, 0_u64);
    for (index, item) in items.enumerate() {
        write(&dir, &item, index as u64, options.flag("sparse"))?;
        files += 1;
        bytes += item.len;
    }
    say(&json!({ "files": files, "bytes": bytes }));
    Ok(())
}

/// The files of a workload; `short` ones have a quarter of the bytes or less.
fn items(kind: &str, short: bool, mib: Option<u64>) -> Result<Box<dyn Iterator<Item = Item>>> {
    let whole = mib.unwrap_or(if short { 512 } else { 2048 }) * MIB;
    Ok(match kind {
        "A" => Box::new(std::iter::once(Item { path: "a.bin".into(), len: whole })),
        "B" => Box::new(medium(if short { 50 } else { 200 }, whole)),
        "C" => Box::new(small(if short { 5_000 } else { 20_000 })),
        "D" => Box::new(tiny(if short { 50 } else { 1_000 })),
        unknown => return Err(format!("unknown workload {unknown:?}").into()),
    })
}

/// Log-uniform sizes from 1 to 64 MiB, scaled until they make `whole`.
fn medium(count: usize, whole: u64) -> impl Iterator<Item = Item> {
    let mut random = Random(42);
    let drawn: Vec<f64> = (0..count).map(|_| 64_f64.powf(random.unit())).collect();
    let sizes =
        |scale: f64| drawn.iter().map(move |size| ((size * scale).clamp(1.0, 64.0) * MIB as f64) as u64);
    let (mut low, mut high) = (0.01, 100.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if sizes(middle).sum::<u64>() <= whole { low = middle } else { high = middle }
    }
    let mut lens: Vec<u64> = sizes(low).collect();
    let short_of = whole.saturating_sub(lens.iter().sum());
    if let Some(first) = lens.first_mut() {
        *first += short_of;
    }
    lens.into_iter().enumerate().map(|(i, len)| Item { path: format!("part-{i:05}.sst"), len })
}

fn small(count: u64) -> impl Iterator<Item = Item> {
    let mut random = Random(43);
    (0..count).map(move |i| {
        let most = if random.below(100) < 35 { 16 } else { 64 };
        let len = 4 * KIB + random.below((most - 4) * KIB + 1);
        Item { path: format!("{:02}/f{i:06}.bin", i % 100), len }
    })
}

fn tiny(dirs: u64) -> impl Iterator<Item = Item> {
    let file = |dir, i| Item { path: format!("{dir:04}/{i:04}.rec"), len: KIB };
    (0..dirs).flat_map(move |dir| (0..1_000).map(move |i| file(dir, i)))
}

/// Writes a file of bytes that depend on its place in the workload only, or one of holes.
fn write(dir: &Path, item: &Item, index: u64, sparse: bool) -> Result<()> {
    let path = dir.join(&item.path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = File::create(path)?;
    if sparse {
        file.set_len(item.len)?;
        return Ok(());
    }
    let mut random = Random(index << 32);
    let mut left = usize::try_from(item.len)?;
    let mut block = vec![0; BLOCK.min(left)];
    while left > 0 {
        let step = left.min(block.len());
        random.fill(&mut block[..step]);
        file.write_all(&block[..step])?;
        left -= step;
    }
    Ok(())
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn fill(&mut self, block: &mut [u8]) {
        for word in block.chunks_mut(8) {
            word.copy_from_slice(&self.next().to_le_bytes()[..word.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lens(kind: &str, short: bool) -> Vec<u64> {
        items(kind, short, None).unwrap().map(|item| item.len).collect()
    }

    #[test]
    fn workloads_are_as_large_as_they_say() {
        assert_eq!(lens("A", false), [2048 * MIB]);
        let b = lens("B", false);
        assert_eq!((b.len(), b.iter().sum::<u64>()), (200, 2048 * MIB));
        assert!(b.iter().all(|len| (MIB..=65 * MIB).contains(len)), "{b:?}");
        let c = lens("C", false);
        assert!(c.len() == 20_000 && c.iter().all(|len| (4 * KIB..=64 * KIB).contains(len)));
        assert_eq!(lens("D", true), vec![KIB; 50_000]);
        assert!(items("E", false, None).is_err());
    }

    #[test]
    fn the_same_bytes_come_out_every_time() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let item = Item { path: "d/f".into(), len: 100_003 };
        for dir in [&one, &two] {
            write(dir.path(), &item, 7, false).unwrap();
        }
        let read = |dir: &tempfile::TempDir| fs::read(dir.path().join("d/f")).unwrap();
        assert_eq!(read(&one).len(), 100_003);
        assert_eq!(read(&one), read(&two));
    }
}
