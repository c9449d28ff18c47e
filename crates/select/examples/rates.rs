//! How fast the parts are that see every entry or every shard: `cargo run --release --example rates`.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures, and prints")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use peerstream_select::{
    Join, JoinConfig, Page, Roster, ShardSources, SourceCapacity, Step, TreeBuilder, Verdict, assign,
};
use peerstream_types::{
    Codec, DatasetName, Digest, Entry, EntryKey, EntryKind, NodeId, Ordinal, PageToken, ShardId,
};

const ENTRIES: u64 = 2_000_000;
const PAGE: u64 = 4096;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    join()?;
    tree()?;
    assignment()
}

/// Pages are made ahead of the clock, a few at a time: only the join and the verdict are measured.
fn join() -> Result<(), Box<dyn std::error::Error>> {
    let roster = Roster::new(["a", "b", "c"].map(|name| NodeId::new(name).expect("it is a name")))?;
    let mut join = Join::new(roster, JoinConfig::default());
    let (mut agreed, mut spent) = (0u64, Duration::ZERO);
    loop {
        let mut pages = Vec::new();
        while let Some(request) = join.poll_request() {
            pages.push((request.slot, page(&request.token)?));
        }
        let begin = Instant::now();
        for (slot, page) in pages {
            join.handle_page(slot, page)?;
        }
        let done = loop {
            match join.poll() {
                Step::Entry(joined) => {
                    agreed += u64::from(matches!(Verdict::of(&joined), Verdict::AnyOf { .. }));
                }
                Step::Pending(_) => break false,
                Step::Done => break true,
            }
        };
        spent += begin.elapsed();
        if done {
            break;
        }
    }
    let rate = ENTRIES as f64 / spent.as_secs_f64() / 1e6;
    println!("join of 3 inventories: {agreed} entries agreed, {rate:.2} million entries/s");
    Ok(())
}

fn tree() -> Result<(), Box<dyn std::error::Error>> {
    let (mut builder, mut next, mut spent) = (TreeBuilder::default(), Some(PageToken::START), Duration::ZERO);
    while let Some(token) = next {
        let page = page(&token)?;
        let begin = Instant::now();
        for entry in &page.entries {
            builder.push(entry)?;
        }
        spent += begin.elapsed();
        next = page.next;
    }
    let rate = ENTRIES as f64 / spent.as_secs_f64() / 1e6;
    println!("digest tree of {} levels: {rate:.2} million entries/s", builder.finish().levels());
    Ok(())
}

fn page(token: &PageToken) -> Result<Page, Box<dyn std::error::Error>> {
    let first: u64 = std::str::from_utf8(token.as_bytes())?.parse().unwrap_or(0);
    let end = (first + PAGE).min(ENTRIES);
    let entry = |index: u64| {
        let key = EntryKey::new(format!("series-{index:012}/1700000000")).expect("it is a key");
        let digest = Some(Digest::Blake3([index as u8; 32]));
        let (kind, codec, metadata) = (EntryKind::Block, Codec::Plain, b"host=a,zone=b".to_vec());
        Arc::new(Entry { ordinal: Ordinal(index), key, len: 4096, digest, kind, codec, metadata })
    };
    let next = (end < ENTRIES).then(|| PageToken::new(end.to_string())).transpose()?;
    Ok(Page { token: token.clone(), entries: (first..end).map(entry).collect(), next })
}

fn assignment() -> Result<(), Box<dyn std::error::Error>> {
    let node = |index: usize| NodeId::new(format!("n{index:03}")).expect("it is a name");
    let sources: Vec<_> =
        (0..100).map(|index| SourceCapacity { node: node(index), shards_max: 1000 }).collect();
    for replicas in [3, 10, 100] {
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % 100
        };
        let dataset = DatasetName::new("metrics")?;
        let shards: Vec<ShardSources> = (0..10_000)
            .map(|index| ShardSources {
                shard: ShardId::new(dataset.clone(), 1, index),
                sources: (0..replicas).map(|_| node(random())).collect(),
            })
            .collect();
        let begin = Instant::now();
        let assignment = assign(&shards, &sources)?;
        let fullest = assignment.loads.iter().map(|(_, load)| *load).max().unwrap_or(0);
        println!(
            "10,000 shards of {replicas} replicas over 100 sources: {:?}, fullest {fullest}, unassigned {}",
            begin.elapsed(),
            assignment.unassigned.len()
        );
    }
    Ok(())
}
