//! Machines as parts of a state. The cores are not `Hash`: their Debug form is, once moments are
//! written relative to now, and what is only counted and noted is left out.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use peerstream_types::Timestamp;

/// How the Debug form of a machine begins what it has counted and noted, on which nothing depends.
const NOTES: [&str; 2] = ["stats: Stats {", "visited: Visited("];

/// A value with the fingerprint of its canonical form. Clones share the value.
#[derive(Debug, Clone)]
pub struct Kept<T> {
    value: Arc<T>,
    print: u64,
}

impl<T: Debug + Clone> Kept<T> {
    /// Keeps a value as it is at `now`.
    pub fn new(value: T, now: Timestamp) -> Self {
        let mut hasher = DefaultHasher::new();
        canonical(&value, now).hash(&mut hasher);
        Self { print: hasher.finish(), value: Arc::new(value) }
    }

    /// The value.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// A clone of the value, to change.
    pub fn edit(&self) -> T {
        self.value.as_ref().clone()
    }

    /// The fingerprint: equal for equal canonical forms.
    pub fn print(&self) -> u64 {
        self.print
    }
}

impl<T> PartialEq for Kept<T> {
    fn eq(&self, other: &Self) -> bool {
        self.print == other.print
    }
}

impl<T> Hash for Kept<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.print.hash(state);
    }
}

/// The Debug form with every moment as its distance from `now` in microseconds, and without notes.
/// The machines take time as an argument and compare moments only with each other, so what differs
/// in the origin alone behaves the same.
pub fn canonical(value: &impl Debug, now: Timestamp) -> String {
    let text = format!("{value:?}");
    let now = i128::try_from(now.since_origin().as_micros()).expect("a moment has 64 bits");
    let mut out = String::with_capacity(text.len());
    let (mut from, mut at) = (0, 0);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        let fresh = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
        if fresh && bytes[at].is_ascii_digit() {
            if let Some((len, micros)) = moment(&bytes[at..]) {
                out.push_str(&text[from..at]);
                out.push_str(&format!("{:+}us", micros - now));
                at += len;
                from = at;
                continue;
            }
        } else if fresh && NOTES.iter().any(|note| bytes[at..].starts_with(note.as_bytes())) {
            out.push_str(&text[from..at]);
            at += up_to_close(&bytes[at..]);
            from = at;
            continue;
        }
        at += 1;
    }
    out.push_str(&text[from..]);
    out
}

/// Length and microseconds of a moment, `h:mm:ss.micros`, at the start of a text.
fn moment(bytes: &[u8]) -> Option<(usize, i128)> {
    let hours = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = bytes.get(hours..hours + 13)?;
    let is_number = |range: std::ops::Range<usize>| rest[range].iter().all(u8::is_ascii_digit);
    let fits = rest[0] == b':' && rest[3] == b':' && rest[6] == b'.';
    if !fits || !is_number(1..3) || !is_number(4..6) || !is_number(7..13) {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0, |n, digit| n * 10 + i128::from(digit - b'0'));
    let seconds = (number(&bytes[..hours]) * 60 + number(&rest[1..3])) * 60 + number(&rest[4..6]);
    Some((hours + 13, seconds * 1_000_000 + number(&rest[7..13])))
}

/// Length of a text up to the bracket that closes its first one.
fn up_to_close(bytes: &[u8]) -> usize {
    let mut depth = 0;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' if depth == 1 => return at + 1,
            b'}' | b')' | b']' => depth -= 1,
            _ => {}
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Stats {
        #[expect(dead_code, reason = "seen in the Debug form")]
        sent: Option<u32>,
    }

    #[derive(Debug)]
    #[expect(dead_code, reason = "seen in the Debug form")]
    struct Machine {
        said: Timestamp,
        due: Option<Timestamp>,
        stats: Stats,
        name: &'static str,
    }

    fn machine(origin: u64, sent: u32, name: &'static str) -> Machine {
        let at = |millis| Timestamp::from_millis(origin + millis);
        Machine { said: at(0), due: Some(at(7_200_000)), stats: Stats { sent: Some(sent) }, name }
    }

    #[test]
    fn only_relative_time_counts() {
        let form = |origin, now, name| canonical(&machine(origin, 1, name), Timestamp::from_millis(now));
        assert_eq!(form(5, 1_005, "12:30"), form(9_000_000, 9_001_000, "12:30"));
        assert_ne!(form(5, 1_005, "a"), form(5, 1_006, "a"));
        assert!(form(5, 1_005, "12:30").contains("said: -1000000us, due: Some(+7199000000us)"));
        assert!(form(5, 1_005, "12:30").ends_with("name: \"12:30\" }"));
    }

    #[test]
    fn counters_do_not_count() {
        let form = |sent, name| canonical(&machine(0, sent, name), Timestamp::ZERO);
        assert_eq!(form(1, "a"), form(2, "a"));
        assert_ne!(form(1, "a"), form(1, "b"));
    }
}
