//! Small worlds around the real session and the real recovery job, searched exhaustively: every order
//! of every step, and faults at every moment.
//!
//! A state of a world is a clone of the machines, what is under way between them, and what their
//! drivers still owe. Nothing of the machines is modelled again. The README says what the worlds
//! have and leave out, and how many states they have.
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`session`] | two ends of one session, a connection, two drivers |
//! | [`recovery`] | one recovery job, its candidates, a store |
//! | [`kept`] | machines as parts of a state: clones with a fingerprint in which only relative time counts |
//! | [`calm`] | what follows when the faults end |
//! | [`search`] | searching a world to its end, and its size |

pub mod calm;
pub mod kept;
pub mod recovery;
pub mod search;
pub mod session;
