//! Which part of a shard is meant.

use serde::{Deserialize, Serialize};

use crate::{Entry, EntryKey};

/// Which part of a shard a request, an offer, an inventory or a publish unit speaks of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub enum Selector {
    /// The whole shard.
    #[default]
    All,
    /// The entries with just these keys, in ascending order without repeats.
    Entries(Vec<EntryKey>),
    /// Keys from `start`, up to but not including `end`; `None` is open.
    Keys {
        /// First key of the range.
        start: Option<EntryKey>,
        /// First key after the range.
        end: Option<EntryKey>,
    },
    /// Entries whose time span meets `[start_ms, end_ms)`, in milliseconds since the Unix epoch.
    /// Only sources whose entries are blocks in time answer it.
    Time {
        /// First millisecond of the range.
        start_ms: i64,
        /// First millisecond after the range.
        end_ms: i64,
    },
}

impl Selector {
    /// Whether an entry's key is selected. Time ranges cannot be judged by the key, so the answer
    /// is `None` and the source decides.
    pub fn selects_key(&self, key: &EntryKey) -> Option<bool> {
        match self {
            Self::All => Some(true),
            Self::Entries(keys) => Some(keys.binary_search(key).is_ok()),
            Self::Keys { start, end } => {
                let from = start.as_ref().is_none_or(|start| key >= start);
                let to = end.as_ref().is_none_or(|end| key < end);
                Some(from && to)
            }
            Self::Time { .. } => None,
        }
    }

    /// Whether an entry that a peer listed may belong to this selector: `false` is proof that the
    /// peer answered something that was not asked.
    pub fn admits(&self, entry: &Entry) -> bool {
        self.selects_key(&entry.key).unwrap_or(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> EntryKey {
        EntryKey::from_path(text).unwrap()
    }

    #[test]
    fn key_ranges_are_half_open() {
        let range = Selector::Keys { start: Some(key("b")), end: Some(key("d")) };
        let hit = |text| range.selects_key(&key(text)).unwrap();
        assert!(!hit("a") && hit("b") && hit("c") && !hit("d"));
    }

    #[test]
    fn an_open_range_selects_all() {
        let range = Selector::Keys { start: None, end: None };
        assert_eq!(range.selects_key(&key("x")), Some(true));
    }
}
