//! What is held against a peer, and how often: what it did, once, and not what this node lacks.

use super::*;

/// Shards that a plan asks for at once, in one session per peer.
const TOGETHER: u32 = 4;

impl World {
    /// What is held against a peer, in the order of [`Offence::ALL`].
    fn offences(&self, peer: &str) -> [u32; 4] {
        let penalties = self.replica.penalties();
        penalties.iter().find(|(of, _)| *of == node(peer)).map_or([0; 4], |(_, penalty)| penalty.offences)
    }

    fn dials(&self, peer: &str) -> u32 {
        let dialled = self.dialled.lock().unwrap();
        u32::try_from(dialled.iter().filter(|at| **at == addr(peer)).count()).unwrap()
    }

    /// Begins to bring these up from the named peers, and no others.
    fn bring_up_from(&self, shards: impl IntoIterator<Item = u32>, peers: &[&str]) -> PlanHandle {
        let plan = StreamPlan::new(Operation::Bootstrap);
        let named =
            |plan: StreamPlan, index| plan.request_from(shard(index), peers.iter().map(|name| node(name)));
        self.replica.execute(shards.into_iter().fold(plan, named)).unwrap()
    }
}

/// D6: one dial that fails is held against its peer once, however many shards waited for it; it takes two for
/// a peer to be avoided.
#[tokio::test(start_paused = true)]
async fn a_dial_that_fails_counts_once() {
    within(async {
        let world = World::placed(list(&["a-gone", "b"]), &["b"], SourceRules::default());
        let outcome = world.bring_up_from(0..TOGETHER, &["a-gone", "b"]).await;
        assert!(outcome.is_completed(), "{outcome:?}");
        assert_eq!((world.dials("a-gone"), world.offences("a-gone")), (1, [0, 0, 1, 0]));
        assert!(world.replica.penalties().iter().all(|(_, penalty)| penalty.avoided_until.is_none()));
    })
    .await;
}

/// D6: the same of dials that the shards make each for itself, and wait for together.
#[tokio::test(start_paused = true)]
async fn every_dial_that_fails_counts_once() {
    within(async {
        for dial_ms in [0, 5_000] {
            let world = World::placed(list(&["a-gone"]), &[], SourceRules::default());
            world.dial_ms.store(dial_ms, Ordering::Relaxed);
            assert!(!world.bring_up_from(0..TOGETHER, &["a-gone"]).await.is_completed());
            let dials = world.dials("a-gone");
            assert!(dials > 1);
            assert_eq!(world.offences("a-gone"), [0, 0, dials, 0], "{dial_ms}");
        }
    })
    .await;
}

/// D6: one session that is lost is held against its peer once, however many shards it carried.
#[tokio::test(start_paused = true)]
async fn a_session_that_is_lost_counts_once() {
    within(async {
        let world = World::new(&["a", "b"]);
        world.mood("a").hangs.store(true, Ordering::Relaxed);
        let plan = world.bring_up_from(0..TOGETHER, &["a", "b"]);
        tokio::time::sleep(A_MOMENT).await;
        assert_eq!(world.listers(plan.state().plan), ["a"; TOGETHER as usize]);
        world.network.crash(addr("a"));
        let outcome = plan.await;
        assert!(outcome.is_completed(), "{outcome:?}");
        assert_eq!(world.offences("a"), [0, 0, 1, 0]);
    })
    .await;
}

/// D6: one answer that refuses all is held against its peer once.
#[tokio::test(start_paused = true)]
async fn a_session_that_is_refused_counts_once() {
    within(async {
        let world = World::new(&["a"]);
        assert!(!world.bring_up_from(SHARDS..SHARDS + TOGETHER, &["a"]).await.is_completed());
        assert_eq!(world.offences("a"), [0, 0, 0, 1]);
    })
    .await;
}

/// D6: a peer that stalls in one session for all shards has stalled once.
#[tokio::test(start_paused = true)]
async fn a_session_that_stalls_counts_once() {
    within(async {
        let world = World::new(&["a", "b"]);
        world.mood("a").hangs.store(true, Ordering::Relaxed);
        let outcome = world.bring_up_from(0..TOGETHER, &["a", "b"]).await;
        assert!(outcome.is_completed(), "{outcome:?}");
        assert_eq!(world.offences("a"), [0, 1, 0, 0]);
    })
    .await;
}

/// Nobody has lied because this node's store cannot keep what all have.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_kept_here_is_nobodys_lie() {
    within(async {
        let world = World::new(&["a", "b"]);
        let outcome = world.bring_up([UNKEEPABLE]).await;
        assert!(reason(&outcome).contains("needs it as a directory"), "{outcome:?}");
        assert_eq!(world.replica.penalties(), []);
    })
    .await;
}

/// No peer is blamed for what this node has no room for.
#[tokio::test(start_paused = true)]
async fn the_own_limit_on_sessions_is_nobodys_fault() {
    within(async {
        let config = EngineConfig { sessions_max: 1, ..EngineConfig::default() };
        let world = World::with(list(&["a", "b"]), &["a", "b"], config);
        world.mood("a").hangs.store(true, Ordering::Relaxed);
        let first = world.bring_up_from([0], &["a"]);
        tokio::time::sleep(A_MOMENT).await;
        let second = world.bring_up_from([1], &["b"]);
        tokio::time::sleep(A_MOMENT).await;
        let failed = second.state().shards[0].waiting.clone().unwrap_or_default();
        assert!(!failed.is_empty(), "it could not open a session: {:?}", second.state());
        assert_eq!(world.offences("b"), [0; 4]);
        world.mood("a").hangs.store(false, Ordering::Relaxed);
        world.mood("a").goes_on.notify_waiters();
        assert!(first.await.is_completed());
        assert!(second.await.is_completed());
        assert_eq!(world.replica.penalties(), []);
    })
    .await;
}
