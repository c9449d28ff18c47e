//! `hold-memory MIB`: keeps free memory scarce and warm while something else is measured.
//!
//! A virtual machine may hand its free pages back to the host. Every page that a program then takes
//! from the free list costs a fault in the host, several times what writing it costs, and at random.
//! This process holds nearly all free memory, touched, and gives it back in steps while a measured
//! program takes it: what the program gets has been backed a moment ago.
//!
//! It fills up until `MIB` are free at every line that it reads, answers with a line, and ends with its
//! input. A program of its own, because it needs the system's allocator: others keep what is freed.
#![expect(clippy::print_stdout, reason = "it answers the bench")]

use std::io::BufRead;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// What is taken and given at a time. More than the allocator keeps for itself, so that it is the
/// system's again once it is dropped.
const STEP_MIB: u64 = 64;
/// Free memory beyond the mark before more is taken.
const SLACK_MIB: u64 = 100;
/// How often it looks, while it feeds: 2 ms are 20 MiB of page cache at ten times the wire.
const LOOK: Duration = Duration::from_millis(2);
/// A page.
const PAGE: usize = 4096;

fn main() -> Result<()> {
    let low: u64 = std::env::args().nth(1).ok_or("how many MiB are to be left free?")?.parse()?;
    std::fs::write("/proc/self/oom_score_adj", "1000")?;
    let asked = lines();
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        match asked.recv_timeout(LOOK) {
            Ok(()) => {
                fill(&mut held, low)?;
                println!("{} MiB held", held.len() as u64 * STEP_MIB);
            }
            Err(RecvTimeoutError::Timeout) => feed(&mut held, low)?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

fn lines() -> Receiver<()> {
    let (asks, asked) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if line.is_err() || asks.send(()).is_err() {
                return;
            }
        }
    });
    asked
}

fn fill(held: &mut Vec<Vec<u8>>, low: u64) -> Result<()> {
    while free_mib()? > low + SLACK_MIB + STEP_MIB {
        let mut step = vec![0_u8; (STEP_MIB << 20) as usize];
        // Untouched, it would be a promise rather than memory.
        step.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
        held.push(step);
    }
    Ok(())
}

fn feed(held: &mut Vec<Vec<u8>>, low: u64) -> Result<()> {
    let short = low.saturating_sub(free_mib()?);
    let steps = usize::try_from(short.div_ceil(STEP_MIB))?;
    held.truncate(held.len().saturating_sub(steps));
    Ok(())
}

fn free_mib() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemFree:")).ok_or("no MemFree")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024)
}
