//! The job that brings one (shard, selector) up at one node across its candidate peers: who is
//! asked next, what is wanted and outstanding, retries, fail-over, seal, publish. No I/O, no clock,
//! no randomness: the driver moves the bytes, and tells the job what happened.
//!
//! Equal manifests are listed once, and all that offer one serve at once, chunk by chunk. Where replicas
//! can be compared, as many are heard first as the level asks for, and manifests that differ are joined
//! entry by entry. When the last source is lost, stalls, refuses or has given all that it can, the next
//! candidate continues with what is missing; what was verified is never fetched again.
//!
//! # Example
//!
//! A shard of one entry, from the first dial to the publish.
//!
//! ```
//! use std::sync::Arc;
//! use peerstream_recovery::{Action, Admitted, Config, Job, Outcome, PageIn, Recovery};
//! use peerstream_types::*;
//!
//! let key = EntryKey::from_path("000001.sst")?;
//! let digest = Some(Digest::Blake3([7; 32]));
//! let (kind, codec) = (EntryKind::File, Codec::Plain);
//! let entry = Arc::new(Entry { ordinal: Ordinal(0), key, len: 900, digest, kind, codec, metadata: vec![] });
//! let header = ManifestHeader {
//!     chunk_size: ChunkSize::DEFAULT,
//!     counts: EntryCounts { entries: 1, bytes: 900 },
//!     digest: Some(Digest::Blake3([9; 32])),
//!     position: None,
//!     state: vec![],
//! };
//! let shard = ShardId::new(DatasetName::new("metrics")?, 1, 0);
//! let candidates = vec![NodeId::new("node-b")?, NodeId::new("node-c")?];
//! let now = Timestamp::ZERO;
//!
//! let job = Job::new(shard, Selector::All, candidates);
//! let mut job = Recovery::new(now, Config::default(), job)?;
//! while let Some(action) = job.poll_action() {
//!     match action {
//!         Action::Open { source, .. } => job.handle_offer(now, source, header.clone())?,
//!         Action::List { source, .. } => {
//!             job.handle_page(now, source, PageIn::last(vec![entry.clone()], header.clone()))?;
//!         }
//!         Action::Admit { .. } => job.handle_admitted(now, Admitted::default())?,
//!         Action::Fetch { fetch, spans, .. } => {
//!             for span in spans {
//!                 job.handle_stored(now, fetch, span)?;
//!             }
//!         }
//!         Action::Seal { .. } => job.handle_sealed(now, Ok(()))?,
//!         Action::Publish => job.handle_published(now, Ok(1))?,
//!         Action::Done(outcome) => assert_eq!(outcome, Outcome::Published { generation: 1 }),
//!         _ => {}
//!     }
//! }
//! assert_eq!(job.stats().stored_bytes, 900);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The drain rule
//!
//! After [`Recovery::new`] and after every input: carry out [`Recovery::poll_action`] until it is
//! empty, in order, then arm one timer for [`Recovery::poll_timeout`]. Each [`Action`] says what
//! answers it. No input panics, and none is lost: what comes for a closed source or a finished fetch
//! is ignored and counted ([`Stats::late_inputs`]); what no driver may say is a [`Misuse`] and
//! changes nothing.
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`recovery`] | [`Recovery`], the job: inputs, outputs, and what follows from what |
//! | [`config`] | [`Config`], [`Job`] and the fixed limits |
//! | [`action`] | [`Action`], [`OutlinePart`], [`SourceId`], [`CloseReason`]: what the driver carries out |
//! | [`candidate`] | [`Candidate`], [`Regard`]: who may be asked, and what is known of them |
//! | [`agreement`] | [`Agreement`], [`PositionOrder`]: who has to say the same |
//! | [`input`] | [`PageIn`], [`Admitted`], [`Refusal`], [`Fault`], [`NotTaken`], [`Misuse`]: what the driver says |
//! | [`outcome`] | [`Outcome`], [`Gap`], [`PeerReport`], [`Findings`]: how it ended, and why |
//! | [`standing`] | [`Standing`]: where each replica stands |
//! | [`status`] | [`Status`], [`Waiting`], [`Stats`]: the truth at any moment |
//! | [`retry`] | [`BackOff`] and the budgets of items |
//! | `choice` | who is asked next |
//! | `gather` | whether the offers are enough, and which go together |
//! | `roll` | the manifests in use, joined entry by entry, over `listing`, `row` |
//! | `pass` | one roll and those who serve it, over `wanted`, `link`, `flights`, `cut`, `shortfall`, `verdicts` |
//! | `link` | a source in use: what it owes, how it answers, what it does not give |
//! | `phase` | the phases, and what may follow what |
//!
//! # Not here
//!
//! The truth tables of levels and the merge join (`peerstream-select`); what is made of unequal copies (the
//! store); sessions and wire messages (`peerstream-session`);
//! bytes, hashing and the store (`peerstream-engine`, `peerstream-snapshot`); pacing of requests
//! (`peerstream-shape`).

pub mod action;
pub mod agreement;
pub mod candidate;
mod choice;
mod chunks;
pub mod config;
mod cut;
mod flights;
mod gather;
pub mod input;
mod link;
mod listing;
pub mod outcome;
mod pace;
mod pass;
mod phase;
pub mod recovery;
pub mod retry;
mod roll;
mod row;
mod shortfall;
pub mod standing;
pub mod status;
mod verdicts;
mod wanted;

pub use action::{Action, CloseReason, OutlinePart, SourceId};
pub use agreement::{Agreement, EqualPositions, PositionOrder, Voters};
pub use candidate::{Candidate, Regard};
pub use config::{Config, Job};
pub use input::{Admitted, Fault, Misuse, NotTaken, PageIn, Refusal};
pub use outcome::{Findings, Found, Gap, Outcome, PeerReport, Step};
pub use phase::Phase;
pub use recovery::Recovery;
pub use retry::BackOff;
pub use standing::{Replica, ReplicaStanding, Standing};
pub use status::{Retries, SourceStatus, Stats, Status, WaitReason, Waiting};
