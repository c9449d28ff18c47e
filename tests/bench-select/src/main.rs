//! What it costs a receiver to compare the inventories of three peers: `cargo xtask bench select` starts
//! one of these per run.
//!
//! ```text
//! bench-select ENTRIES      prints one line of JSON
//! ```
#![expect(clippy::print_stdout, reason = "it answers the bench")]

mod comparison;
mod inventories;
mod usage;

use std::process::ExitCode;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-select: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let entries = std::env::args().nth(1).ok_or("how many entries?")?;
    println!("{}", comparison::measure(entries.parse()?)?);
    Ok(())
}
