//! Where things are below the root of a directory store.

use std::path::{Path, PathBuf};

use peerstream_types::{ChunkSize, Digest, ShardId};

use crate::Generation;
use crate::content::ContentId;

/// What ends the name of a generation that is not whole yet, and of a staging that is not any more.
const HALF_MADE: &str = ".tmp";

/// The directory of one shard: `<root>/<dataset>@<version>/<index>`.
#[derive(Debug, Clone)]
pub(super) struct ShardDir {
    root: PathBuf,
    path: PathBuf,
}

impl ShardDir {
    /// Dataset names hold nothing that means something in a path.
    pub(super) fn new(root: &Path, shard: &ShardId) -> Self {
        let dataset = format!("{}@{}", shard.dataset, shard.version);
        Self { root: root.to_owned(), path: root.join(dataset).join(shard.index.to_string()) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that names the visible generation.
    pub(super) fn current(&self) -> PathBuf {
        self.path.join("CURRENT")
    }

    pub(super) fn generations(&self) -> PathBuf {
        self.path.join("generations")
    }

    pub(super) fn generation(&self, generation: Generation) -> GenerationDir {
        GenerationDir(self.generations().join(generation.to_string()))
    }

    /// A generation while it is made.
    pub(super) fn half_made(&self, generation: Generation) -> GenerationDir {
        GenerationDir(self.generations().join(format!("{generation}{HALF_MADE}")))
    }

    pub(super) fn stagings(&self) -> PathBuf {
        self.path.join("staging")
    }

    /// What is staged for a generation. The number is part of the path, so that content that a
    /// published generation shares by hard link is never written to again.
    pub(super) fn staging(&self, generation: Generation) -> StagingDir {
        StagingDir(self.stagings().join(generation.to_string()))
    }

    /// The shard's directory and those above it down to the root, innermost first: whose names have
    /// to be synced when the shard is new.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = &Path> {
        self.path.ancestors().take_while(|path| path.starts_with(&self.root))
    }
}

/// What a name below `generations` or `staging` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbered {
    Whole(Generation),
    HalfMade,
}

impl Numbered {
    /// `None` for names that are not ours.
    pub(super) fn parse(name: &std::ffi::OsStr) -> Option<Self> {
        let name = name.to_str()?;
        let number = |text: &str| text.parse().ok().filter(|n: &u64| n.to_string() == text);
        match name.strip_suffix(HALF_MADE) {
            Some(half) => number(half).map(|_| Self::HalfMade),
            None => number(name).map(Generation).map(Self::Whole),
        }
    }
}

/// The directory of one generation.
#[derive(Debug, Clone)]
pub(super) struct GenerationDir(PathBuf);

impl GenerationDir {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Where the entries are, by their keys.
    pub(super) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// The manifest.
    pub(super) fn catalog(&self) -> PathBuf {
        self.0.join("catalog")
    }
}

/// The directory of one staging.
#[derive(Debug, Clone)]
pub(super) struct StagingDir(PathBuf);

impl StagingDir {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Its name while it is removed: nobody opens it again.
    pub(super) fn half_removed(&self) -> PathBuf {
        let mut name = self.0.clone().into_os_string();
        name.push(HALF_MADE);
        name.into()
    }

    pub(super) fn contents(&self) -> PathBuf {
        self.0.join("content")
    }

    pub(super) fn content(&self, id: &ContentId) -> PathBuf {
        self.contents().join(name_of(id))
    }

    /// Where content lies of which chunks are missing.
    pub(super) fn partials(&self) -> PathBuf {
        self.0.join("partial")
    }

    pub(super) fn partial(&self, id: &ContentId) -> PathBuf {
        self.partials().join(name_of(id))
    }

    /// Where files of the visible generation wait to be hashed.
    pub(super) fn locals(&self) -> PathBuf {
        self.0.join("local")
    }

    pub(super) fn local(&self, id: &ContentId) -> PathBuf {
        self.locals().join(name_of(id))
    }

    pub(super) fn packs(&self) -> PathBuf {
        self.0.join("packs")
    }

    pub(super) fn attempts(&self) -> PathBuf {
        self.0.join("attempts")
    }

    pub(super) fn attempt(&self, number: u32) -> PathBuf {
        self.attempts().join(number.to_string())
    }

    pub(super) fn outlines(&self) -> PathBuf {
        self.0.join("outlines")
    }

    pub(super) fn outline(&self, id: &ContentId) -> PathBuf {
        self.outlines().join(name_of(id))
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }
}

fn name_of(id: &ContentId) -> String {
    let ContentId { digest, len, chunk_size } = id;
    let hex = blake3::Hash::from_bytes(*Digest::as_bytes(digest)).to_hex();
    format!("{}-{hex}-{len}-{}", digest.algorithm(), ChunkSize::bytes(*chunk_size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_numbered() {
        let parse = |name: &str| Numbered::parse(name.as_ref());
        assert_eq!(parse("12"), Some(Numbered::Whole(Generation(12))));
        assert_eq!(parse("12.tmp"), Some(Numbered::HalfMade));
        for other in ["", ".tmp", "012", "-1", "+1", "1.bak", "lost+found", "99999999999999999999"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_shard_lies_below_its_dataset() {
        let dir = ShardDir::new(Path::new("/r/s"), &"metrics@3/17".parse().unwrap());
        assert_eq!(dir.generation(Generation(2)).data(), Path::new("/r/s/metrics@3/17/generations/2/data"));
        let above: Vec<_> = dir.ancestors().collect();
        assert_eq!(above, ["/r/s/metrics@3/17", "/r/s/metrics@3", "/r/s"].map(Path::new));
    }
}
