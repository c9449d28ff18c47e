//! Facts that hold for every source and sink.
//!
//! Authors of stores run them against their own: implement [`Harness`] and [`Subject`], then let
//! each of [`facts`] check. A fact panics, naming what does not hold. None of them needs a runtime of
//! its own; whatever the store needs, the caller provides.
//!
//! ```
//! # use std::sync::Arc;
//! # use peerstream_snapshot::conformance::{Harness, Seed, Subject, facts};
//! # use peerstream_snapshot::{BoxFuture, MemoryStore, Sink, Source};
//! #[derive(Clone)]
//! struct Mine(MemoryStore);
//!
//! impl Harness for Mine {
//!     fn source<'a>(&'a self, seed: &'a Seed) -> BoxFuture<'a, Arc<dyn Source>> {
//!         let store = MemoryStore::with_chunk_size(seed.chunk_size);
//!         store.create(&seed.shard);
//!         for (key, content) in &seed.entries {
//!             store.put(&seed.shard, key.clone(), content.clone(), Vec::new());
//!         }
//!         store.set_position(&seed.shard, seed.position.clone());
//!         store.set_state(&seed.shard, seed.state.clone());
//!         Box::pin(async move { Arc::new(store) as Arc<dyn Source> })
//!     }
//!     fn empty(&self) -> BoxFuture<'_, Box<dyn Subject>> {
//!         Box::pin(async { Box::new(Mine(MemoryStore::new())) as Box<dyn Subject> })
//!     }
//! }
//!
//! impl Subject for Mine {
//!     fn source(&self) -> Arc<dyn Source> {
//!         Arc::new(self.0.clone())
//!     }
//!     fn sink(&self) -> Arc<dyn Sink> {
//!         Arc::new(self.0.clone())
//!     }
//!     fn restart(self: Box<Self>) -> BoxFuture<'static, Box<dyn Subject>> {
//!         Box::pin(async { self as Box<dyn Subject> })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! for fact in facts() {
//!     (fact.check)(&Mine(MemoryStore::new())).await;
//! }
//! # }
//! ```

mod manifest_facts;
mod publish_facts;
mod resume_facts;
mod seed;
mod source_facts;
mod transfer;

use std::fmt;
use std::sync::Arc;

use crate::{BoxFuture, Sink, Source};

pub use seed::Seed;

/// Makes sources with content and empty stores.
pub trait Harness: Send + Sync {
    /// A source that holds just this shard.
    fn source<'a>(&'a self, seed: &'a Seed) -> BoxFuture<'a, Arc<dyn Source>>;

    /// An empty store.
    fn empty(&self) -> BoxFuture<'_, Box<dyn Subject>>;
}

/// A store that receives shards and serves what it has published.
pub trait Subject: Send + Sync {
    /// Serves what was published.
    fn source(&self) -> Arc<dyn Source>;

    /// Receives.
    fn sink(&self) -> Arc<dyn Sink>;

    /// The store after a crash of its process: what was synced or written is there, what was only in
    /// memory is not, if the store has anywhere else to keep it.
    fn restart(self: Box<Self>) -> BoxFuture<'static, Box<dyn Subject>>;
}

/// One fact.
#[derive(Clone, Copy)]
pub struct Fact {
    /// What holds.
    pub name: &'static str,
    /// Panics if it does not hold.
    pub check: for<'a> fn(&'a dyn Harness) -> BoxFuture<'a, ()>,
}

impl fmt::Debug for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Names async functions as facts.
macro_rules! list {
    ($($module:ident :: { $($name:ident),+ $(,)? }),+ $(,)?) => {
        vec![$($(Fact {
            name: stringify!($name),
            check: |harness| Box::pin($module::$name(harness)),
        }),+),+]
    };
}

/// All facts.
pub fn facts() -> Vec<Fact> {
    list![
        source_facts::{
            pages_list_every_entry_once_in_key_order,
            a_run_of_entries_can_be_asked_for,
            a_token_that_was_never_given_is_refused,
            an_outline_vouches_for_every_chunk,
            chunks_that_do_not_exist_have_no_outline,
            a_top_vouches_for_every_group,
            groups_that_do_not_exist_have_no_top,
            any_range_of_an_entry_can_be_read,
            bytes_that_do_not_exist_are_refused,
            a_selector_makes_a_manifest_of_its_own,
            time_selects_nothing_here,
            an_unknown_shard_is_not_held,
            an_empty_shard_has_a_manifest,
            equal_content_has_equal_manifests,
        },
        manifest_facts::{
            keys_that_leave_the_shard_are_refused,
            keys_out_of_order_are_refused,
            a_file_cannot_be_a_directory,
            an_entry_that_cannot_be_verified_is_refused,
            a_refused_page_leaves_no_trace,
            a_forged_header_is_not_sealed,
            an_incomplete_shard_is_not_sealed,
            chunks_that_were_not_admitted_are_refused,
        },
        resume_facts::{
            chunks_outlive_a_dropped_staging,
            chunks_outlive_a_restart,
            chunks_are_kept_by_content,
            equal_content_is_stored_once,
            storing_twice_changes_nothing,
            discarded_chunks_are_gone,
            an_older_writer_is_fenced_off,
        },
        publish_facts::{
            a_whole_shard_moves,
            an_empty_shard_moves,
            an_entry_of_several_groups_moves,
            a_published_shard_outlives_a_restart,
            nothing_is_visible_before_publish,
            the_old_generation_is_visible_until_publish,
            a_generation_stays_while_a_snapshot_holds_it,
            publish_needs_a_seal,
            a_restart_before_publish_shows_nothing_and_keeps_chunks,
        },
    ]
}
