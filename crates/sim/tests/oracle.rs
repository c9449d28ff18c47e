//! What a run should have come to: equal bytes, no byte for nothing, near the least time.

use std::time::Duration;

use peerstream_sim::content::key;
use peerstream_sim::oracle::{Account, Difference, Fluid, Receiver, difference};
use peerstream_sim::watch::{Image, Watch};
use peerstream_sim::{Content, LinkSpec, Network, Sim, shard};
use peerstream_types::ByteRate;

const MIB: u64 = 1024 * 1024;

/// Every byte that came was needed, and nothing is missing.
#[test]
fn a_run_without_faults_wastes_nothing() {
    for network in Network::ALL {
        Sim::new(network, 60).run(async |world| {
            let watch = Watch::over(&world);
            let donor = world.donor("donor");
            Content { large: 3, large_len: MIB, empty: 1, ..Content::small(100) }.fill(
                &donor.store,
                &shard(0),
                1,
            );
            let replica = world.replica("replica");
            assert!(replica.bring_up(&[shard(0)]).await.is_completed());
            let verdict = watch.end().await;
            verdict.expect_clean();

            let published = Image::read(&*donor.snapshot(&shard(0)).await.unwrap()).await.unwrap();
            let shown = Image::read(&*replica.snapshot(&shard(0)).await.unwrap()).await.unwrap();
            assert_eq!(difference(&published, &shown), None);
            let account = Account::of(&verdict.books.nodes[&replica.id]);
            assert_eq!(
                (account.needed, account.duplicate, account.wasted),
                (published.bytes(), 0, 0),
                "{account}"
            );
            assert!(account.overhead > 0 && account.waste() == 0.0, "{account}");
        });
    }
}

/// What does not verify is wasted, once for each time it was asked for.
#[test]
fn a_bad_chunk_is_accounted_for() {
    for network in Network::ALL {
        Sim::new(network, 61).run(async |world| {
            let watch = Watch::over(&world);
            let (liar, honest) = (world.donor("liar"), world.donor("upright"));
            for donor in [&liar, &honest] {
                Content::small(50).fill(&donor.store, &shard(0), 1);
            }
            liar.faults.corrupt(key("small", 7));
            let replica = world.replica("replica");
            assert!(replica.bring_up(&[shard(0)]).await.is_completed());
            let verdict = watch.end().await;
            verdict.expect_clean();
            let account = Account::of(&verdict.books.nodes[&replica.id]);
            let image = Image::read(&*honest.snapshot(&shard(0)).await.unwrap()).await.unwrap();
            let bad = image.entries[&key("small", 7)].len;
            assert_eq!(account.wasted, 2 * bad, "two attempts at the liar: {account}");
            assert_eq!(account.duplicate, 0, "{account}");
        });
    }
}

#[test]
fn a_difference_is_named() {
    Sim::new(Network::Memory, 62).run(async |world| {
        let (one, other) = (world.donor("one"), world.donor("other"));
        Content::small(10).fill(&one.store, &shard(0), 1);
        Content::small(10).fill(&other.store, &shard(0), 1);
        let image = async |node: &peerstream_sim::SimNode| {
            Image::read(&*node.snapshot(&shard(0)).await.unwrap()).await.unwrap()
        };
        let published = image(&one).await;
        assert_eq!(difference(&published, &image(&other).await), None);
        other.store.put(&shard(0), key("small", 3), &b"other"[..], b"small 3".to_vec());
        assert_eq!(difference(&published, &image(&other).await), Some(Difference::Entry(key("small", 3))));
        other.store.remove(&shard(0), &key("small", 3));
        assert_eq!(difference(&published, &image(&other).await), Some(Difference::Missing(key("small", 3))));
        one.store.set_state(&shard(0), b"new".to_vec());
        assert_eq!(difference(&published, &image(&one).await), Some(Difference::Header));
    });
}

/// Over a link of 10 MB/s a shard of 16 MiB takes little longer than the link needs for it.
#[test]
fn a_link_is_used_to_its_bound() {
    let rate = ByteRate::per_sec(10_000_000);
    let link = LinkSpec { rate, latency: Duration::from_millis(2), ..LinkSpec::default() };
    for (network, most) in [(Network::Memory, 1.15), (Network::Quic, 1.3)] {
        Sim::new(network, 63).link(link).run(async |world| {
            let donor = world.donor("donor");
            Content::large(4, 4 * MIB).fill(&donor.store, &shard(0), 1);
            let replica = world.replica("replica");
            let began = world.now();
            assert!(replica.bring_up(&[shard(0)]).await.is_completed());
            let receivers = vec![Receiver::only_receives(Some(rate))];
            let fluid = Fluid { bytes: 16 * MIB, seeds: vec![Some(rate)], receivers };
            let ratio = fluid.ratio(world.now() - began);
            assert!((1.0..most).contains(&ratio), "{network}: {ratio:.3} times the bound");
        });
    }
}
