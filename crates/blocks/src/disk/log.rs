//! A file that is appended to.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use peerstream_snapshot::disk::OpenMode;
use peerstream_snapshot::{Disk, DiskError, DiskFile};
use peerstream_types::EntryKey;

use super::record::{self, Check, PREFIX_LEN, Record, check_of};
use crate::limits::LOG_RECORD_LEN_MAX;
use crate::medium::{Change, Facts};

/// How a log begins; its number follows. The last part is the version of the format.
const MAGIC: &[u8; 16] = b"peerstream blk 1";
const HEAD_LEN: usize = MAGIC.len() + 8;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    number: u64,
    end: u64,
    /// The checksum of the last record.
    check: Check,
    durable: u64,
    /// A write was begun and is not known to have ended, so what follows the end may change by itself; or a
    /// sync was, so what was not durable may never be.
    in_doubt: bool,
}

fn head_of(number: u64) -> Bytes {
    [MAGIC.as_slice(), &number.to_be_bytes()].concat().into()
}

impl Log {
    /// An empty log in place of what is at `path`.
    pub(super) async fn create(disk: &dyn Disk, path: PathBuf, number: u64) -> Result<Self, DiskError> {
        disk.remove_file(&path).await?;
        let file = disk.open(&path, OpenMode::Create).await?;
        let head = head_of(number);
        file.write_at(0, head.clone()).await?;
        let (end, check) = (HEAD_LEN as u64, check_of(&head));
        Ok(Self { path, file, number, end, check, durable: 0, in_doubt: false })
    }

    /// The log at `path`, before its first record.
    pub(super) async fn open(disk: &dyn Disk, path: PathBuf, number: u64) -> Result<Self, DiskError> {
        let file = disk.open(&path, OpenMode::Write).await?;
        let head = file.read_at(0, HEAD_LEN).await?;
        if head != head_of(number) {
            return Err(DiskError::corrupt(&path, "it is no log, or another one"));
        }
        let (end, check) = (HEAD_LEN as u64, check_of(&head));
        Ok(Self { path, file, number, end, check, durable: 0, in_doubt: false })
    }

    /// The next whole record, and where its contents begin; `None` after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<(Record, u64)>, DiskError> {
        let prefix = self.file.read_at(self.end, PREFIX_LEN).await?;
        let Some(len) = prefix.first_chunk().map(|len| u32::from_be_bytes(*len) as usize) else {
            return Ok(None);
        };
        if prefix.len() < PREFIX_LEN || len > LOG_RECORD_LEN_MAX {
            return Ok(None);
        }
        let body_at = self.end + PREFIX_LEN as u64;
        let body = self.file.read_at(body_at, len).await?;
        if body.len() < len {
            return Ok(None);
        }
        let Some((record, check, contents_at)) = record::decode(&self.check, &prefix, &body) else {
            return Ok(None);
        };
        (self.end, self.check) = (body_at + len as u64, check);
        Ok(Some((record, body_at + contents_at as u64)))
    }

    /// Cuts off what is torn, after the last record was read. Until `durable` nothing may be.
    pub(super) async fn cut(&mut self, durable: u64) -> Result<(), DiskError> {
        if self.end < durable {
            let why = format!("its records end at {}, and {durable} bytes were durable", self.end);
            return Err(DiskError::corrupt(&self.path, why));
        }
        if self.file.len().await? > self.end {
            self.file.set_len(self.end).await?;
        }
        self.durable = durable;
        Ok(())
    }

    /// Appends a change. Answers what stands there without the contents, and where these begin. One that
    /// would not be read back is refused, and nothing changed.
    pub(super) async fn append(
        &mut self,
        changes: Vec<Change>,
        facts: Option<Facts>,
    ) -> Result<(Record, u64), DiskError> {
        let too_long = |len| {
            let why = format!("a record of {len} bytes, at most {LOG_RECORD_LEN_MAX} are allowed");
            DiskError::new("append", &self.path, &std::io::Error::other(why))
        };
        let encoded = record::encode(&self.check, changes, facts);
        let (record, bytes, check, contents_at) = encoded.map_err(too_long)?;
        let len = bytes.len() as u64;
        self.in_doubt = true;
        self.file.write_at(self.end, bytes).await?;
        self.in_doubt = false;
        let contents_at = self.end + contents_at as u64;
        (self.end, self.check) = (self.end + len, check);
        Ok((record, contents_at))
    }

    /// What is in the log at `at`, `len` bytes.
    pub(super) async fn read(&self, at: u64, len: u64) -> Result<Bytes, DiskError> {
        let len = usize::try_from(len).map_err(|_| DiskError::corrupt(&self.path, "a block is too long"))?;
        let bytes = self.file.read_at(at, len).await?;
        if bytes.len() < len {
            return Err(DiskError::corrupt(&self.path, "a block is cut off"));
        }
        Ok(bytes)
    }

    /// Makes all that was appended durable. A system that could not write something may forget that it
    /// should have, and the next sync is none the wiser: after one that failed or was abandoned, the log is
    /// in doubt.
    pub(super) async fn sync(&mut self) -> Result<(), DiskError> {
        self.in_doubt = true;
        self.file.sync().await?;
        self.in_doubt = false;
        Ok(())
    }

    /// All that was appended is durable, and the pointer says so.
    pub(super) fn set_durable(&mut self) {
        self.durable = self.end;
    }

    pub(super) fn is_durable(&self) -> bool {
        self.durable == self.end && !self.in_doubt
    }

    /// Whether the log is known to be durable up to `end`.
    pub(super) fn is_durable_to(&self, end: u64) -> bool {
        end <= self.durable
    }

    /// A block that is not what was written.
    pub(super) fn damage_of(&self, key: &EntryKey) -> DiskError {
        DiskError::corrupt(&self.path, format!("block {key} is not what was written"))
    }

    pub(super) fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    pub(super) fn doubt(&mut self) {
        self.in_doubt = true;
    }

    pub(super) fn file(&self) -> Arc<dyn DiskFile> {
        self.file.clone()
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }
}
