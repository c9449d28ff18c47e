//! Where the replicas of a shard stand.

use peerstream_engine::{Gap, Replica, ReplicaStanding, Standing};
use peerstream_types::{Digest, Timestamp};

use super::millis;
use crate::admin::model::{BadView, ReplicaView, StandingView};

/// What is asked of the replicas, as it was at `now`.
pub(super) fn view(standing: &Standing, now: Timestamp) -> StandingView {
    let most = standing.most_offered();
    StandingView {
        level: standing.level.map(|level| level.to_string()),
        required: standing.required,
        heard: standing.heard,
        agreed: standing.agreed,
        own_vote: standing.own_vote,
        met: standing.is_met(),
        replicas: standing.replicas.iter().map(|one| replica(one, most, now)).collect(),
        missing: standing.missing.iter().map(gap).collect(),
    }
}

fn gap(gap: &Gap) -> BadView {
    let chunk = gap.chunk.map(|chunk| chunk.0);
    BadView { key: gap.key.to_string(), chunk, peer: gap.peer.to_string(), why: gap.why.clone() }
}

fn replica(replica: &Replica, most: Option<Digest>, now: Timestamp) -> ReplicaView {
    let mut view = ReplicaView {
        peer: replica.peer.to_string(),
        state: String::new(),
        lists: false,
        manifest: replica.manifest.map(|digest| digest.to_string()),
        agrees: replica.manifest.map(|digest| Some(digest) == most),
        why: None,
        asked_ms: None,
        retry_in_ms: None,
    };
    let state = match &replica.state {
        ReplicaStanding::Idle => "idle",
        ReplicaStanding::Asked { since } => {
            view.asked_ms = Some(millis(now - *since));
            "asked"
        }
        ReplicaStanding::Offered => "offered",
        ReplicaStanding::Serving { lists } => {
            view.lists = *lists;
            "serving"
        }
        ReplicaStanding::Failed { why, until } => {
            view.why = Some(why.clone());
            view.retry_in_ms = Some(millis(*until - now));
            "failed"
        }
        ReplicaStanding::GivenUp { why } => {
            view.why = Some(why.clone());
            "given-up"
        }
    };
    view.state = state.to_owned();
    view
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use peerstream_select::Level;
    use peerstream_types::{EntryKey, NodeId, Ordinal};

    use super::*;

    /// Whoever looks hears of every replica, with durations in place of moments.
    #[test]
    fn every_state_of_a_replica_is_told() {
        let second = |n: u64| Timestamp::ZERO + Duration::from_secs(n);
        let digest = |byte| Some(Digest::Blake3([byte; 32]));
        let replica =
            |name: &str, state, manifest| Replica { peer: NodeId::new(name).unwrap(), state, manifest };
        let why = || "no route".to_owned();
        let standing = Standing {
            level: Some(Level::Majority),
            required: 3,
            heard: 3,
            agreed: 2,
            own_vote: false,
            replicas: vec![
                replica("a", ReplicaStanding::Offered, digest(1)),
                replica("b", ReplicaStanding::Serving { lists: true }, digest(2)),
                replica("c", ReplicaStanding::Serving { lists: false }, digest(2)),
                replica("d", ReplicaStanding::Asked { since: second(4) }, None),
                replica("e", ReplicaStanding::Failed { why: why(), until: second(12) }, None),
                replica("f", ReplicaStanding::GivenUp { why: why() }, None),
                replica("g", ReplicaStanding::Idle, None),
            ],
            missing: vec![Gap {
                ordinal: Ordinal(0),
                key: EntryKey::from_path("x.sst").unwrap(),
                chunk: None,
                peer: NodeId::new("a").unwrap(),
                why: "the replicas disagree: a against b and c".to_owned(),
            }],
        };
        let view = view(&standing, second(10));
        assert_eq!((view.level.as_deref(), view.met), (Some("majority"), true));
        let missing: Vec<_> = view.missing.iter().map(|gap| (gap.key.as_str(), gap.why.as_str())).collect();
        assert_eq!(missing, [("x.sst", "the replicas disagree: a against b and c")]);
        let states: Vec<_> = view.replicas.iter().map(|one| (one.state.as_str(), one.agrees)).collect();
        let told = [
            ("offered", Some(false)),
            ("serving", Some(true)),
            ("serving", Some(true)),
            ("asked", None),
            ("failed", None),
            ("given-up", None),
            ("idle", None),
        ];
        assert_eq!(states, told);
        assert!(view.replicas[1].lists && !view.replicas[2].lists);
        assert_eq!(view.replicas[3].asked_ms, Some(6_000));
        assert_eq!((view.replicas[4].why.clone(), view.replicas[4].retry_in_ms), (Some(why()), Some(2_000)));
        assert!(view.replicas[0].manifest.as_ref().unwrap().contains("0101"), "{:?}", view.replicas[0]);
    }
}
