//! Panics of a run, also those of tasks that nobody waits for: a run in which something panicked has
//! failed.

use std::cell::RefCell;
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::Once;

/// What is remembered of the run on this thread.
#[derive(Debug, Default)]
struct Run {
    first: Option<String>,
    silent: bool,
}

thread_local! {
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
}

/// A run on this thread, from [`Panics::of_this_run`] on. It ends with [`Panics::first`].
#[derive(Debug)]
pub(crate) struct Panics(());

impl Panics {
    /// Remembers panics on this thread from now on. A silent run does not print them.
    pub(crate) fn of_this_run(silent: bool) -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            let before = take_hook();
            set_hook(Box::new(move |info| {
                if !remember(info) {
                    before(info);
                }
            }));
        });
        RUN.set(Some(Run { first: None, silent }));
        Self(())
    }

    /// The first panic of the run, and where it was.
    pub(crate) fn first(self) -> Option<String> {
        RUN.take().and_then(|run| run.first)
    }
}

/// Says whether it is to be silent.
fn remember(info: &PanicHookInfo<'_>) -> bool {
    // In a destructor of this thread there is nothing to remember it in.
    let seen = RUN.try_with(|run| {
        let mut run = run.try_borrow_mut().ok()?;
        let run = run.as_mut()?;
        run.first.get_or_insert_with(|| described(info));
        Some(run.silent)
    });
    seen.ok().flatten().unwrap_or(false)
}

fn described(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("a panic without a message");
    match info.location() {
        Some(at) => format!("{message} ({}:{})", at.file(), at.line()),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn the_first_panic_of_a_run_is_remembered() {
        let panics = Panics::of_this_run(true);
        for number in [1, 2] {
            assert!(catch_unwind(|| panic!("number {number}")).is_err());
        }
        let first = panics.first().unwrap();
        assert!(first.starts_with("number 1 (") && first.contains("panics.rs:"), "{first}");
        assert_eq!(Panics::of_this_run(true).first(), None);
    }
}
