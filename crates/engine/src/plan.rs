//! A plan groups everything that one operation moves; executing it gives a handle.

mod builder;
mod event;
mod handle;
mod outcome;
mod progress;
mod record;

pub use builder::{PlanError, StreamPlan, Task};
pub use event::PlanEvent;
pub use handle::PlanHandle;
pub use outcome::{BadChunk, PlanOutcome, PlanResult, ShardOutcome, ShardResult};
pub use progress::{PlanState, ShardProgress, SourceProgress, Stage, TaskDirection};
pub(crate) use record::PlanRecord;
