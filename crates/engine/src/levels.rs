//! Which level counts for which recovery at this node, now.

use peerstream_select::{Level, LevelPolicy, LevelScope, LevelSettingsError};
use peerstream_types::{Operation, PlanId, ShardId};

use crate::watch;

/// The consistency levels of a node, changed while recoveries run (row F-20). Clones are the same. The
/// default is a majority everywhere.
#[derive(Debug, Clone)]
pub struct Levels(watch::Sender<LevelPolicy>);

impl Default for Levels {
    fn default() -> Self {
        Self::new(LevelPolicy::default())
    }
}

impl Levels {
    /// Begins with this policy.
    pub fn new(policy: LevelPolicy) -> Self {
        Self(watch::Sender::new(policy))
    }

    /// The level of a shard, for recoveries without one of their own.
    pub fn get(&self, shard: &ShardId) -> Level {
        self.0.look(|policy| policy.level(shard))
    }

    /// The level of one recovery, which a plan with this operation brings about.
    pub fn of(&self, plan: PlanId, operation: Operation, shard: &ShardId) -> Level {
        self.0.look(|policy| policy.level_of(plan, operation, shard))
    }

    /// Sets a level; gives the one that was set there before. Whoever [waits](Self::changed) and is
    /// concerned hears of it.
    ///
    /// # Errors
    ///
    /// [`LevelSettingsError`] if there are as many as there may be; nothing was changed.
    pub fn set(&self, scope: LevelScope, level: Level) -> Result<Option<Level>, LevelSettingsError> {
        self.change(|policy| policy.set(scope, level))
    }

    /// Takes back what was set; gives it, if anything was.
    pub fn unset(&self, scope: &LevelScope) -> Option<Level> {
        self.change(|policy| policy.unset(scope))
    }

    /// Forgets what was set for the recoveries of a plan that has ended.
    pub(crate) fn forget(&self, plan: PlanId) {
        self.0.send_if_modified(|policy| policy.forget(plan));
    }

    /// Changes the policy in one step. `change` must not use these levels: they are locked meanwhile.
    pub fn change<T>(&self, change: impl FnOnce(&mut LevelPolicy) -> T) -> T {
        let mut result = None;
        self.0.modify(|policy| result = Some(change(policy)));
        result.expect("modify calls its argument")
    }

    /// The policy as it is now.
    pub fn policy(&self) -> LevelPolicy {
        self.0.look(LevelPolicy::clone)
    }

    /// Waits until the level of a recovery is another than `from`, and gives it. Changes that leave it
    /// as it is are none. Those who wait go on in the order in which they began to. Cancel safe.
    pub async fn changed(&self, plan: PlanId, operation: Operation, shard: &ShardId, from: Level) -> Level {
        let mut level = from;
        let differs = |policy: &LevelPolicy| {
            level = policy.level_of(plan, operation, shard);
            level != from
        };
        match self.0.subscribe().until(differs).await {
            Ok(()) => level,
            // There is a sender as long as `self` lives.
            Err(watch::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use peerstream_select::LevelSettings;

    use super::*;

    fn shard(text: &str) -> ShardId {
        text.parse().unwrap()
    }

    const BOOTSTRAP: Operation = Operation::Bootstrap;

    fn plan(number: u128) -> PlanId {
        PlanId::from_parts(1, number)
    }

    /// F-16: a majority, unless somebody says otherwise; of a repair, what can be had of one.
    #[test]
    fn without_a_word_it_is_the_majority() {
        let (levels, of) = (Levels::default(), shard("m@1/0"));
        assert_eq!(levels.get(&of), Level::Majority);
        assert_eq!(levels.of(plan(1), BOOTSTRAP, &of), Level::Majority);
        assert_eq!(levels.of(plan(1), Operation::Repair, &of), Level::UnstrictMajority);
    }

    /// F-20: whoever waits hears of the change of its own level, at once, and of nothing else.
    #[tokio::test]
    async fn a_recovery_hears_of_a_change_of_its_level_only() {
        let levels = Levels::default();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for (number, of) in [(1, "m@1/0"), (2, "m@1/1"), (3, "m@1/0"), (4, "other@1/0")] {
            let (levels, heard) = (levels.clone(), heard.clone());
            tasks.push(tokio::spawn(async move {
                let level = levels.changed(plan(number), BOOTSTRAP, &shard(of), Level::Majority).await;
                heard.lock().unwrap().push((number, level));
            }));
        }
        let told = async || {
            tokio::task::yield_now().await;
            std::mem::take(&mut *heard.lock().unwrap())
        };
        assert_eq!(told().await, []);
        levels.set(LevelScope::Node, Level::Majority).unwrap();
        assert_eq!(told().await, [], "it is the same as before");
        levels.set(LevelScope::Recovery(plan(3), shard("m@1/0")), Level::None).unwrap();
        assert_eq!(told().await, [(3, Level::None)]);
        levels.set(LevelScope::Dataset("m".parse().unwrap()), Level::One).unwrap();
        assert_eq!(told().await, [(1, Level::One), (2, Level::One)], "in the order in which they wait");
        tasks[3].abort();
        assert!(tasks.remove(3).await.unwrap_err().is_cancelled(), "the other still waits");
    }

    /// F-20: nothing that happens between a look and the wait is missed.
    #[tokio::test]
    async fn a_level_that_differs_already_is_not_waited_for() {
        let levels = Levels::default();
        let of = shard("m@1/0");
        let seen = levels.of(plan(1), BOOTSTRAP, &of);
        let configured: LevelSettings = {
            let mut settings = LevelSettings::default();
            settings.set(&LevelScope::Node, Level::All).unwrap();
            settings
        };
        levels.change(|policy| policy.configure(configured));
        assert_eq!(levels.changed(plan(1), BOOTSTRAP, &of, seen).await, Level::All);
        assert_eq!(levels.unset(&LevelScope::Node), None);
    }
}
