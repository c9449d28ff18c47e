//! What a recovery took from one replica alone, and what it did without, in words.

use crate::admin::model::{FoundView, ShardView};

/// Keys that a line names; the JSON has more of them.
const KEYS_SHOWN_MAX: usize = 8;

/// A line for each kind of finding of a shard.
pub(super) fn lines(shard: &ShardView) -> Vec<String> {
    let kinds = [
        (&shard.alone, "reported by one replica alone, and taken"),
        (&shard.dropped, "to be had from nobody, and dropped at level none"),
    ];
    let found = kinds.into_iter().filter(|(found, _)| found.count > 0);
    found.map(|(found, what)| format!("{}: {}", shard.shard, line(found, what))).collect()
}

fn line(found: &FoundView, what: &str) -> String {
    let entries = if found.count == 1 { "entry was" } else { "entries were" };
    let named: Vec<&str> = found.keys.iter().take(KEYS_SHOWN_MAX).map(String::as_str).collect();
    let more = if found.count > named.len() as u64 { ", and others" } else { "" };
    format!("{} {entries} {what}: {}{more}", found.count, named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(alone: FoundView, dropped: FoundView) -> ShardView {
        let text = r#"{"shard": "logs@1/0", "direction": "receive", "stage": "done", "bytes_done": 1,
            "entries_done": 0, "bytes_held": 0, "bytes_wasted": 0}"#;
        ShardView { alone, dropped, ..serde_json::from_str(text).unwrap() }
    }

    /// F-10, F-19: people read what was flagged and what was dropped, with the first keys.
    #[test]
    fn findings_are_told_with_the_first_keys() {
        assert_eq!(lines(&shard(FoundView::default(), FoundView::default())), Vec::<String>::new());
        let one = FoundView { count: 1, keys: vec!["a.parquet".into()] };
        let many = FoundView { count: 70, keys: (0..64).map(|n| format!("k{n}")).collect() };
        let told = lines(&shard(one, many));
        assert_eq!(told[0], "logs@1/0: 1 entry was reported by one replica alone, and taken: a.parquet");
        assert_eq!(
            told[1],
            "logs@1/0: 70 entries were to be had from nobody, and dropped at level none: \
             k0, k1, k2, k3, k4, k5, k6, k7, and others"
        );
    }
}
