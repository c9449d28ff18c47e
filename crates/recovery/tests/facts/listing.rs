//! Manifests that are empty, late, endless or wrong.

use std::sync::Arc;

use peerstream_recovery::{Action, Admitted, CloseReason, Config, Fault, Misuse, Outcome};
use peerstream_types::{EntryCounts, Ordinal, Position, Span};

use crate::support::*;

/// F-61: an empty set is a success only because the manifest says so.
#[test]
fn an_empty_manifest_is_published() {
    let empty = Manifest::new(&[]);
    let mut hand = Hand::new(&["a"]);
    let (_, actions) = hand.listed(&empty);
    assert_eq!(actions, [Action::Seal { header: empty.header.clone() }]);
    assert_eq!(hand.published(&actions), Outcome::Published { generation: 7 });
}

/// F-61: an end without a sealed header is no empty set.
#[test]
fn an_end_without_a_seal_is_no_success() {
    let mut hand = Hand::new(&["a"]);
    let (_, actions) = hand.listed_as(&Manifest::new(&[]), Listed::default());
    assert_eq!(closes(&actions), [CloseReason::BadManifest("it ends without a seal".into())]);
    assert!(matches!(done(&actions), Outcome::NoSource { .. }));
}

/// F-61: empty entries need no fetch; one that cannot be empty is a gap.
#[test]
fn empty_entries_are_not_fetched() {
    let manifest = Manifest::new(&[0, 10, 0]);
    let mut hand = Hand::new(&["a"]);
    let (_, asked) = hand.listed(&manifest);
    assert_eq!(only_fetch(&asked).1, [Span::entry(Ordinal(1))]);
    let rest = hand.store_all(asked);
    hand.published(&rest);

    let mut hand = Hand::new(&["a"]);
    let mut page = manifest.page();
    page.unusable.push((Ordinal(2), "its digest is not that of no bytes".into()));
    let (_, asked) = hand.listed_as(&manifest, page);
    let rest = hand.store_all(asked);
    let Outcome::Incomplete { gaps, .. } = done(&rest) else { panic!("{rest:?}") };
    assert_eq!((gaps[0].ordinal, gaps[0].chunk), (Ordinal(2), None));
}

/// Data moves before the listing ends (F-05), and nothing is sealed before it does.
#[test]
fn data_moves_while_the_manifest_is_still_listed() {
    let manifest = Manifest::new(&[100, 100]);
    let mut hand = Hand::new(&["a"]);
    let a = hand.opened().0;
    hand.job.handle_offer(hand.now, a, manifest.unsealed()).unwrap();
    hand.drain();
    hand.page(a, manifest.part(0, 1));
    let asked = hand.drain();
    assert_eq!(only_fetch(&asked).1, [Span::entry(Ordinal(0))]);
    assert_eq!(hand.job.status().total, None);
    assert_eq!(hand.store_all(asked), [Action::List { source: a, token: token(1) }], "no seal yet");
    hand.page(a, manifest.rest(1));
    assert_eq!(hand.job.status().total, Some(manifest.header.counts));
    let asked = hand.drain();
    let sealing = hand.store_all(asked);
    assert_eq!(sealing, [Action::Seal { header: manifest.header }], "the sealed header");
    hand.published(&sealing);
}

/// A manifest that does not add up costs its peer, not the job.
#[test]
fn a_wrong_manifest_goes_to_the_next_peer() {
    let good = Manifest::new(&[100, 100]);
    let counts = |entries, bytes| {
        let mut page = good.page();
        page.sealed.as_mut().unwrap().counts = EntryCounts { entries, bytes };
        page
    };
    let mut unsealed = good.page();
    unsealed.sealed = Some(good.unsealed());
    let mut goes_on = good.page();
    goes_on.next = Some(token(2));
    let mut state = good.page();
    state.sealed.as_mut().unwrap().state = vec![9];
    let gap = Listed::last(vec![entry(0, 100, 0), entry(2, 100, 0)], good.header.clone());
    let long = Listed::more(vec![good.entries[0].clone(), entry(1, 100, 0), entry(2, 1, 0)], token(3));
    let huge = Listed::more((0..70_000).map(|i| entry(i, 0, 0)).collect(), token(3));
    let pages = [
        ("too many entries sealed", counts(3, 200)),
        ("too few bytes sealed", counts(2, 199)),
        ("last header without digest", unsealed),
        ("a page after the last", goes_on),
        ("another state than offered", state),
        ("a gap in the ordinals", gap),
        ("more than was offered", long),
        ("an empty page in the middle", Listed::more(vec![], token(1))),
        ("a page beyond all limits", huge),
    ];
    for (name, page) in pages {
        let mut hand = Hand::new(&["a", "b"]);
        let (_, actions) = hand.listed_as(&good, page);
        assert!(matches!(closes(&actions)[..], [CloseReason::BadManifest(_)]), "{name}: {actions:?}");
        let (_, asked) = hand.listed(&good);
        assert_eq!(hand.job.status().source, Some(peer("b")), "{name}");
        let rest = hand.store_all(asked);
        hand.published(&rest);
    }
}

#[test]
fn an_oversized_offer_is_refused() {
    let mut header = Manifest::new(&[]).header;
    header.position = Some(Position { log: "x".repeat(10_000), epoch: 0, token: vec![] });
    let mut hand = Hand::new(&["a"]);
    let a = hand.opened().0;
    hand.job.handle_offer(hand.now, a, header).unwrap();
    assert!(matches!(closes(&hand.drain())[..], [CloseReason::BadManifest(_)]));
}

/// What the store here cannot keep is no lie of those who have it: they are left for good, and nothing is
/// held against them.
#[test]
fn what_cannot_be_kept_here_is_nobodys_lie() {
    let manifest = Manifest::of(1, vec![entry(0, 100, 0), entry(1, 100, 0)]);
    let mut hand = Hand::new(&["a", "b"]);
    hand.refuses = Some(manifest.entries[1].key.to_string());
    let mut actions = hand.listed(&manifest).1;
    actions.extend(hand.listed(&manifest).1);
    let left = closes(&actions);
    let is_left_for_that =
        |reason: &CloseReason| matches!(reason, CloseReason::CannotKeep(why) if why == "no such key here");
    assert!(left.len() == 2 && left.iter().all(is_left_for_that), "{actions:?}");
    assert!(left.iter().all(|reason| reason.offence().is_none()));
    assert!(matches!(done(&actions), Outcome::NoSource { .. }));
}

/// A page that is wrong (a hostile name, say) costs the peer.
#[test]
fn a_page_that_is_wrong_costs_the_peer() {
    let mut hand = Hand::new(&["a"]);
    let a = hand.opened().0;
    hand.job.handle_offer(hand.now, a, Manifest::new(&[]).header).unwrap();
    hand.job.handle_page_failed(hand.now, a, Fault::Wrong("key ../x".into())).unwrap();
    let actions = hand.drain();
    assert_eq!(closes(&actions), [CloseReason::BadManifest("key ../x".into())]);
    assert!(matches!(done(&actions), Outcome::NoSource { .. }));
}

/// Memory is the pages in flight: the next page waits until fewer than `entries_ahead` are unfinished.
#[test]
fn the_next_page_waits_for_unfinished_entries() {
    let config = Config { entries_ahead: 3, ..Config::default() };
    let manifest = Manifest::new(&[100; 100]);
    let mut hand = Hand::with(config, &["a"]);
    let (a, mut asked) = hand.listed_as(&manifest, manifest.part(0, 4));
    let mut listed = 4;
    while listed < 100 {
        assert!(!asked.iter().any(|action| matches!(action, Action::List { .. })), "four are unfinished");
        let (fetch, spans) = only_fetch(&asked);
        let Span::Entries { first, count } = spans[0] else { panic!("{spans:?}") };
        assert!(count <= 4);
        assert_eq!(hand.stored(fetch, Span::entry(first)), []);
        asked = hand.stored(fetch, Span::entry(Ordinal(first.0 + 1)));
        assert_eq!(asked, [Action::List { source: a, token: token(listed as u64) }]);
        hand.stored(fetch, Span::Entries { first, count });
        let page = if listed + 4 < 100 { manifest.part(listed, listed + 4) } else { manifest.rest(listed) };
        hand.page(a, page);
        listed += 4;
        asked = hand.drain();
    }
    let sealing = hand.store_all(asked);
    hand.published(&sealing);
    assert_eq!(hand.job.stats().stored_chunks, 100);
}

/// A shard of any size with nothing but failures costs no more memory than one page: what is set
/// aside is counted, and listed up to a limit.
#[test]
fn set_aside_entries_are_counted_not_kept() {
    let config = Config { entries_ahead: 3, ..Config::default() };
    let manifest = Manifest::new(&[100; 200]);
    let mut hand = Hand::with(config, &["a"]);
    let (a, mut asked) = hand.listed_as(&manifest, manifest.part(0, 4));
    let mut listed = 4;
    loop {
        while let Some((fetch, _)) = fetches(&asked).first() {
            hand.job.handle_fetch_ended(hand.now, *fetch).unwrap();
            asked = hand.drain();
        }
        if listed == 200 {
            break;
        }
        assert_eq!(hand.job.entry(a, Ordinal(listed as u64 - 1)), None, "it is forgotten");
        let page = if listed + 4 < 200 { manifest.part(listed, listed + 4) } else { manifest.rest(listed) };
        hand.page(a, page);
        listed += 4;
        asked = hand.drain();
    }
    let Outcome::Incomplete { gaps, entries, .. } = done(&asked) else { panic!("{asked:?}") };
    assert_eq!((gaps.len(), entries), (64, 200));
}

#[test]
fn an_answer_about_entries_that_were_not_to_be_admitted_is_a_misuse() {
    let manifest = Manifest::new(&[100]);
    let mut hand = Hand::new(&["a"]);
    let a = hand.opened().0;
    assert_eq!(hand.try_page(a, manifest.page()), Err(Misuse::Unasked("a page")));
    hand.job.handle_offer(hand.now, a, manifest.header.clone()).unwrap();
    hand.drain();
    let unasked = hand.job.handle_admitted(hand.now, Admitted::default());
    assert_eq!(unasked, Err(Misuse::Unasked("an admission")));
    hand.page(a, manifest.page());
    let stray = Admitted { held: vec![(Ordinal(1), vec![])], unusable: vec![] };
    assert_eq!(hand.job.handle_admitted(hand.now, stray), Err(Misuse::NotAdmitted(Ordinal(1))));
    assert!(matches!(hand.drain().as_slice(), [Action::Fetch { .. }]), "nothing was changed");
    assert_eq!(hand.try_page(a, manifest.page()), Err(Misuse::Unasked("a page")));
    assert!(Arc::ptr_eq(hand.job.entry(a, Ordinal(0)).unwrap(), &manifest.entries[0]));
}
