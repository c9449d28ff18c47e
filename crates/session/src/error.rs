//! What a peer, and what a driver, may do wrong.

use peerstream_types::{FetchId, OfferId, Role};
use peerstream_wire::WireError;

use crate::config::TRANSMIT_MAX;
use crate::state::State;

/// The peer broke the protocol. The session is now [`State::Failed`], an Abort that says why waits in
/// [`poll_transmit`](crate::Session::poll_transmit), [`Event::Ended`](crate::Event::Ended) comes. Do
/// not repeat: the peer's operator has to look.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A message has no place here.
    #[error("the peer sent {message} to the {role} in state {state}")]
    Unexpected {
        /// Its name.
        message: &'static str,
        /// The role of this end.
        role: Role,
        /// The state that it met.
        state: State,
    },
    /// A message may come here, but not with this content.
    #[error("the peer's {message} breaks the protocol: {why}")]
    Breach {
        /// Its name.
        message: &'static str,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// The peer asks and does not read the answers.
    #[error("the peer asks faster than it reads: {TRANSMIT_MAX} messages wait for it")]
    Flood,
}

/// A command that the session did not carry out. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The session has ended. No mistake of the driver's: drop what the command was about.
    #[error("the session has ended: {0}")]
    Ended(State),
    /// The command has no place here: a mistake of the driver's.
    #[error("{command} is not for the {role} in state {state}")]
    WrongState {
        /// The command.
        command: &'static str,
        /// The role of this end.
        role: Role,
        /// The state.
        state: State,
    },
    /// The command may be given here, but not with these arguments: a mistake of the driver's.
    #[error("{command}: {why}")]
    Unfit {
        /// The command.
        command: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// The peer made no such offer.
    #[error("the peer has made no offer {0}")]
    UnknownOffer(OfferId),
    /// The offer was released or refused before.
    #[error("offer {0} was released before")]
    OfferReleased(OfferId),
    /// No request ever had this id.
    #[error("there was no request {0}")]
    UnknownRequest(FetchId),
    /// As many requests as the peer allows are outstanding. Try again when one has ended.
    #[error("{0} requests are outstanding, the peer allows no more")]
    WindowFull(u32),
    /// As many messages wait as may. Try again when [`poll_transmit`](crate::Session::poll_transmit)
    /// was drained.
    #[error("no room for {0} more messages, at most {TRANSMIT_MAX} may wait to be sent")]
    TransmitFull(usize),
    /// More than one Prepare or `PrepareAck` of all pages holds. Open another session for the rest.
    #[error("{pages} pages, a Prepare has at most {max}")]
    TooManyPages {
        /// How many it would take.
        pages: usize,
        /// The limit.
        max: u32,
    },
    /// The message would break a rule of the wire.
    #[error(transparent)]
    Invalid(#[from] WireError),
}

impl CommandError {
    /// Whether the session ended before the command, which the driver could not know.
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Ended(_))
    }
}
