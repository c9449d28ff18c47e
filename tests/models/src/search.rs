//! Searching a world to its end, and how large it was.

use std::fmt::{self, Debug};
use std::hash::Hash;

use stateright::{Checker, HasDiscoveries, Model};

/// The size of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Different states.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// Steps of the longest way that was searched.
    pub depth: usize,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} states, {} steps, depth {}", self.states, self.steps, self.depth)
    }
}

/// Visits every state.
///
/// # Panics
///
/// If a property is violated, with the steps that lead there; if what some run must reach is never
/// reached; and wherever a machine panics.
pub fn exhaust<M>(model: M) -> Size
where
    M: Model + Send + Sync + 'static,
    M::State: Debug + Clone + PartialEq + Hash + Send + Sync + 'static,
    M::Action: Debug + Clone + PartialEq,
{
    let checker = model.checker().spawn_dfs().join();
    checker.assert_properties();
    Size { states: checker.unique_state_count(), steps: checker.state_count(), depth: checker.max_depth() }
}

/// Searches until one property is violated, and gives the steps of the shortest way there.
///
/// # Panics
///
/// If it never is.
pub fn violates<M>(model: M, property: &'static str) -> Vec<M::Action>
where
    M: Model + Send + Sync + 'static,
    M::State: Debug + Clone + PartialEq + Hash + Send + Sync + 'static,
    M::Action: Debug + Clone + PartialEq,
{
    let until = HasDiscoveries::AnyOf([property].into());
    let checker = model.checker().finish_when(until).spawn_bfs().join();
    checker.assert_any_discovery(property).into_actions()
}

#[cfg(test)]
mod tests {
    use stateright::Property;

    use super::*;

    /// Counts to `panics_at`.
    struct Counter {
        panics_at: u8,
    }

    impl Model for Counter {
        type State = u8;
        type Action = ();

        fn init_states(&self) -> Vec<u8> {
            vec![0]
        }

        fn actions(&self, count: &u8, actions: &mut Vec<()>) {
            if *count < 9 {
                actions.push(());
            }
        }

        fn next_state(&self, count: &u8, (): ()) -> Option<u8> {
            assert_ne!(*count, self.panics_at, "as planted");
            Some(count + 1)
        }

        fn properties(&self) -> Vec<Property<Self>> {
            vec![Property::always("small", |_, count| *count < 100)]
        }
    }

    #[test]
    fn every_state_is_visited() {
        assert_eq!(exhaust(Counter { panics_at: 50 }).states, 10);
    }

    #[test]
    #[should_panic = "checker thread"]
    fn a_machine_that_panics_ends_the_search() {
        exhaust(Counter { panics_at: 5 });
    }
}
