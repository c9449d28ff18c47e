//! What holds in every state of a recovery world, and what some run must reach.

use peerstream_recovery::{Outcome, WaitReason};
use peerstream_types::DatasetKind;
use stateright::Property;

use super::RecoveryWorld;
use super::world::{Flaw, World};

type Rule = Property<RecoveryWorld>;

/// A state without a step is an end.
pub const NO_DEADLOCK: &str = "no deadlock";
/// A job that has not ended has a timer or waits for the local store, and says for what.
pub const WAITS: &str = "ends or waits with a reason";
/// What is sealed is all there, what is published is sealed, and the outcome says what happened.
pub const WHOLE: &str = "nothing hollow is sealed or published";
/// No more sources at once than allowed, none of them twice, and no dial after an abort.
pub const SOURCES: &str = "sources have their limits";
/// No chunk is asked for while it is on its way or after it is stored.
pub const ONCE: &str = "no chunk is fetched twice";
/// Attempts at a chunk and dials in vain keep their limits, and no timer leaves the job where it was.
pub const BOUNDED: &str = "retries are bounded";
/// Shown progress never falls, nor passes the total.
pub const PROGRESS: &str = "progress never falls";
/// Answers that are late, or come twice, change nothing.
pub const STALE: &str = "late and second answers change nothing";
/// No answer that was asked for is refused.
pub const NO_MISUSE: &str = "no answer in its place is refused";
/// Nothing is begun with, taken or sealed that the level in force does not allow, and everything is sealed
/// that it asks for.
pub const AGREED: &str = "nothing is believed below the level";
/// Each source is asked for what it has, under its own names, and called wrong only for what it said.
pub const NAMED: &str = "sources are asked under their own names";
/// When the faults end, the job does; unless the replicas disagree for good: then it waits, and says so.
pub const ENDS: &str = "it ends when the faults do";

pub(super) fn all() -> Vec<Rule> {
    let always = Rule::always;
    vec![
        always(NO_DEADLOCK, |model, world| {
            let scene = world.get();
            has_ended(world) || !scene.owed.is_empty() || model.timeout(world)
        }),
        always(WAITS, |model, world| waits(model, world) && is_free_of(world, &[Flaw::Silent])),
        always(WHOLE, |_, world| is_free_of(world, &[Flaw::Hollow, Flaw::Outcome, Flaw::AfterEnd])),
        always(SOURCES, |_, world| is_free_of(world, &[Flaw::Sources])),
        always(ONCE, |_, world| is_free_of(world, &[Flaw::Pending, Flaw::Again])),
        always(BOUNDED, |_, world| is_free_of(world, &[Flaw::Attempts, Flaw::Dials, Flaw::Spins])),
        always(PROGRESS, |_, world| is_free_of(world, &[Flaw::Fell])),
        always(STALE, |_, world| is_free_of(world, &[Flaw::Stale])),
        always(NO_MISUSE, |_, world| is_free_of(world, &[Flaw::Misuse])),
        always(AGREED, |_, world| is_free_of(world, &[Flaw::Level])),
        always(NAMED, |_, world| is_free_of(world, &[Flaw::Named, Flaw::Blamed])),
        always(ENDS, |model, world| {
            let is_end = |world: &World| has_ended(world) || model.is_stuck(world);
            model.calm.ends(world, |world| model.calmly(world), is_end)
        }),
        Rule::sometimes("published", |_, world| matches!(outcome(world), Some(Outcome::Published { .. }))),
    ]
}

/// What a world with faults must reach besides, or its faults prove nothing.
pub(super) fn with_faults() -> Vec<Rule> {
    let sometimes = Rule::sometimes;
    vec![
        sometimes("aborted", |_, world| matches!(outcome(world), Some(Outcome::Aborted { .. }))),
        sometimes("failed", |_, world| matches!(outcome(world), Some(Outcome::Failed { .. }))),
        sometimes("a source is busy", |_, world| {
            let waiting = world.get().job.status().waiting;
            waiting.is_some_and(|waiting| matches!(waiting.reason, WaitReason::SourceBusy { .. }))
        }),
        // One dial of each is enough for a job that fetched nothing of what it has: an earlier one did.
        sometimes("published with what survived a crash", |model, world| {
            let stats = world.get().job.stats();
            let is_local = model.agreement.kind == DatasetKind::Local;
            let dials = if model.joins || !is_local { model.peers.len() as u64 } else { 1 };
            let kept = stats.sources_opened <= dials && stats.held_bytes > 0;
            kept && matches!(outcome(world), Some(Outcome::Published { .. }))
        }),
        sometimes("published after the first source was lost", |_, world| {
            let later = world.get().job.stats().sources_opened > 1;
            later && matches!(outcome(world), Some(Outcome::Published { .. }))
        }),
    ]
}

/// What a world must reach whose candidates join each other.
pub(super) fn with_several() -> Vec<Rule> {
    let sometimes = Rule::sometimes;
    vec![
        sometimes("two sources gave something", |_, world| {
            world.get().job.status().sources.iter().filter(|source| source.stored_bytes > 0).count() > 1
        }),
        sometimes("work is taken over", |_, world| world.get().job.stats().stolen > 0),
        sometimes("an item is passed on", |_, world| world.get().job.stats().passed_on > 0),
    ]
}

/// What a world must reach whose faults suffice to use all candidates up.
pub(super) fn with_exhaustion() -> Vec<Rule> {
    let sometimes = Rule::sometimes;
    vec![
        sometimes("no source", |_, world| matches!(outcome(world), Some(Outcome::NoSource { .. }))),
        sometimes("incomplete", |_, world| matches!(outcome(world), Some(Outcome::Incomplete { .. }))),
        sometimes("a back-off", |_, world| {
            let waiting = world.get().job.status().waiting;
            waiting.is_some_and(|waiting| matches!(waiting.reason, WaitReason::BackOff { .. }))
        }),
    ]
}

/// What a world of several replicas must reach, if it is about that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// A job waits for its level.
    Waits,
    /// Several manifests were joined, and published.
    Joined,
    /// One of several manifests was published without the others.
    Alone,
    /// Replicas disagree on an entry.
    Disputed,
    /// A copy was left out, and the rest published.
    LeftOut,
    /// Too few replicas are left.
    Missed,
    /// Published at another level than the first.
    AtAnotherLevel,
}

impl Reach {
    pub(super) fn property(self) -> Rule {
        let sometimes = Rule::sometimes;
        match self {
            Self::Waits => sometimes("the level is waited for", |_, world| world.get().waits_for_level()),
            Self::Joined => sometimes("published what was joined", |_, world| {
                is_published(world) && world.get().listed.columns.len() > 1
            }),
            Self::Alone => sometimes("published one manifest", |_, world| {
                is_published(world) && world.get().listed.columns.len() == 1
            }),
            Self::Disputed => sometimes("replicas disagree", |_, world| world.get().job.stats().disputed > 0),
            Self::LeftOut => sometimes("published without a copy", |_, world| {
                is_published(world) && !world.get().listed.left_out.is_empty()
            }),
            Self::Missed => sometimes("too few are left", |_, world| {
                matches!(outcome(world), Some(Outcome::LevelMissed { .. }))
            }),
            Self::AtAnotherLevel => sometimes("published at another level", |model, world| {
                is_published(world) && world.get().level != model.agreement.level
            }),
        }
    }
}

fn is_published(world: &World) -> bool {
    matches!(outcome(world), Some(Outcome::Published { .. }))
}

fn waits(model: &RecoveryWorld, world: &World) -> bool {
    let scene = world.get();
    let status = scene.job.status();
    if has_ended(world) {
        return scene.job.poll_timeout().is_none() && status.waiting.is_none() && scene.owed.is_empty();
    }
    (model.timeout(world) || scene.awaits_store()) && status.waiting.is_some()
}

fn outcome(world: &World) -> Option<&Outcome> {
    world.get().job.outcome()
}

fn has_ended(world: &World) -> bool {
    outcome(world).is_some()
}

fn is_free_of(world: &World, flaws: &[Flaw]) -> bool {
    world.get().flaw.is_none_or(|flaw| !flaws.contains(&flaw))
}
