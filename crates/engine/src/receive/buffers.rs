//! Recycled buffers that received records are gathered in.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Size of a recycled buffer, and of a batch of small records: a chunk of the default size, or some
/// hundred small entries. It stays in the cache from the copy out of the transport to the write.
pub(crate) const BUFFER_LEN: usize = 256 * 1024;
/// Most idle buffers that a node keeps, 4 MiB: as many as a few fetches use at a time.
const IDLE_MAX: usize = 16;

/// Buffers of [`BUFFER_LEN`] bytes that come back when the last `Bytes` made of them is dropped. A
/// fresh one costs page faults, a recycled one nothing. How many are out is bounded by those who
/// take them: two by every fetch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// An empty buffer with room for `len` bytes, and at least for [`BUFFER_LEN`].
    pub(super) fn take(&self, len: usize) -> Vec<u8> {
        let idle = if len <= BUFFER_LEN { self.lock().pop() } else { None };
        idle.unwrap_or_else(|| Vec::with_capacity(len.max(BUFFER_LEN)))
    }

    /// The content of a buffer, to be sliced; the buffer comes back after the last slice.
    pub(super) fn freeze(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { buffer, home: self.clone() })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer that is out.
struct Lent {
    buffer: Vec<u8>,
    home: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let mut idle = self.home.lock();
        // Larger ones are for chunks of another size than usual, and not worth keeping.
        if idle.len() < IDLE_MAX && buffer.capacity() == BUFFER_LEN {
            idle.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F-64: idle buffers are few, and large ones are not kept.
    #[test]
    fn buffers_come_back_and_few_are_kept() {
        let buffers = Buffers::default();
        let mut first = buffers.take(10);
        first.extend_from_slice(b"0123456789");
        let place = first.as_ptr();
        let (a, b) = {
            let bytes = buffers.freeze(first);
            (bytes.slice(..4), bytes.slice(4..))
        };
        drop(a);
        assert_eq!((&b[..], buffers.lock().len()), (&b"456789"[..], 0));
        drop(b);
        let again = buffers.take(BUFFER_LEN);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));

        drop(buffers.freeze(buffers.take(BUFFER_LEN + 1)));
        assert_eq!(buffers.lock().len(), 0);
        let many: Vec<Bytes> = (0..2 * IDLE_MAX).map(|_| buffers.freeze(buffers.take(1))).collect();
        drop(many);
        assert_eq!(buffers.lock().len(), IDLE_MAX);
    }
}
