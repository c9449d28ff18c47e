//! The way of bytes from one end of a link to the other.

use std::collections::VecDeque;

use bytes::Bytes;

/// What one direction of a stream has taken from its writer and not yet given to its reader.
///
/// Every byte of the in-memory network passes here and nowhere else: a link with a rate and a
/// delay is a change to this type alone. Today what is taken can be read at once.
#[derive(Debug)]
pub(super) struct Delivery {
    under_way: VecDeque<Bytes>,
    bytes: usize,
    window: usize,
}

impl Delivery {
    /// Holds at most `window` bytes.
    pub(super) fn new(window: usize) -> Self {
        Self { under_way: VecDeque::new(), bytes: 0, window: window.max(1) }
    }

    /// Takes from the front of `chunk` what the window allows, without copying, and says how much.
    pub(super) fn take_from(&mut self, chunk: &mut Bytes) -> usize {
        let len = chunk.len().min(self.window - self.bytes);
        if len > 0 {
            self.bytes += len;
            self.under_way.push_back(chunk.split_to(len));
        }
        len
    }

    /// The next bytes in order, at most `max`.
    pub(super) fn give(&mut self, max: usize) -> Option<Bytes> {
        let front = self.under_way.front_mut()?;
        let given = front.split_to(front.len().min(max));
        if front.is_empty() {
            self.under_way.pop_front();
        }
        self.bytes -= given.len();
        Some(given)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Throws away what is under way.
    pub(super) fn clear(&mut self) {
        self.under_way.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_takes_nothing_until_it_is_read() {
        let mut delivery = Delivery::new(4);
        let mut chunk = Bytes::from_static(b"abcdef");
        assert_eq!(delivery.take_from(&mut chunk), 4);
        assert_eq!(delivery.take_from(&mut chunk), 0);
        assert_eq!(delivery.give(3).as_deref(), Some(&b"abc"[..]));
        assert_eq!(delivery.take_from(&mut chunk), 2);
        assert!(chunk.is_empty());
        assert_eq!(delivery.give(9).as_deref(), Some(&b"d"[..]));
        assert_eq!(delivery.give(9).as_deref(), Some(&b"ef"[..]));
        assert!(delivery.is_empty());
        assert_eq!(delivery.give(9), None);
    }

    #[test]
    fn bytes_are_handed_on_without_a_copy() {
        let mut delivery = Delivery::new(1024);
        let chunk = Bytes::from(vec![7; 100]);
        delivery.take_from(&mut chunk.clone());
        assert_eq!(delivery.give(100).unwrap().as_ptr(), chunk.as_ptr());
    }
}
