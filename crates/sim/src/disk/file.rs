//! An open file of a process.

use std::sync::Arc;

use bytes::Bytes;
use peerstream_snapshot::{BoxFuture, DiskError, DiskFile};

use super::{Cost, SimDisk, look, sync};

#[derive(Debug)]
pub(super) struct SimFile {
    disk: SimDisk,
    inner: Arc<dyn DiskFile>,
}

impl SimFile {
    pub(super) fn new(disk: SimDisk, inner: Arc<dyn DiskFile>) -> Self {
        Self { disk, inner }
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, offset: u64, len: usize) -> BoxFuture<'_, Result<Bytes, DiskError>> {
        let cost = |read: &Result<Bytes, DiskError>| Cost::Bytes(read.as_ref().map_or(0, Bytes::len));
        Box::pin(self.disk.operate(self.inner.read_at(offset, len), cost))
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> BoxFuture<'_, Result<(), DiskError>> {
        let len = bytes.len();
        Box::pin(self.disk.operate(self.inner.write_at(offset, bytes), move |_| Cost::Bytes(len)))
    }

    fn len(&self) -> BoxFuture<'_, Result<u64, DiskError>> {
        Box::pin(self.disk.operate(self.inner.len(), look))
    }

    fn set_len(&self, len: u64) -> BoxFuture<'_, Result<(), DiskError>> {
        Box::pin(self.disk.operate(self.inner.set_len(len), look))
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), DiskError>> {
        Box::pin(self.disk.operate(self.inner.sync(), sync))
    }
}
