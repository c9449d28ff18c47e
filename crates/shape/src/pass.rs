//! Counts and never holds back.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Charge, Class, Direction, Shaper};

/// A shaper without limits: counts what passes, by class and direction.
#[derive(Debug, Default)]
pub struct PassThrough {
    bytes: [[AtomicU64; Direction::ALL.len()]; Class::ALL.len()],
}

impl PassThrough {
    /// How many bytes of a class have passed in a direction.
    pub fn bytes(&self, class: Class, direction: Direction) -> u64 {
        self.counter(class, direction).load(Ordering::Relaxed)
    }

    fn counter(&self, class: Class, direction: Direction) -> &AtomicU64 {
        &self.bytes[class as usize][direction as usize]
    }
}

impl Shaper for PassThrough {
    fn charge(&self, charge: &Charge<'_>) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        self.counter(charge.class, charge.direction).fetch_add(charge.bytes, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_directions_are_counted_apart() {
        let shaper = PassThrough::default();
        for class in Class::ALL {
            for direction in Direction::ALL {
                let bytes = 1 + class as u64 * 10 + direction as u64;
                assert!(shaper.charge(&Charge { class, direction, peer: None, bytes }).is_none());
            }
        }
        for class in Class::ALL {
            for direction in Direction::ALL {
                assert_eq!(shaper.bytes(class, direction), 1 + class as u64 * 10 + direction as u64);
            }
        }
    }
}
