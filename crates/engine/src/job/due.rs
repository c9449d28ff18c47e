//! What a job asked for that was not done yet.

use std::collections::VecDeque;

use peerstream_recovery::Action;

/// Actions in the order in which they are done. As many as the job has at a time.
#[derive(Debug, Default)]
pub(super) struct Due(VecDeque<Action>);

impl Due {
    /// Takes an action in. A fetch that it calls off is not begun any more.
    pub(super) fn push(&mut self, action: Action) {
        if let Action::Cancel { fetch: off, .. } = &action {
            self.0.retain(|due| !matches!(due, Action::Fetch { fetch, .. } if fetch == off));
        } else if let Action::Close { source: off, .. } = &action {
            self.0.retain(|due| !matches!(due, Action::Fetch { source, .. } if source == off));
        }
        self.0.push_back(action);
    }

    /// What is to be done next.
    pub(super) fn pop(&mut self) -> Option<Action> {
        self.0.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use peerstream_recovery::{Agreement, CloseReason, Config, Job, Recovery, SourceId};
    use peerstream_select::Level;
    use peerstream_types::{DatasetKind, FetchId, NodeId, Selector, Timestamp};

    use super::*;

    /// Two sources that a job opens.
    fn sources() -> [SourceId; 2] {
        let peers = ["a", "b"].map(|name| NodeId::new(name).unwrap());
        let job = Job::new("metrics@1/0".parse().unwrap(), Selector::All, peers.to_vec());
        let agreement = Agreement { kind: DatasetKind::Identical, level: Level::All, ..job.agreement };
        let job = Job { agreement, ..job };
        let mut recovery = Recovery::new(Timestamp::ZERO, Config::default(), job).unwrap();
        std::array::from_fn(|_| match recovery.poll_action() {
            Some(Action::Open { source, .. }) => source,
            other => panic!("{other:?}"),
        })
    }

    fn fetch(source: SourceId, fetch: u64) -> Action {
        Action::Fetch { source, fetch: FetchId(fetch), spans: Vec::new(), there: Vec::new(), attempt: 1 }
    }

    #[test]
    fn a_fetch_that_is_called_off_in_time_is_not_begun() {
        let [lost, slow] = sources();
        let mut due = Due::default();
        for (source, number) in [(lost, 1), (lost, 2), (slow, 3), (slow, 4)] {
            due.push(fetch(source, number));
        }
        let cancel = Action::Cancel { source: slow, fetch: FetchId(3) };
        let close = Action::Close { source: lost, reason: CloseReason::Stalled };
        let all = [cancel, close, fetch(slow, 5)];
        all.clone().into_iter().for_each(|action| due.push(action));
        let left: Vec<Action> = std::iter::from_fn(|| due.pop()).collect();
        assert_eq!(left[0], fetch(slow, 4));
        assert_eq!(left[1..], all);
    }
}
