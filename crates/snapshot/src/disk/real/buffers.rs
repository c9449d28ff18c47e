//! Buffers for reads, aligned and used again. A fresh one costs its pages and their zeros every time,
//! and where the allocator puts a large one, 16 bytes into a page, the copy out of the page cache takes
//! four times as long on some machines: stores and loads seem to overlap.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Shortest read that gets a recycled buffer, in bytes. Below that the allocator is as good.
const RECYCLED_LEN_MIN: usize = 32 << 10;

/// Where buffers begin, in bytes: at a cache line.
const ALIGN: usize = 64;

/// Free buffers of one disk: as many as reads and writes are in flight between a disk and a few
/// peers.
const FREE_MAX: usize = 64;

/// Bytes of all free buffers of one disk: the window of a fast peer at the default chunk size, or two
/// of the largest chunks.
const FREE_BYTES_MAX: usize = 32 << 20;

/// The free buffers.
#[derive(Debug, Default)]
pub(super) struct Buffers(Mutex<Free>);

#[derive(Debug, Default)]
struct Free {
    /// The one that was used last, which the cache still has, at the end.
    buffers: VecDeque<Box<[u8]>>,
    bytes: usize,
}

impl Buffers {
    /// Hands a buffer of `len` bytes to `read`, which says how many it has filled from the beginning
    /// on. The buffer is free again once the answer and all its clones are dropped.
    pub(super) fn fill(
        self: &Arc<Self>,
        len: usize,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Bytes> {
        if len < RECYCLED_LEN_MIN {
            let mut buffer = vec![0; len];
            let filled = read(&mut buffer)?;
            buffer.truncate(filled);
            return Ok(buffer.into());
        }
        let bytes = self.lock().take(len).unwrap_or_else(|| vec![0; len + ALIGN].into_boxed_slice());
        let start = bytes.as_ptr().align_offset(ALIGN).min(ALIGN);
        let mut buffer = Buffer { bytes, start, end: start, home: self.clone() };
        buffer.end += read(&mut buffer.bytes[start..start + len])?;
        Ok(Bytes::from_owner(buffer))
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Free {
    /// A buffer that is long enough, and not so long that a small piece would hold a large one.
    fn take(&mut self, len: usize) -> Option<Box<[u8]>> {
        let fits = |room: usize| (len..=2 * len).contains(&room);
        let place = self.buffers.iter().rposition(|buffer| fits(buffer.len() - ALIGN))?;
        let buffer = self.buffers.remove(place)?;
        self.bytes -= buffer.len();
        Some(buffer)
    }

    /// Keeps a buffer; those that were not used for longest make room.
    fn give(&mut self, buffer: Box<[u8]>) {
        self.bytes += buffer.len();
        self.buffers.push_back(buffer);
        while self.buffers.len() > FREE_MAX || self.bytes > FREE_BYTES_MAX {
            let Some(oldest) = self.buffers.pop_front() else { return };
            self.bytes -= oldest.len();
        }
    }
}

/// A buffer in use.
#[derive(Debug)]
struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    home: Arc<Buffers>,
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.home.lock().give(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(buffers: &Arc<Buffers>, len: usize, byte: u8) -> Bytes {
        let read = |buffer: &mut [u8]| {
            buffer.fill(byte);
            Ok(buffer.len())
        };
        buffers.fill(len, read).unwrap()
    }

    #[test]
    fn a_buffer_is_used_again_once_all_of_it_is_dropped() {
        let buffers = Arc::new(Buffers::default());
        let first = fill(&buffers, RECYCLED_LEN_MIN, 1);
        let (place, part) = (first.as_ptr(), first.slice(5..9));
        drop(first);
        let second = fill(&buffers, RECYCLED_LEN_MIN, 2);
        assert_ne!(second.as_ptr(), place, "a part of it is in use");
        assert_eq!(part, [1; 4][..]);
        drop(part);
        assert_eq!(fill(&buffers, RECYCLED_LEN_MIN, 3).as_ptr(), place);
        assert_eq!(buffers.lock().buffers.len(), 1);
    }

    #[test]
    fn what_was_there_before_is_not_read() {
        let buffers = Arc::new(Buffers::default());
        drop(fill(&buffers, RECYCLED_LEN_MIN + 8, 7));
        let short = buffers.fill(RECYCLED_LEN_MIN, |buffer| {
            buffer[..2].fill(8);
            Ok(2)
        });
        assert_eq!(short.unwrap(), [8; 2][..]);
    }

    #[test]
    fn free_buffers_are_few_and_not_too_large() {
        let buffers = Arc::new(Buffers::default());
        let held: Vec<_> = (0..FREE_MAX + 9).map(|_| fill(&buffers, RECYCLED_LEN_MIN, 0)).collect();
        drop(held);
        assert_eq!(buffers.lock().buffers.len(), FREE_MAX);
        let large: Vec<_> = (0..3).map(|_| fill(&buffers, 12 << 20, 0)).collect();
        drop(large);
        let free = buffers.lock();
        assert_eq!((free.buffers.len(), free.bytes), (2, (24 << 20) + 2 * ALIGN), "the oldest made room");
    }

    #[test]
    fn large_reads_begin_at_a_cache_line() {
        let buffers = Arc::new(Buffers::default());
        let held: Vec<_> = (0..9).map(|i| fill(&buffers, RECYCLED_LEN_MIN << i, 0)).collect();
        assert!(held.iter().all(|bytes| bytes.as_ptr().align_offset(ALIGN) == 0));
    }

    #[test]
    fn a_failed_read_gives_its_buffer_back() {
        let buffers = Arc::new(Buffers::default());
        let failed = buffers.fill(RECYCLED_LEN_MIN, |_| Err(io::ErrorKind::Other.into()));
        failed.unwrap_err();
        assert_eq!(buffers.lock().buffers.len(), 1);
        let small = fill(&buffers, RECYCLED_LEN_MIN - 1, 0);
        drop(small);
        assert_eq!(buffers.lock().buffers.len(), 1, "small ones are not kept");
    }
}
