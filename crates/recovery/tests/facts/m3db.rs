//! The cases of M3DB's own test-suite that are about one job, and its faults that this job does not share.

use std::collections::VecDeque;

use peerstream_recovery::{Action, Agreement, Config, Fault, Job, SourceId, Voters};
use peerstream_select::Level;
use peerstream_types::{ByteCount, DatasetKind, FetchId, Ordinal, Span};

use crate::support::{Hand, Manifest, asked_of, job};

mod cases;
mod faults;

/// Of three replicas.
fn agreement(kind: DatasetKind, level: Level) -> Agreement {
    Agreement { kind, level, voters: Voters::of(3) }
}

/// Fetches of one entry of 100 bytes, two of them under way at each source.
fn one_by_one() -> Config {
    Config {
        window: ByteCount(200),
        fetch_bytes: ByteCount(100),
        entry_fetch_bytes: ByteCount(100),
        twice_per_mille: 0,
        ..Config::default()
    }
}

/// A job that has asked all of its peers.
fn begun(config: Config, agreement: Agreement, peers: &[&str]) -> (Hand, Vec<SourceId>) {
    let mut hand = Hand::of(config, Job { agreement, ..job(peers) });
    let opens = hand.opens();
    assert_eq!(opens.len(), peers.len(), "all are asked at once");
    (hand, opens)
}

/// These offer, and list what they have; what is asked then.
fn listed(hand: &mut Hand, all: &[(SourceId, &Manifest)]) -> Vec<Action> {
    let mut actions = Vec::new();
    for (source, manifest) in all {
        hand.job.handle_offer(hand.now, *source, manifest.header.clone()).unwrap();
        actions.extend(hand.drain());
    }
    let (lists, mut actions): (Vec<_>, Vec<_>) =
        actions.into_iter().partition(|action| asked_of(action).is_some());
    for lister in lists.iter().filter_map(asked_of) {
        let (_, manifest) = all.iter().find(|(source, _)| *source == lister).expect("it has offered");
        hand.page(lister, manifest.page());
        actions.extend(hand.drain());
    }
    actions
}

/// One entry that one source was asked for, as it is called here.
type Asked = (SourceId, FetchId, u64);

/// Each entry that is asked for.
fn asked(actions: &[Action]) -> Vec<Asked> {
    let mut all = Vec::new();
    for action in actions {
        let Action::Fetch { source, fetch, spans, .. } = action else { continue };
        for span in spans {
            let Span::Entries { first, count } = *span else { panic!("entries of one chunk") };
            all.extend((0..u64::from(count)).map(|n| (*source, *fetch, first.0 + n)));
        }
    }
    all
}

/// Has every entry that is asked for come, or fail at its source; everything else that the job wants.
fn answered(
    hand: &mut Hand,
    actions: Vec<Action>,
    mut comes: impl FnMut(SourceId, u64) -> bool,
) -> Vec<Action> {
    let (mut rest, mut queue) = (Vec::new(), VecDeque::from(actions));
    while let Some(action) = queue.pop_front() {
        for (source, fetch, entry) in asked(std::slice::from_ref(&action)) {
            let span = Span::entry(Ordinal(entry));
            if comes(source, entry) {
                hand.job.handle_stored(hand.now, fetch, span).unwrap();
            } else {
                let fault = Fault::Failed("it cannot be read".into());
                hand.job.handle_fetch_failed(hand.now, fetch, Some(span), fault).unwrap();
            }
            queue.extend(hand.drain());
        }
        if !matches!(action, Action::Fetch { .. }) {
            rest.push(action);
        }
    }
    rest
}
