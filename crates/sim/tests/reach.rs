//! A modest sweep visits everything that there is, or it is excused with a reason.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod sweep;

use peerstream_sim::reach::{EXCEPTIONS, Reach, Report};

#[test]
fn everything_is_visited_or_excused() {
    let mut reach = Reach::default();
    for part in [
        sweep::agreement::run,
        sweep::agreement::run_long,
        sweep::blocks::run,
        sweep::content::run,
        sweep::disks::run,
        sweep::endings::run,
        sweep::links::run,
        sweep::moments::run,
        sweep::phases::run,
        sweep::refusals::run,
        sweep::sessions::run,
        sweep::sources::run,
        sweep::stores::run,
        sweep::trust::run,
    ] {
        part(&mut reach);
    }
    let report = Report::of(&reach, EXCEPTIONS);
    assert!(report.is_clean(), "{report}");
    assert!(EXCEPTIONS.iter().all(|exception| !exception.reason.is_empty()));
}
