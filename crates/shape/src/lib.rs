//! Classes of traffic and the seam through which every bulk byte passes.
//!
//! The engine asks a [`Shaper`] before it sends, receives or reads for hashing. Today's shaper,
//! [`PassThrough`], counts what passes and never holds anything back; rates, fair queues and the
//! adaptive controller come behind the same seam.
//!
//! # Example
//!
//! ```
//! use peerstream_shape::{Charge, Class, Direction, PassThrough, Shaper};
//!
//! let shaper = PassThrough::default();
//! let charge = Charge { class: Class::Bootstrap, direction: Direction::Send, peer: None, bytes: 65_536 };
//! assert!(shaper.charge(&charge).is_none(), "nothing to wait for");
//! assert_eq!(shaper.bytes(Class::Bootstrap, Direction::Send), 65_536);
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`class`] | [`Class`], [`Direction`] |
//! | [`shaper`] | [`Shaper`], [`Charge`] |
//! | [`pass`] | [`PassThrough`] |
//!
//! # Not here
//!
//! Clocks and timers: a shaper that waits is given them by its driver.

pub mod class;
pub mod pass;
pub mod shaper;

pub use class::{Class, Direction};
pub use pass::PassThrough;
pub use shaper::{Charge, Shaper};
