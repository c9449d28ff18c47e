//! Promise 1: verified first.

use super::{Finding, Invariant};
use crate::watch::{Image, View};

/// See [`Invariant::statement`].
#[derive(Debug, Clone, Copy)]
pub struct Verified;

impl Invariant for Verified {
    fn name(&self) -> &'static str {
        "verified"
    }

    fn statement(&self) -> &'static str {
        "Every byte that is visible in a received shard fits the digest that its manifest declares, \
         and, unless it is merged, some source had the same bytes under the same key."
    }

    fn check(&mut self, view: &View<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (node, shard, visible) in view.visible() {
            let Some(image) = &visible.image else {
                findings.push(Finding::of(node, shard, "the visible generation cannot be read"));
                continue;
            };
            let strange = wrong_entry(image).or_else(|| {
                if visible.blocks.is_some() {
                    return None;
                }
                let unknown = image
                    .entries
                    .iter()
                    .find(|(key, seen)| !view.books.ledger.has_content(shard, key, seen.bytes));
                unknown.map(|(key, seen)| {
                    format!("no source has {} bytes of {key} that hash to {}", seen.len, seen.bytes)
                })
            });
            findings.extend(strange.map(|seen| Finding::of(node, shard, seen)));
        }
        findings
    }
}

/// An entry whose bytes are not what its manifest says; other algorithms than ours are not judged.
fn wrong_entry(image: &Image) -> Option<String> {
    let is_wrong = |declared: peerstream_types::Digest, bytes: peerstream_types::Digest| {
        declared.code() == bytes.code() && declared != bytes
    };
    let mut entries = image.entries.iter();
    let wrong =
        entries.find(|(_, seen)| seen.declared.is_some_and(|declared| is_wrong(declared, seen.bytes)));
    wrong.map(|(key, seen)| format!("the bytes of {key} hash to {}, not to what is declared", seen.bytes))
}
