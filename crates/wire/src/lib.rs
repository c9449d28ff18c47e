//! Messages, framing and limits of the peerstream protocol, version 1.
//!
//! Pure encoding: bytes in, checked values out, and back. Everything that decodes here was bounded
//! before it was allocated and validated before it is handed over, so a caller may use it as it is.
//! The protocol itself, with its numbered rules, is in `docs/protocol.md`.
//!
//! # Example
//!
//! ```
//! use bytes::BytesMut;
//! use peerstream_wire::{FrameDecoder, Message, frame};
//! use peerstream_wire::message::KeepAlive;
//!
//! let mut buffer = BytesMut::new();
//! frame::encode(&Message::KeepAlive(KeepAlive::default()), &mut buffer)?;
//!
//! let mut decoder = FrameDecoder::<Message>::new();
//! decoder.push(&buffer.freeze());
//! assert_eq!(decoder.next_frame()?, Some(Message::KeepAlive(KeepAlive::default())));
//! assert_eq!(decoder.next_frame()?, None);
//! # Ok::<(), peerstream_wire::WireError>(())
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`limits`] | every bound of the protocol, with its reason |
//! | [`kind`] | [`StreamKind`]: the first byte of every stream |
//! | [`hello`] | [`HelloMessage`]: versions and features, once per connection |
//! | [`message`] | [`Message`]: what travels on a session's control stream |
//! | [`data`] | [`DataHeader`] and [`RecordHeader`]: what travels on data streams |
//! | [`inventory`] | [`InventoryPage`], [`InventoryRun`] |
//! | [`tree`] | [`TreeNodes`]: parts of the digest tree of an inventory |
//! | [`code`] | [`Code`]: why something was refused or failed |
//! | [`extension`] | [`Extensions`]: optional parts that old peers skip |
//! | [`bounded`] | [`Bounded`] and [`Text`]: collections that cannot decode beyond their limit |
//! | [`mod@frame`] | length-prefixed frames |
//! | [`version`] | [`Minor`] versions, [`Features`], and their negotiation |
//!
//! # Not here
//!
//! Which message may come when (`peerstream-session`); sockets (`peerstream-transport`).

pub mod bounded;
pub mod code;
pub mod data;
pub mod error;
pub mod extension;
pub mod frame;
pub mod hello;
pub mod inventory;
pub mod kind;
pub mod limits;
pub mod message;
pub mod tree;
pub mod version;

pub use bounded::{Bounded, Text};
pub use code::Code;
pub use data::{DataHeader, RecordHeader, RecordStatus};
pub use error::WireError;
pub use extension::Extensions;
pub use frame::{FrameDecoder, Framed};
pub use hello::HelloMessage;
pub use inventory::{InventoryPage, InventoryRun};
pub use kind::StreamKind;
pub use message::Message;
pub use tree::TreeNodes;
pub use version::{Features, Minor};
