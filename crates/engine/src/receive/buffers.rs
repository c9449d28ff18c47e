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
/// take them: two by every fetch. A node that receives nothing keeps none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffers(Arc<Mutex<Pool>>);

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<Vec<u8>>,
    receivers: usize,
}

/// Somebody who receives, or is about to: until the last one is dropped, idle buffers are kept.
#[derive(Debug)]
pub(crate) struct Receiving(Buffers);

impl Buffers {
    /// Keeps idle buffers for somebody who receives.
    pub(crate) fn receiving(&self) -> Receiving {
        self.lock().receivers += 1;
        Receiving(self.clone())
    }

    /// An empty buffer with room for `len` bytes, and at least for [`BUFFER_LEN`].
    pub(super) fn take(&self, len: usize) -> Vec<u8> {
        let idle = if len <= BUFFER_LEN { self.lock().idle.pop() } else { None };
        idle.unwrap_or_else(|| Vec::with_capacity(len.max(BUFFER_LEN)))
    }

    /// The content of a buffer, to be sliced; the buffer comes back after the last slice.
    pub(super) fn freeze(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { buffer, home: self.clone() })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        let idle = {
            let mut pool = self.0.lock();
            pool.receivers -= 1;
            if pool.receivers == 0 { std::mem::take(&mut pool.idle) } else { Vec::new() }
        };
        // Given back to the system without the lock.
        drop(idle);
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
        let mut pool = self.home.lock();
        // Larger ones are for chunks of another size than usual, and not worth keeping.
        if pool.receivers > 0 && pool.idle.len() < IDLE_MAX && buffer.capacity() == BUFFER_LEN {
            pool.idle.push(buffer);
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
        let _receiving = buffers.receiving();
        let mut first = buffers.take(10);
        first.extend_from_slice(b"0123456789");
        let place = first.as_ptr();
        let (a, b) = {
            let bytes = buffers.freeze(first);
            (bytes.slice(..4), bytes.slice(4..))
        };
        drop(a);
        assert_eq!((&b[..], idle(&buffers)), (&b"456789"[..], 0));
        drop(b);
        let again = buffers.take(BUFFER_LEN);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));

        drop(buffers.freeze(buffers.take(BUFFER_LEN + 1)));
        assert_eq!(idle(&buffers), 0);
        drop(many(&buffers));
        assert_eq!(idle(&buffers), IDLE_MAX);
    }

    /// F-64: a node that receives nothing holds no memory for it, also not what comes back late.
    #[test]
    fn no_buffer_is_kept_after_the_last_receiver() {
        let buffers = Buffers::default();
        let (first, second) = (buffers.receiving(), buffers.receiving());
        let late = buffers.freeze(buffers.take(1));
        drop(many(&buffers));
        drop(first);
        assert_eq!(idle(&buffers), IDLE_MAX);
        drop(second);
        assert_eq!(idle(&buffers), 0);
        drop(late);
        assert_eq!(idle(&buffers), 0);
    }

    fn idle(buffers: &Buffers) -> usize {
        buffers.lock().idle.len()
    }

    fn many(buffers: &Buffers) -> Vec<Bytes> {
        (0..2 * IDLE_MAX).map(|_| buffers.freeze(buffers.take(1))).collect()
    }
}
