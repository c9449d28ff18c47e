//! The engine against a peer that breaks the protocol, lies, stalls or leaves: facts, by row and rule.
//!
//! | module | the raw peer is |
//! |---|---|
//! | `streams` | a stranger: greetings, streams and sessions that are not in order |
//! | `distant` | an honest donor that is far away |
//! | `donors` | a donor whose manifests or content are wrong, late, surplus or never come |
//! | `listings` | a donor that fails while it lists, and a receiver that only lists |
//! | `outlines` | a donor whose tops and outlines of groups are wrong, and a receiver that asks for any |
//! | `receivers` | a receiver that asks for what it should not |

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a scripted peer is honest about every other message")]

#[path = "hostile/distant.rs"]
mod distant;
#[path = "hostile/donors.rs"]
mod donors;
#[path = "hostile/listings.rs"]
mod listings;
#[path = "hostile/outlines.rs"]
mod outlines;
mod raw;
#[path = "hostile/receivers.rs"]
mod receivers;
#[path = "hostile/streams.rs"]
mod streams;
