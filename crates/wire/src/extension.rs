//! Optional parts of a message that old peers skip.

use serde::{Deserialize, Serialize};

use crate::Bounded;
use crate::limits::{EXTENSION_LEN_MAX, EXTENSIONS_MAX};

/// One optional part: a tag that is never reused, and bytes that only those who know the tag read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// What it is. No tag is assigned yet.
    pub tag: u16,
    /// Its value.
    pub value: Bounded<u8, EXTENSION_LEN_MAX>,
}

/// The optional parts of a message. A field that is added to the protocol later travels here, so
/// that a decoder of today still reads the message (postcard structs cannot grow).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Extensions(pub Bounded<Extension, EXTENSIONS_MAX>);

impl Extensions {
    /// The value of an extension, if the message has it.
    pub fn get(&self, tag: u16) -> Option<&[u8]> {
        self.0.iter().find(|extension| extension.tag == tag).map(|extension| &*extension.value)
    }
}
