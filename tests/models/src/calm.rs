//! What follows when the faults end: from every state that the search visits, the calm way must lead
//! to an end.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Longest calm way in steps; the worlds' ways take a quarter of it.
const STEPS_MAX: usize = 400;

/// States from which the calm way is known to end. One way passes many states, so each costs one step.
#[derive(Debug, Default)]
pub struct Calm {
    known: Mutex<HashSet<u64>>,
    /// One way did not end: no other one has to be walked to say so.
    lost: AtomicBool,
}

impl Calm {
    /// Whether `next` leads from `state` to where it gives `None`, and `is_end` holds there.
    pub fn ends<S: Clone + Hash>(
        &self,
        state: &S,
        next: impl Fn(&S) -> Option<S>,
        is_end: impl Fn(&S) -> bool,
    ) -> bool {
        if self.lost.load(Ordering::Relaxed) {
            return false;
        }
        let mut way = Vec::new();
        let mut state = state.clone();
        loop {
            let print = print_of(&state);
            if self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(&print) {
                break;
            }
            way.push(print);
            match next(&state) {
                Some(then) if way.len() <= STEPS_MAX => state = then,
                None if is_end(&state) => break,
                Some(_) | None => {
                    self.lost.store(true, Ordering::Relaxed);
                    return false;
                }
            }
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).extend(way);
        true
    }
}

fn print_of(state: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}
