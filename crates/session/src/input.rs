//! Everything that can happen to a session, by name.

use std::fmt;

/// Where an input comes from, and so what becomes of it where the table has no row for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A message of the peer. Without a row it breaks the protocol; after the end it is refused.
    Peer,
    /// A command of the driver. Without a row it is misuse.
    Driver,
    /// Time, the connection, or the session itself. Without a row it means nothing.
    Own,
}

macro_rules! inputs {
    ($($(#[$doc:meta])* $name:ident from $origin:ident,)*) => {
        /// An input of the table: a message of the peer, a command of the driver, or what the session
        /// notices itself. Where one message means different things, each is an input of its own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Input {
            $($(#[$doc])* $name,)*
        }

        impl Input {
            /// Every input.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Where it comes from.
            pub fn origin(self) -> Origin {
                match self {
                    $(Self::$name => Origin::$origin,)*
                }
            }
        }
    };
}

inputs! {
    /// The first Init.
    Init from Peer,
    /// The same Init again (row C05).
    InitAgain from Peer,
    /// The first `InitAck`, or another one than that.
    InitAck from Peer,
    /// The same `InitAck` again.
    InitAckAgain from Peer,
    /// The follower does not take the session.
    Refuse from Peer,
    /// A page of Prepare.
    Prepare from Peer,
    /// A page of `PrepareAck` that is not the last.
    PrepareAck from Peer,
    /// The last page of `PrepareAck`.
    PrepareAckLast from Peer,
    /// `InventoryRequest`, `TreeRequest`, `RunRequest`, `OutlineRequest` or Fetch.
    Request from Peer,
    /// The answer to a request when there is none.
    FetchFailed from Peer,
    /// An acknowledgement.
    Received from Peer,
    /// References that may be dropped.
    Release from Peer,
    /// Reserved.
    Have from Peer,
    /// Any of the five above in a preview, where nothing moves.
    PreviewTraffic from Peer,
    /// The peer has done its part.
    PeerComplete from Peer,
    /// Still here.
    KeepAlive from Peer,
    /// Please ask for less.
    Throttle from Peer,
    /// The peer's node is going down.
    GoAway from Peer,
    /// The peer called it off.
    PeerAbort from Peer,
    /// The peer failed.
    PeerFailure from Peer,
    /// The driver takes the session.
    DoAccept from Driver,
    /// The driver does not take the session.
    DoRefuse from Driver,
    /// The driver says what it wants and offers.
    DoPrepare from Driver,
    /// The driver, or the session for an empty Prepare, answers.
    DoAnswer from Driver,
    /// The driver asks for pages, chaining values or content.
    DoRequest from Driver,
    /// The driver has stored content.
    DoReceived from Driver,
    /// The driver is done with an offer.
    DoRelease from Driver,
    /// A request, own or the peer's, has come to its end.
    DoSettle from Driver,
    /// The driver counts bytes.
    DoCount from Driver,
    /// The driver asks the peer for less, or announces that this node goes down.
    DoNotice from Driver,
    /// The driver calls it off.
    DoAbort from Driver,
    /// The driver reports a failure.
    DoFail from Driver,
    /// A message broke a rule beyond its place in the order.
    Breach from Own,
    /// The control stream or its connection ended.
    Disconnect from Own,
    /// The state has lasted too long.
    Deadline from Own,
    /// Nothing was heard for too long.
    Silence from Own,
    /// Own part done, the peer's Complete has not come.
    OwnDone from Own,
    /// Own part done, the peer's Complete came before.
    OwnDoneLast from Own,
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
