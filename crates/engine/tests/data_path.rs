//! The way of the bytes between two engines, with sources and sinks that count, fail and wait.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

#[path = "data_path/checkpoints.rs"]
mod checkpoints;
#[path = "data_path/compared.rs"]
mod compared;
#[path = "data_path/pair.rs"]
mod pair;
#[path = "data_path/pins.rs"]
mod pins;
#[path = "data_path/pushes.rs"]
mod pushes;
#[path = "data_path/several.rs"]
mod several;
#[path = "data_path/source_faults.rs"]
mod source_faults;
#[path = "data_path/standing.rs"]
mod standing;
