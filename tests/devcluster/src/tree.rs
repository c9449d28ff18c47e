//! Whether two directories hold the same files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Bytes that are compared at a time.
const STEP: usize = 1 << 20;

/// All files below a directory, by their path in it, with their lengths.
///
/// # Errors
///
/// If something cannot be listed, or is neither a file nor a directory.
pub fn files(root: &Path) -> Result<BTreeMap<PathBuf, u64>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).map_err(Error::at(dir.display()))? {
            let entry = entry.map_err(Error::at(dir.display()))?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(Error::at(dir.display()))?);
            if kind.is_dir() {
                dirs.push(path);
            } else if kind.is_file() {
                let len = entry.metadata().map_err(Error::at(path.display()))?.len();
                let inside = path.strip_prefix(root).map_err(Error::new)?;
                found.insert(inside.to_owned(), len);
            } else {
                return Err(Error::new(format!("{} is neither a file nor a directory", path.display())));
            }
        }
    }
    Ok(found)
}

/// The first difference between the files of two directories, byte for byte; `None` if they are
/// equal.
///
/// # Errors
///
/// If something cannot be read.
pub fn difference(left: &Path, right: &Path) -> Result<Option<String>> {
    let (files_left, files_right) = (files(left)?, files(right)?);
    if let Some(lost) = files_left.keys().find(|path| !files_right.contains_key(*path)) {
        return Ok(Some(format!("{} is missing in {}", lost.display(), right.display())));
    }
    if let Some(extra) = files_right.keys().find(|path| !files_left.contains_key(*path)) {
        return Ok(Some(format!("{} is only in {}", extra.display(), right.display())));
    }
    for path in files_left.keys() {
        if !same(&left.join(path), &right.join(path))? {
            return Ok(Some(format!("{} differs", path.display())));
        }
    }
    Ok(None)
}

fn same(left: &Path, right: &Path) -> Result<bool> {
    let (mut a, mut b) = (open(left)?, open(right)?);
    let (mut block_a, mut block_b) = (Vec::new(), Vec::new());
    loop {
        read_block(&mut a, &mut block_a, left)?;
        read_block(&mut b, &mut block_b, right)?;
        if block_a != block_b {
            return Ok(false);
        }
        if block_a.is_empty() {
            return Ok(true);
        }
    }
}

fn open(path: &Path) -> Result<BufReader<File>> {
    File::open(path).map(BufReader::new).map_err(Error::at(path.display()))
}

fn read_block(from: &mut BufReader<File>, block: &mut Vec<u8>, path: &Path) -> Result<()> {
    block.clear();
    from.take(STEP as u64).read_to_end(block).map(drop).map_err(Error::at(path.display()))
}
