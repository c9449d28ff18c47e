//! Bits flip in what is staged.

use std::collections::BTreeSet;

use peerstream_snapshot::Staging;

use crate::Case;
use crate::checks::{Stage, tree};
use crate::receiver::{self, Progress};

/// Stages everything, without a checkpoint.
async fn stage_all(stage: &Stage, staging: &dyn Staging) {
    receiver::begin(staging, &stage.new).await.unwrap();
    for chunk in stage.new.chunks.values().flatten() {
        staging.store(vec![chunk.clone()]).await.unwrap();
    }
}

/// F-37, D1: what lies beyond the last checkpoint is hashed again at start. Whatever bit flipped, in
/// contents, outlines or journal: what is still held is right, and the rest comes again.
#[tokio::test]
async fn a_flipped_bit_beyond_the_last_checkpoint_is_found() {
    let stage = Stage::second().await;
    let disk = stage.disk();
    let store = receiver::open(&disk).await;
    stage_all(&stage, &*receiver::writer(&store).await.unwrap()).await;
    drop(store);
    let disk = disk.kill();
    let before = tree(&stage.disk()).await;
    let (mut flips, mut found) = (0, 0);
    for (path, len) in tree(&disk).await.into_iter().filter(|(path, _)| !before.contains_key(path)) {
        for bit in (0..8 * len).step_by(usize::try_from(8 * len / 6).unwrap().max(1) | 1) {
            let _case = Case::new(format!("bit {bit} of {}", path.display()));
            let rotten = disk.fork();
            rotten.flip(&path, bit).unwrap();
            let progress = Progress::default();
            found += usize::from(!stage.check(rotten, &progress, &BTreeSet::new()).await.is_empty());
            flips += 1;
        }
    }
    println!("{flips} bits flipped, {found} found");
    assert!(found > 30, "only {found} of {flips} were found");
}
