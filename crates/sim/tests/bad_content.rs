//! Content that does not fit its digest: refused, named, and had from elsewhere.

use peerstream_engine::{PlanEvent, PlanResult, ShardOutcome};
use peerstream_sim::content::key;
use peerstream_sim::{Content, Lie, Network, Sim, SimNode, SimWorld, shard};

const TOTAL: u64 = 8 * 1024 * 1024;

fn donor(world: &SimWorld, name: &str) -> SimNode {
    let donor = world.donor(name);
    Content { large: 4, large_len: TOTAL / 4, ..Content::small(50) }.fill(&donor.store, &shard(0), 1);
    donor
}

/// Promises 1 and 9: a chunk that does not fit its digest is refused, and its entry, chunk and peer
/// are named; everything else is staged; nothing is published.
#[test]
fn changed_content_is_refused_and_named() {
    for network in Network::ALL {
        Sim::new(network, 20).run(async |world| {
            let (liar, replica) = (donor(&world, "liar"), world.replica("replica"));
            liar.faults.corrupt(key("large", 2));
            let plan = replica.bring_up(&[shard(0)]);
            let mut events = plan.events();
            let outcome = plan.await;
            assert_eq!(outcome.result, PlanResult::Failed);
            let ShardOutcome::Incomplete { bad, count } = &outcome.shards[0].outcome else {
                panic!("{outcome:?}");
            };
            assert_eq!(*count, 1);
            assert!(!bad.is_empty());
            for bad in bad {
                assert_eq!((&bad.key, &bad.peer), (&key("large", 2), &liar.id));
                assert!(bad.chunk.is_some(), "{bad}");
            }
            let mut told = 0;
            while let Ok(event) = events.try_recv() {
                told += u32::from(matches!(event, PlanEvent::BadChunk { .. }));
            }
            assert!(told > 0, "listeners hear of it when it happens");
            assert!(replica.store.published(&shard(0)).is_none(), "nothing is visible");
            let kept = replica.store.stats().bytes_stored;
            assert!(kept > TOTAL * 3 / 4, "what was good is kept: {kept}");
        });
    }
}

/// G-09, promise 2: with a good donor the same replica completes, and fetches the bad entry only.
#[test]
fn a_good_donor_completes_what_a_bad_one_began() {
    for network in Network::ALL {
        Sim::new(network, 21).run(async |world| {
            let (liar, replica) = (donor(&world, "liar"), world.replica("replica"));
            liar.faults.corrupt(key("large", 2));
            assert!(!replica.bring_up(&[shard(0)]).await.is_completed());
            let asked = replica.asked_for();
            let honest = donor(&world, "honest");
            world.placement().set_holders([honest.id.clone()]);
            let outcome = replica.bring_up(&[shard(0)]).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(replica.digest(&shard(0)).await, honest.digest(&shard(0)).await);
            assert_eq!(replica.asked_for() - asked, TOTAL / 4, "one entry, no more");
        });
    }
}

/// Promise 2: once its donor is right again, only the bad chunk comes again, whether nobody knew that the
/// content had changed or the donor said so.
#[test]
fn a_donor_that_is_healed_gives_the_bad_entry_again() {
    for (network, is_known) in Network::ALL.into_iter().flat_map(|n| [(n, false), (n, true)]) {
        Sim::new(network, 26).run(async |world| {
            let (donor, replica) = (donor(&world, "donor"), world.replica("replica"));
            match is_known {
                true => donor.faults.change_entry(key("large", 2)),
                false => donor.faults.corrupt(key("large", 2)),
            }
            assert!(!replica.bring_up(&[shard(0)]).await.is_completed());
            let asked = replica.asked_for();
            donor.faults.clear();
            let outcome = replica.bring_up(&[shard(0)]).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
            assert!(replica.asked_for() - asked <= TOTAL / 4, "one entry, no more");
        });
    }
}

/// Promise 9: within one plan, a bad chunk goes to the next source. Of equals, the lower id is asked first: the
/// liar.
#[test]
fn a_bad_chunk_is_had_from_the_next_source() {
    for network in Network::ALL {
        Sim::new(network, 22).run(async |world| {
            let (liar, honest) = (donor(&world, "liar"), donor(&world, "upright"));
            let replica = world.replica("replica");
            liar.faults.corrupt(key("large", 2));
            let outcome = replica.bring_up(&[shard(0)]).await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(replica.digest(&shard(0)).await, honest.digest(&shard(0)).await);
            assert!(honest.sent() < TOTAL / 2, "only what the liar could not give: {}", honest.sent());
        });
    }
}

/// A source that knows that an entry changed says so; the entry is named, and nothing is published.
#[test]
fn an_entry_that_changed_at_its_source_is_named() {
    for network in Network::ALL {
        Sim::new(network, 23).run(async |world| {
            let (careless, replica) = (donor(&world, "careless"), world.replica("replica"));
            careless.faults.change_entry(key("large", 1));
            let outcome = replica.bring_up(&[shard(0)]).await;
            let shown = outcome.shards[0].outcome.to_string();
            assert!(shown.contains("large/000001.sst") && shown.contains("careless"), "{shown}");
            assert!(replica.store.published(&shard(0)).is_none());
        });
    }
}

/// An old generation stays visible as it was while a newer one cannot be completed (promise 3).
#[test]
fn the_old_generation_stays_until_the_new_one_is_whole() {
    for network in Network::ALL {
        Sim::new(network, 24).run(async |world| {
            let (donor, replica) = (donor(&world, "donor"), world.replica("replica"));
            assert!(replica.bring_up(&[shard(0)]).await.is_completed());
            let before = replica.store.published(&shard(0)).unwrap();
            donor.store.put(&shard(0), key("new", 1), vec![7; 100_000], Vec::new());
            donor.store.put(&shard(0), key("new", 2), vec![8; 100_000], Vec::new());
            donor.faults.corrupt(key("new", 1));
            assert!(!replica.bring_up(&[shard(0)]).await.is_completed());
            assert_eq!(replica.store.published(&shard(0)), Some(before));
            donor.faults.clear();
            assert!(replica.bring_up(&[shard(0)]).await.is_completed());
            assert_eq!(replica.digest(&shard(0)).await, donor.digest(&shard(0)).await);
        });
    }
}

/// A small entry, which is one chunk, is held to its digest like any other.
#[test]
fn a_small_entry_is_verified_too() {
    for network in Network::ALL {
        Sim::new(network, 25).run(async |world| {
            let (liar, replica) = (donor(&world, "liar"), world.replica("replica"));
            liar.faults.corrupt(key("small", 7));
            let outcome = replica.bring_up(&[shard(0)]).await;
            let ShardOutcome::Incomplete { bad, count: 1 } = &outcome.shards[0].outcome else {
                panic!("{outcome:?}");
            };
            assert_eq!((&bad[0].key, &bad[0].peer), (&key("small", 7), &liar.id));
        });
    }
}

/// Promise 1: pages that do not fit the sealed digest, and outlines that do not fit their entry's,
/// are refused; the next source is used.
#[test]
fn a_source_that_lies_about_what_it_has_is_replaced() {
    for (network, lie) in Network::ALL.into_iter().flat_map(|n| [(n, Lie::Manifest), (n, Lie::Outline)]) {
        Sim::new(network, 26).run(async |world| {
            let (liar, honest) = (donor(&world, "liar"), donor(&world, "upright"));
            let replica = world.replica("replica");
            liar.faults.lie(lie);
            let plan = replica.bring_up(&[shard(0)]);
            let mut events = plan.events();
            let outcome = plan.await;
            assert!(outcome.is_completed(), "{outcome:?}");
            assert_eq!(replica.digest(&shard(0)).await, honest.digest(&shard(0)).await);
            let mut lost = Vec::new();
            while let Ok(event) = events.try_recv() {
                if let PlanEvent::SourceLost { peer, .. } = event {
                    lost.push(peer);
                }
            }
            assert_eq!(lost, std::slice::from_ref(&liar.id));
        });
    }
}

/// The same without another source: it fails with a reason that names the liar, and nothing of what
/// it said is visible.
#[test]
fn a_single_source_that_lies_gets_nothing_published() {
    for (network, lie) in Network::ALL.into_iter().flat_map(|n| [(n, Lie::Manifest), (n, Lie::Outline)]) {
        Sim::new(network, 27).run(async |world| {
            let (liar, replica) = (donor(&world, "liar"), world.replica("replica"));
            liar.faults.lie(lie);
            let outcome = replica.bring_up(&[shard(0)]).await;
            assert!(!outcome.is_completed());
            let shown = outcome.shards[0].outcome.to_string();
            assert!(shown.contains("liar"), "{shown}");
            assert!(replica.store.published(&shard(0)).is_none());
        });
    }
}
