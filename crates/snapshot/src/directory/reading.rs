//! Reads that notice when a file is not what its manifest says.

use bytes::Bytes;

use crate::disk::DiskErrorKind;
use crate::{DiskError, DiskFile, OffloadGone, SourceError};
use peerstream_types::Entry;

/// Why content could not be read as its manifest says.
#[derive(Debug)]
pub(super) enum ReadError {
    /// Shorter, longer, gone, or other content.
    Changed(String),
    Disk(DiskError),
    Offload(OffloadGone),
}

impl ReadError {
    /// As the error of a snapshot, about `entry`.
    pub(super) fn of(self, entry: &Entry) -> SourceError {
        match self {
            Self::Changed(why) => {
                SourceError::Changed { ordinal: entry.ordinal, key: entry.key.clone(), why }
            }
            Self::Disk(error) => SourceError::Disk(error),
            Self::Offload(error) => SourceError::Offload(error),
        }
    }
}

impl From<DiskError> for ReadError {
    fn from(error: DiskError) -> Self {
        match error.kind {
            DiskErrorKind::NotFound => Self::Changed("it is gone".into()),
            DiskErrorKind::Full | DiskErrorKind::Corrupt | DiskErrorKind::Other => Self::Disk(error),
        }
    }
}

impl From<OffloadGone> for ReadError {
    fn from(gone: OffloadGone) -> Self {
        Self::Offload(gone)
    }
}

/// Reads `len` bytes at `offset` of a file that has `file_len` bytes. The read that ends where the
/// file should end asks for one byte more, so that a longer file is noticed for free.
pub(super) async fn read_exact(
    file: &dyn DiskFile,
    file_len: u64,
    offset: u64,
    len: usize,
) -> Result<Bytes, ReadError> {
    let probe = usize::from(offset + len as u64 == file_len);
    let bytes = file.read_at(offset, len + probe).await?;
    if bytes.len() < len {
        let found = offset + bytes.len() as u64;
        return Err(ReadError::Changed(format!("{found} bytes instead of {file_len}")));
    }
    if bytes.len() > len {
        return Err(ReadError::Changed(format!("more than {file_len} bytes")));
    }
    Ok(bytes)
}
