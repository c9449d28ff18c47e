//! A real fjall database with known content, for the demonstration: writes it, and checks every key.
//!
//! ```text
//! demo-store write DIR MIB     a new database of about MIB megabytes, closed cleanly
//! demo-store check DIR MIB     opens a copy and reads every key of it
//! ```
//!
//! A package of its own, because the chores in xtask have to build in seconds, and no part of the
//! product may depend on a database.
#![expect(clippy::print_stdout, reason = "it answers a person or a chore")]

use std::path::Path;
use std::process::ExitCode;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

/// Bytes of a value. Random ones, so that the database is as large as what was put into it.
const VALUE_LEN: usize = 1024;
/// Keys are written in steps of this prime, so that the database has to sort.
const STRIDE: u64 = 7_919;
/// Every so many keys, one is written, then written again.
const REWRITTEN_EVERY: u64 = 50;
/// Every so many keys, one is written, then removed.
const REMOVED_EVERY: u64 = 97;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<String> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["write", dir, mib] => write(Path::new(dir), keys_in(mib)?),
        ["check", dir, mib] => check(Path::new(dir), keys_in(mib)?),
        _ => Err("usage: demo-store write|check DIR MIB".into()),
    }
}

/// How many keys make a database of so many megabytes.
fn keys_in(mib: &str) -> Result<u64> {
    let mib: u64 = mib.parse()?;
    Ok(mib * (1 << 20) / VALUE_LEN as u64)
}

fn write(dir: &Path, keys: u64) -> Result<String> {
    if dir.exists() {
        return Err(format!("{} is already there", dir.display()).into());
    }
    let db = Database::builder(dir).open()?;
    let users = users(&db)?;
    for step in 0..keys {
        let i = step * STRIDE % keys;
        if i.is_multiple_of(REWRITTEN_EVERY) {
            users.insert(key(i), value(!i))?;
        }
        users.insert(key(i), value(i))?;
        if i.is_multiple_of(REMOVED_EVERY) {
            users.remove(key(i))?;
        }
    }
    db.persist(PersistMode::SyncAll)?;
    Ok(format!("wrote {} entries", left_of(keys)))
}

fn check(dir: &Path, keys: u64) -> Result<String> {
    let db = Database::builder(dir).open()?;
    let users = users(&db)?;
    let mut expected = (0..keys).filter(|i| !i.is_multiple_of(REMOVED_EVERY));
    for guard in users.iter() {
        let (found, content) = guard.into_inner()?;
        let i = expected.next().ok_or("more entries than were written")?;
        if *found != *key(i).as_bytes() {
            return Err(format!("found {} where {} belongs", found.escape_ascii(), key(i)).into());
        }
        if *content != *value(i) {
            return Err(format!("{} has another value than was written", key(i)).into());
        }
    }
    if let Some(i) = expected.next() {
        return Err(format!("{} and what follows is missing", key(i)).into());
    }
    Ok(format!("read {} entries, every one as it was written", left_of(keys)))
}

fn users(db: &Database) -> Result<Keyspace> {
    Ok(db.keyspace("users", KeyspaceCreateOptions::default)?)
}

fn left_of(keys: u64) -> u64 {
    keys - keys.div_ceil(REMOVED_EVERY)
}

/// Keys that sort like their numbers.
fn key(i: u64) -> String {
    format!("user:{i:012}")
}

/// The value of a key: splitmix64 from its number on.
fn value(i: u64) -> Vec<u8> {
    let mut state = i;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    });
    words.take(VALUE_LEN / 8).flat_map(u64::to_le_bytes).collect()
}
