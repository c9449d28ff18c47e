//! Who was a bad source, and for how long that counts.

use peerstream_select::{Offence, Penalty};
use peerstream_types::{NodeId, Timestamp};

use super::millis;
use crate::admin::model::BlamedView;

/// What is held against whom, as it was at `now`.
pub(super) fn views(penalties: &[(NodeId, Penalty)], now: Timestamp) -> Vec<BlamedView> {
    penalties.iter().map(|(node, penalty)| view(node, penalty, now)).collect()
}

fn view(node: &NodeId, penalty: &Penalty, now: Timestamp) -> BlamedView {
    let counts = Offence::ALL.into_iter().zip(penalty.offences).filter(|(_, count)| *count > 0);
    BlamedView {
        node: node.to_string(),
        reason: penalty.reason.to_string(),
        offences: counts.map(|(offence, count)| (offence.to_string(), count)).collect(),
        points: penalty.points,
        avoided_ms: penalty.avoided_until.map(|until| millis(until - now)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use peerstream_select::Penalties;

    use super::*;

    /// D6, D14: whoever looks sees who is avoided, for what, and for how long.
    #[test]
    fn who_is_avoided_is_told_with_what_it_did() {
        let (liar, slow) = (NodeId::new("liar").unwrap(), NodeId::new("slow").unwrap());
        let mut penalties = Penalties::default();
        penalties.blame(Timestamp::ZERO, &liar, Offence::Lied);
        penalties.blame(Timestamp::ZERO, &liar, Offence::Failed);
        penalties.blame(Timestamp::ZERO, &slow, Offence::Failed);
        let now = Timestamp::ZERO + Duration::from_secs(60);
        let all: Vec<_> = penalties.iter(now).map(|(node, penalty)| (node.clone(), penalty)).collect();

        let [liar, slow] = &views(&all, now)[..] else { panic!("{all:?}") };
        assert_eq!((liar.node.as_str(), liar.reason.as_str(), liar.points), ("liar", "lied", 55));
        let offences: Vec<_> = liar.offences.iter().map(|(what, count)| (what.as_str(), *count)).collect();
        assert_eq!(offences, [("failed", 1), ("lied", 1)]);
        assert!(liar.avoided_ms.is_some_and(|left| (60_000..180_000).contains(&left)), "{liar:?}");
        assert_eq!((slow.points, slow.avoided_ms), (5, None), "one failure is not enough");
    }
}
