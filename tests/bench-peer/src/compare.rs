//! `compare`: whether two directories hold the same files. A process of its own, because a million
//! names take memory, and children inherit the peak of the process that starts them.

use std::path::Path;

use devcluster::tree;

use crate::Result;
use crate::options::Options;

pub(crate) fn run(options: &Options) -> Result<()> {
    let (left, right) = (options.word(0, "a directory")?, options.word(1, "a second directory")?);
    match tree::difference(Path::new(left), Path::new(right))? {
        None => Ok(()),
        Some(difference) => Err(difference.into()),
    }
}
