//! Was everything visited? Counts what a run came across, over all runs of a sweep, and says what was
//! never reached although nobody excused it.

mod exceptions;
mod universe;

use std::collections::BTreeMap;
use std::fmt;

use peerstream_engine::Visited;

pub use exceptions::{EXCEPTIONS, Exception};
pub use universe::universe;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Faults that took effect.
    Fault,
    /// The kinds of change at which a disk lost its power.
    CrashPoint,
    /// Inputs of sessions: role, state, input. Everything that the table of sessions has a row for.
    Session,
    /// Messages between sessions.
    Message,
    /// Codes on the wire.
    Code,
    /// Errors of transports, sources and sinks, by variant.
    Error,
    /// Reasons for waiting.
    Wait,
    /// Reasons for closing a source.
    Close,
    /// What sources of one shard do for each other.
    Share,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fault => "fault",
            Self::CrashPoint => "crash point",
            Self::Session => "session",
            Self::Message => "message",
            Self::Code => "code",
            Self::Error => "error",
            Self::Wait => "wait",
            Self::Close => "close",
            Self::Share => "share",
        })
    }
}

/// Something to reach.
pub type Item = (Group, String);

/// How often everything was reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    counts: BTreeMap<Item, u64>,
}

impl Reach {
    /// Counts something once.
    pub fn hit(&mut self, group: Group, item: impl fmt::Display) {
        *self.counts.entry((group, item.to_string())).or_default() += 1;
    }

    /// Adds what another run reached.
    pub fn add(&mut self, other: &Self) {
        for (item, count) in &other.counts {
            *self.counts.entry(item.clone()).or_default() += count;
        }
    }

    /// Adds what an engine visited.
    pub fn visited(&mut self, visited: &Visited) {
        visited.steps().for_each(|step| self.hit(Group::Session, step));
        visited.waits().for_each(|reason| self.hit(Group::Wait, reason));
        visited.closes().for_each(|reason| self.hit(Group::Close, reason));
        visited.shares().for_each(|what| self.hit(Group::Share, what));
    }

    /// Adds the faults and crash points that a trace tells of.
    pub fn trace(&mut self, trace: &str) {
        for line in trace.lines() {
            if let Some((_, effect)) = line.split_once(": took effect: ") {
                self.hit(Group::Fault, effect);
            }
            universe::NOTICED
                .iter()
                .filter(|(_, signs)| signs.iter().all(|sign| line.contains(sign)))
                .for_each(|(name, _)| self.hit(Group::Fault, name));
            if let Some((_, at)) = line.split_once("power is lost at ") {
                let kind: String = at.chars().take_while(|c| c.is_alphanumeric()).collect();
                self.hit(Group::CrashPoint, kind);
            }
        }
    }

    /// How often something was reached.
    pub fn count(&self, group: Group, item: &str) -> u64 {
        self.counts.get(&(group, item.to_owned())).copied().unwrap_or(0)
    }
}

/// What a sweep left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Never reached, and not excused.
    pub missed: Vec<Item>,
    /// Excused, and reached all the same: the exception has to go.
    pub stale: Vec<Item>,
    /// Excused, and nothing that could be reached: a slip of the pen, or long gone.
    pub unknown: Vec<Item>,
    /// Reached.
    pub reached: usize,
}

impl Report {
    /// Holds what was reached against everything that there is.
    pub fn of(reach: &Reach, exceptions: &[Exception]) -> Self {
        let all = universe();
        let mut report = Self::default();
        for item in &all {
            let is_excused = exceptions.iter().any(|exception| exception.excuses(item));
            match (reach.counts.contains_key(item), is_excused) {
                (true, false) => report.reached += 1,
                (true, true) => report.stale.push(item.clone()),
                (false, false) => report.missed.push(item.clone()),
                (false, true) => {}
            }
        }
        let excused = exceptions.iter().flat_map(Exception::patterns);
        let unknown = excused.filter(|pattern| !all.iter().any(|item| pattern.fits(item)));
        report.unknown = unknown.map(|pattern| (pattern.group, pattern.item.to_owned())).collect();
        report
    }

    /// Whether nothing is to be said.
    pub fn is_clean(&self) -> bool {
        self.missed.is_empty() && self.stale.is_empty() && self.unknown.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} reached", self.reached)?;
        let lists = [
            ("never reached", &self.missed),
            ("excused although reached", &self.stale),
            ("excused although there is no such thing", &self.unknown),
        ];
        for (what, items) in lists {
            items.iter().try_for_each(|(group, item)| writeln!(f, "{what}: {group}: {item}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exceptions() -> Vec<Exception> {
        let items = &["busy", "denied", "bizarre"];
        vec![Exception { group: Group::Code, reason: "no one says it", items }]
    }

    #[test]
    fn zeros_stale_and_unknown_exceptions_are_told() {
        let mut reach = Reach::default();
        for code in peerstream_wire::Code::ALL.into_iter().filter(|code| *code != peerstream_wire::Code::Busy)
        {
            reach.hit(Group::Code, code);
        }
        let mut report = Report::of(&reach, &exceptions());
        report.missed.retain(|(group, _)| *group == Group::Code);
        assert_eq!(report.missed, []);
        assert_eq!(report.stale, [(Group::Code, "denied".to_owned())]);
        assert_eq!(report.unknown, [(Group::Code, "bizarre".to_owned())]);
        let unexcused = Report::of(&reach, &[]);
        assert!(unexcused.missed.contains(&(Group::Code, "busy".to_owned())));
        assert!(!unexcused.is_clean());
    }

    #[test]
    fn a_trace_tells_its_faults() {
        let mut reach = Reach::default();
        reach.trace("0:00:01 b: power is lost at Rename of /store/x, Nothing survives");
        reach.trace("0:00:01 a: disk takes 1 times as long\n0:00:02 network: took effect: lossy link");
        assert_eq!(reach.count(Group::Fault, "lossy link"), 1);
        assert_eq!(reach.count(Group::Fault, "slow disk"), 0, "that it is right again is no fault");
        assert_eq!(reach.count(Group::CrashPoint, "Rename"), 1);
    }
}
