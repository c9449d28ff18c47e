//! The task of one shard that is brought to this node: one pure recovery job, and what it asks for.

mod actions;
mod admission;
mod agreement;
mod checkpoints;
mod due;
mod ending;
mod listing;
mod mirror;
mod opening;
mod outlines;
mod reports;
mod source;
mod task;

pub(crate) use opening::{Asked, Origin, PlanSessions};
pub(crate) use task::ShardJob;
