//! The directory store on a disk that crashes: stopped before and after every change of a whole
//! transfer, killed and without power, full, failing and with flipped bits. What must hold is checked
//! through the contract only (promises 1 to 4 of the architecture).

#![expect(clippy::unwrap_used, reason = "all of this file is test code")]
#![expect(clippy::print_stdout, reason = "how many crashes there were is for people to see")]

mod checks;
mod every_stop;
mod failing;
mod full;
mod offer;
mod receiver;
mod recovery;
mod rot;

use std::fmt::Display;

/// Says where a test was when it failed.
struct Case(String);

impl Case {
    fn new(case: impl Display) -> Self {
        Self(case.to_string())
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the failing case: {}", self.0);
        }
    }
}
