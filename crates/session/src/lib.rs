//! One session between two nodes, from Init to Complete: both roles, both directions, one state
//! machine. No I/O, no clock: the driver carries the messages, moves the bytes, and tells the session
//! what became of them.
//!
//! # Example
//!
//! One entry of one shard moves from `b` to `a`.
//!
//! ```
//! use peerstream_session::{Config, Event, Session, State};
//! # use peerstream_types::*;
//! # use peerstream_wire::message::{InitAckV1, InitV1, OfferV1, PeerLimits, Preview, ReleaseReason, RequestV1};
//! # use peerstream_wire::{Extensions, Features, Minor, Text};
//! # let (now, plan, index) = (Timestamp::ZERO, PlanId::from_parts(1, 2), 0);
//! # let (incarnation, extensions) = (Incarnation(1), Extensions::default());
//! # let (minors, cluster) = ((Minor::OLDEST, Minor::NEWEST), ClusterName::new("prod")?);
//! # let (operation, preview, trace) = (Operation::Bootstrap, Preview::Off, Text::default());
//! # let init = InitV1 { minors, plan, index, operation, preview, cluster, incarnation, trace, extensions };
//! # let id = |peer, role| Ok::<_, NameError>(SessionId { plan, peer: NodeId::new(peer)?, index, role });
//! # let limits = PeerLimits { requests: 64, bytes: 1 << 25 };
//! # let (minor, features, extensions) = (Minor::NEWEST, Features::OURS, Extensions::default());
//! # let ack = InitAckV1 { minor, features, incarnation, limits, extensions };
//! # let shard = ShardId::new(DatasetName::new("metrics")?, 1, 0);
//! # let wanted = RequestV1 { shard: shard.clone(), selector: Selector::All };
//! # let counts = EntryCounts { entries: 1, bytes: 900 };
//! # let (chunk_size, digest) = (ChunkSize::DEFAULT, Some(Digest::Blake3([9; 32])));
//! # let header = ManifestHeader { chunk_size, counts, digest, position: None, state: vec![] };
//! # let held = OfferV1 { offer: OfferId(1), shard, selector: Selector::All, header };
//!
//! let mut a = Session::initiate(now, Config::default(), id("node-b", Role::Initiator)?, init);
//! let mut b = Session::follow(now, Config::default(), id("node-a", Role::Follower)?);
//! while !(a.state().is_final() && b.state().is_final()) {
//!     while let Some(message) = a.poll_transmit() {
//!         b.handle_message(now, message)?;
//!     }
//!     while let Some(message) = b.poll_transmit() {
//!         a.handle_message(now, message)?;
//!     }
//!     while let Some(event) = a.poll_event() {
//!         match event {
//!             Event::Accepted(_) => a.prepare(now, vec![wanted.clone()], vec![])?,
//!             Event::Offered { offers, .. } => {
//!                 a.fetch(now, offers[0].offer, vec![Span::entry(Ordinal(0))], 1)?;
//!             }
//!             _ => {}
//!         }
//!     }
//!     while let Some(event) = b.poll_event() {
//!         match event {
//!             Event::Init(_) => b.accept(now, ack.clone())?,
//!             Event::Prepared { .. } => b.answer(now, vec![held.clone()], vec![], vec![])?,
//!             Event::FetchRequested { request, offer, spans, .. } => {
//!                 b.served(now, request)?; // b wrote the data stream; a read, verified and stored it:
//!                 a.request_done(now, request)?;
//!                 a.received(now, offer, spans, ByteCount(900))?;
//!                 a.release(now, offer, ReleaseReason::Done)?;
//!             }
//!             _ => {}
//!         }
//!     }
//! }
//! assert_eq!((a.state(), b.state()), (State::Completed, State::Completed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Rules
//!
//! - Drain after every input: transmit, timeout, event ([`Session`] says how).
//! - The first end sticks, with its reason, and both ends show it. Nothing comes after
//!   [`Event::Ended`].
//! - When no end needs an offer of the other any longer, Complete follows by itself.
//! - A peer that breaks the protocol fails its session and is told why; a driver that does gets a
//!   [`CommandError`], and nothing has changed.
//! - Requests have ascending ids, answers are matched by id, and everything has a limit ([`config`]).
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`state`] | [`State`], the table of what may follow what, its diagram |
//! | [`input`] | what can happen to a session, by name |
//! | [`session`] | [`Session`]: `handshake`, `transfer`, `ending`, and `messages` that sorts what comes in |
//! | [`event`] | [`Event`] and [`Outcome`]: what the driver is told |
//! | [`error`] | [`SessionError`] of the peer, [`CommandError`] of the driver |
//! | [`config`] | [`Config`] and the fixed limits |
//! | [`stats`] | [`Stats`] |
//! | [`visited`] | [`Visited`]: which inputs met which state |
//! | `prepare` | pages of Prepare and its answer |
//! | `offers`, `runs` | what was offered, acknowledged and released |
//! | `requests` | what is under way, in both directions |
//! | `timer` | deadlines, keep-alive, silence |
//!
//! # Not here
//!
//! Sockets and data streams (`peerstream-transport`), which session a stream belongs to, retries and
//! the choice of sources (`peerstream-recovery`), stores and leases (`peerstream-snapshot`), pacing
//! (`peerstream-shape`). The engine brings them together.

pub mod config;
pub mod error;
pub mod event;
pub mod input;
mod offers;
mod prepare;
mod requests;
mod runs;
pub mod session;
pub mod state;
pub mod stats;
mod timer;
pub mod visited;

pub use config::Config;
pub use error::{CommandError, SessionError};
pub use event::{By, Event, Outcome};
pub use session::Session;
pub use state::State;
pub use stats::Stats;
pub use visited::Visited;
