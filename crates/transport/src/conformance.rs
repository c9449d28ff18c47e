//! What every transport must do: a suite of facts for anybody who implements [`Transport`].
//!
//! A [`Fact`] gets two fresh transports of one cluster and checks one promise of the contract. The
//! suite needs no runtime of its own and has no clock: an implementation that loses a wake-up
//! hangs it, so the caller sets a time limit. [`run_all`] checks everything; to see which fact
//! hangs, go through [`FACTS`] and put the limit around each.
//!
//! ```
//! # use std::sync::Arc;
//! # use peerstream_transport::{conformance::{self, Pair}, memory::MemoryNetwork, PeerIdentity};
//! # use peerstream_types::{ClusterName, NodeId};
//! async fn pair() -> Pair {
//!     let network = MemoryNetwork::new();
//!     let node = |id, addr: &str| {
//!         let cluster = ClusterName::new("demo").unwrap();
//!         let identity = PeerIdentity { cluster, node: NodeId::new(id).unwrap() };
//!         (identity.clone(), Arc::new(network.node(identity, addr.parse().unwrap())))
//!     };
//!     let (dialler_identity, dialler) = node("near", "10.0.0.1:7000");
//!     let (acceptor_identity, acceptor) = node("far", "10.0.0.2:7000");
//!     Pair { dialler, dialler_identity, acceptor, acceptor_identity }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! conformance::run_all(pair).await;
//! # });
//! ```
//!
//! Not checked here, because two transports cannot show it: trust in certificates, other clusters,
//! dead and unreachable peers, limits of buffers. Each implementation tests these itself.

mod connections;
mod content;
mod join;
mod loads;
mod streams;
mod transports;

use std::fmt;
use std::sync::Arc;

use crate::{
    BiStream, BoxFuture, ConnectError, Connection, ConnectionError, Lane, PeerIdentity, RecvStream,
    SendStream, SendStreamExt, StreamError, Target, Transport,
};
use join::join;

/// Two transports of one cluster that can reach each other and that nobody else uses.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Dials.
    pub dialler: Arc<dyn Transport>,
    /// Who the dialler is.
    pub dialler_identity: PeerIdentity,
    /// Is dialled, at its [`local_addr`](Transport::local_addr).
    pub acceptor: Arc<dyn Transport>,
    /// Who the acceptor is.
    pub acceptor_identity: PeerIdentity,
}

impl Pair {
    fn target(&self) -> Target {
        Target { addr: self.acceptor.local_addr(), node: Some(self.acceptor_identity.node.clone()) }
    }

    async fn connect(self) -> Result<Linked, Broken> {
        let (near, far) =
            join(self.dialler.connect(&self.target(), Lane::Bulk), self.acceptor.accept()).await;
        let far = far.ok_or_else(|| Broken::new("accept ended although nothing was closed"))?;
        Ok(Linked { near: near?, far, pair: self })
    }
}

/// One connection, both ends of it.
struct Linked {
    near: Arc<dyn Connection>,
    far: Arc<dyn Connection>,
    /// Keeps the transports open.
    pair: Pair,
}

impl Linked {
    /// A stream from near to far that has carried `first` and is accepted.
    async fn uni(&self, first: &'static [u8]) -> Result<(Box<dyn SendStream>, Box<dyn RecvStream>), Broken> {
        let mut send = self.near.open_uni().await?;
        let (written, recv) = join(send.write_all(first.into()), self.far.accept_uni()).await;
        written?;
        Ok((send, recv?))
    }

    /// A stream with both directions that near opened, wrote `first` to, and far accepted.
    async fn bi(&self, first: &'static [u8]) -> Result<(BiStream, BiStream), Broken> {
        let mut near = self.near.open_bi().await?;
        let (written, far) = join(near.0.write_all(first.into()), self.far.accept_bi()).await;
        written?;
        Ok((near, far?))
    }
}

/// How an implementation breaks the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(String);

impl Broken {
    fn new(how: impl Into<String>) -> Self {
        Self(how.into())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

macro_rules! broken_by {
    ($($error:ty),*) => {$(
        impl From<$error> for Broken {
            fn from(error: $error) -> Self {
                Self(format!("unexpected error: {error} ({error:?})"))
            }
        }
    )*};
}
broken_by!(ConnectError, ConnectionError, StreamError);

type Verdict = Result<(), Broken>;

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Broken(otherwise())) }
}

fn ensure_eq<T: PartialEq + fmt::Debug>(what: &str, got: T, wanted: T) -> Verdict {
    ensure(got == wanted, || format!("{what}: got {got:?}, wanted {wanted:?}"))
}

/// One promise of the contract.
#[derive(Clone, Copy)]
pub struct Fact {
    name: &'static str,
    check: fn(Pair) -> BoxFuture<'static, Verdict>,
}

impl Fact {
    /// The claim, as a name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Checks the fact on two fresh transports.
    ///
    /// # Errors
    ///
    /// [`Broken`] says what the implementation does instead.
    pub async fn check(&self, pair: Pair) -> Result<(), Broken> {
        (self.check)(pair).await
    }
}

impl fmt::Debug for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! facts {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$(Fact { name: stringify!($name), check: |pair| Box::pin($module::$name(pair)) }),*]
    };
}

/// Every fact, from the simple to the demanding.
pub const FACTS: &[Fact] = facts![
    transports::both_ends_know_each_other,
    transports::any_member_may_answer_when_no_node_is_named,
    transports::another_node_at_the_address_is_refused,
    transports::accepting_ends_when_the_transport_closes,
    transports::a_closed_transport_does_not_dial,
    connections::close_tells_the_peer_code_and_reason,
    connections::a_second_close_changes_nothing,
    connections::close_ends_open_streams_on_both_sides,
    connections::close_wakes_whoever_waits_for_streams,
    connections::an_abandoned_accept_loses_no_stream,
    streams::bytes_arrive_whole_and_in_order,
    streams::both_directions_are_independent,
    streams::a_read_returns_at_most_what_was_asked,
    streams::an_abandoned_read_loses_nothing,
    streams::finish_delivers_everything_before_the_end,
    streams::an_empty_stream_ends,
    streams::nothing_follows_finish,
    streams::a_reset_reaches_the_reader,
    streams::a_sender_dropped_unfinished_resets,
    streams::a_stop_reaches_the_writer,
    streams::a_reader_dropped_early_stops_the_writer,
    streams::stopped_tells_that_all_was_received,
    loads::streams_run_side_by_side,
    loads::finished_streams_make_room_for_new_ones,
    loads::a_full_stream_does_not_hold_up_others,
    loads::large_transfers_are_equal_in_both_directions,
];

/// Checks every fact of [`FACTS`], each on a fresh pair of transports.
///
/// # Panics
///
/// At the first fact that does not hold, with its name and what was seen instead.
pub async fn run_all(make: impl AsyncFn() -> Pair) {
    for fact in FACTS {
        if let Err(broken) = fact.check(make().await).await {
            panic!("the transport breaks the contract, `{}`: {broken}", fact.name);
        }
    }
}
