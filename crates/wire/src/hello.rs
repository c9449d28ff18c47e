//! Versions and features, once per connection, before anything else.

use peerstream_types::Incarnation;
use serde::{Deserialize, Serialize};

use crate::limits::{HELLO_FRAME_MAX, REASON_LEN_MAX};
use crate::{Code, Extensions, Features, Framed, Minor, Text, WireError};

/// What a connection is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lane {
    /// Session control.
    Control,
    /// Data, inventories, outlines.
    Bulk,
}

/// What the dialling node says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloV1 {
    /// Oldest and newest minor version that it speaks.
    pub minors: (Minor, Minor),
    /// What it can do.
    pub features: Features,
    /// Its boot: a larger one replaces a smaller one.
    pub incarnation: Incarnation,
    /// What it will use this connection for.
    pub lane: Lane,
    /// Optional parts.
    pub extensions: Extensions,
}

/// The answer: from here on both ends know what to speak.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WelcomeV1 {
    /// The newest minor version that both speak.
    pub minor: Minor,
    /// What both can do.
    pub features: Features,
    /// The answering node's boot.
    pub incarnation: Incarnation,
    /// Optional parts.
    pub extensions: Extensions,
}

/// The other answer: this connection is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnwelcomeV1 {
    /// Why.
    pub code: Code,
    /// In words.
    pub reason: Text<REASON_LEN_MAX>,
}

/// What travels on the Hello stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HelloMessage {
    /// From the dialling node.
    Hello(HelloV1),
    /// Yes.
    Welcome(WelcomeV1),
    /// No.
    Unwelcome(UnwelcomeV1),
}

impl Framed for HelloMessage {
    const WHAT: &'static str = "hello";
    const FRAME_MAX: usize = HELLO_FRAME_MAX;

    fn validate(&self) -> Result<(), WireError> {
        match self {
            Self::Hello(hello) if hello.minors.0 > hello.minors.1 => Err(WireError::Invalid {
                what: Self::WHAT,
                why: "its oldest version is newer than its newest",
            }),
            Self::Hello(_) | Self::Welcome(_) | Self::Unwelcome(_) => Ok(()),
        }
    }
}
