//! What every sink checks of a manifest, because a peer sent it.

use std::sync::Arc;

use peerstream_types::{ChunkSize, Digest, Entry, EntryCounts, EntryKey, ManifestHeader, Ordinal};

use super::transfer::{Offer, assert_nothing_visible, writer};
use super::{Harness, Seed, Subject};
use crate::{SinkError, Staging};

/// A staging that has begun the manifest of an offer, and the store that has to outlive it.
async fn begun(harness: &dyn Harness, offer: &Offer, seed: &Seed) -> (Box<dyn Subject>, Arc<dyn Staging>) {
    let subject = harness.empty().await;
    let staging = writer(&*subject, seed, 1).await;
    staging.begin(&offer.begun()).await.expect("a manifest begins");
    (subject, staging)
}

/// An entry of one byte under any key.
fn entry(ordinal: u64, key: &[u8], like: &Entry) -> Arc<Entry> {
    let key = EntryKey::new(key).expect("a key is not empty");
    Arc::new(Entry { ordinal: Ordinal(ordinal), key, ..like.clone() })
}

/// F-60, A31.
pub(super) async fn keys_that_leave_the_shard_are_refused(harness: &dyn Harness) {
    let seed = Seed::empty().with("a", 1, 0);
    let offer = Offer::of(harness, &seed).await;
    let (_store, staging) = begun(harness, &offer, &seed).await;
    let hostile: [&[u8]; 9] =
        [b"../x", b"/etc/x", b"a/../../x", b"./x", b"a//b", b"a\0b", b"a\\b", b"C:x", b"\xff\xfe"];
    for key in hostile {
        let admitted = staging.admit(vec![entry(0, key, &offer.entries[0])]).await;
        assert!(matches!(admitted, Err(SinkError::BadKey(_))), "{}", key.escape_ascii());
    }
}

pub(super) async fn keys_out_of_order_are_refused(harness: &dyn Harness) {
    let seed = Seed::empty().with("a", 1, 0);
    let offer = Offer::of(harness, &seed).await;
    let like = &offer.entries[0];
    for pair in [[b"b", b"a"], [b"a", b"a"]] {
        for pages in [vec![2], vec![1, 1]] {
            let (_store, staging) = begun(harness, &offer, &seed).await;
            let mut entries = vec![entry(0, pair[0], like), entry(1, pair[1], like)];
            let mut admitted = Ok(Vec::new());
            for len in pages {
                admitted = staging.admit(entries.drain(..len).collect()).await;
            }
            let key = EntryKey::new(*pair[1]).expect("it is a key");
            assert_eq!(admitted, Err(SinkError::DuplicateKey(key)));
        }
    }
    let (_store, staging) = begun(harness, &offer, &seed).await;
    let skipped = staging.admit(vec![entry(1, b"a", like)]).await;
    assert!(matches!(skipped, Err(SinkError::BadManifest(_))), "an ordinal was skipped");
}

/// F-60: "a" and "a/b" cannot both be files.
pub(super) async fn a_file_cannot_be_a_directory(harness: &dyn Harness) {
    let seed = Seed::empty().with("a", 1, 0);
    let offer = Offer::of(harness, &seed).await;
    let (_store, staging) = begun(harness, &offer, &seed).await;
    let like = &offer.entries[0];
    staging.admit(vec![entry(0, b"a", like), entry(1, b"a.b", like)]).await.expect("these are fine");
    let clash = staging.admit(vec![entry(2, b"a/b", like)]).await;
    assert!(matches!(clash, Err(SinkError::BadKey(_))), "{clash:?}");
}

/// F-32: what could not be verified is not admitted.
pub(super) async fn an_entry_that_cannot_be_verified_is_refused(harness: &dyn Harness) {
    let seed = Seed::empty().with("a", 3000, 0).with("b", 0, 0);
    let offer = Offer::of(harness, &seed).await;
    let (_store, staging) = begun(harness, &offer, &seed).await;
    let good = |place: usize| Entry { ordinal: Ordinal(0), ..(*offer.entries[place]).clone() };
    let bad = [
        Entry { digest: None, ..good(0) },
        Entry { digest: Some(Digest::Sha256([1; 32])), ..good(0) },
        Entry { len: u64::MAX, ..good(0) },
        Entry { metadata: vec![0; 5000], ..good(0) },
        Entry { digest: Some(Digest::Blake3([1; 32])), ..good(1) },
    ];
    for entry in bad {
        let admitted = staging.admit(vec![Arc::new(entry.clone())]).await;
        assert!(matches!(admitted, Err(SinkError::BadEntry { .. })), "{entry:?}: {admitted:?}");
    }
}

pub(super) async fn a_refused_page_leaves_no_trace(harness: &dyn Harness) {
    let seed = Seed::sample();
    let offer = Offer::of(harness, &seed).await;
    let (_store, staging) = begun(harness, &offer, &seed).await;
    let mut page = offer.entries[..2].to_vec();
    page.push(entry(2, b"../x", &offer.entries[0]));
    staging.admit(page).await.expect_err("a page with a hostile key is refused");
    for page in offer.entries.chunks(4) {
        staging.admit(page.to_vec()).await.expect("the good page comes after all");
    }
    offer.store_all(&*staging).await;
    staging.seal(&offer.header).await.expect("it is complete");
}

pub(super) async fn a_forged_header_is_not_sealed(harness: &dyn Harness) {
    let seed = Seed::sample();
    let offer = Offer::of(harness, &seed).await;
    let subject = harness.empty().await;
    let staging = writer(&*subject, &seed, 1).await;
    offer.admit(&*staging).await;
    offer.store_all(&*staging).await;
    let good = || offer.header.clone();
    let counts = EntryCounts { entries: good().counts.entries + 1, ..good().counts };
    let forged = [
        ManifestHeader { digest: None, ..good() },
        ManifestHeader { digest: Some(Digest::Blake3([0; 32])), ..good() },
        ManifestHeader { state: b"other".to_vec(), ..good() },
        ManifestHeader { position: None, ..good() },
        ManifestHeader { chunk_size: ChunkSize::DEFAULT, ..good() },
        ManifestHeader { counts, ..good() },
    ];
    for header in forged {
        let sealed = staging.seal(&header).await;
        assert!(matches!(sealed, Err(SinkError::BadManifest(_))), "{header:?}");
        assert_eq!(staging.publish().await, Err(SinkError::NotSealed));
    }
    assert_nothing_visible(&*subject, &seed).await;
    staging.seal(&offer.header).await.expect("the true header fits");
}

pub(super) async fn an_incomplete_shard_is_not_sealed(harness: &dyn Harness) {
    let seed = Seed::sample();
    let offer = Offer::of(harness, &seed).await;
    let (_store, staging) = begun(harness, &offer, &seed).await;
    offer.admit(&*staging).await;
    let late = offer.entry("z/two-chunks");
    for entry in offer.entries.iter().filter(|entry| *entry != late) {
        for chunk in offer.chunks(entry).await {
            staging.store(vec![chunk]).await.expect("a verified chunk is stored");
        }
    }
    let mut chunks = offer.chunks(late).await.into_iter();
    for _ in 0..2 {
        let incomplete = SinkError::Incomplete { missing: 1, first: late.key.clone() };
        assert_eq!(staging.seal(&offer.header).await, Err(incomplete));
        assert_eq!(staging.publish().await, Err(SinkError::NotSealed));
        staging.store(vec![chunks.next().expect("two chunks are left")]).await.expect("it goes on");
    }
    staging.seal(&offer.header).await.expect("now it is complete");
}

pub(super) async fn chunks_that_were_not_admitted_are_refused(harness: &dyn Harness) {
    let seed = Seed::sample();
    let offer = Offer::of(harness, &seed).await;
    let (_store, staging) = begun(harness, &offer, &seed).await;
    let (first, later) = (&offer.entries[0], offer.entry("one-chunk"));
    staging.admit(vec![first.clone()]).await.expect("the first page is admitted");
    let chunk = offer.chunks(later).await.remove(0);
    assert_eq!(staging.store(vec![chunk]).await, Err(SinkError::NotAdmitted(later.key.clone())));

    let other = Seed::empty().with("a.tiny", 1, 99);
    let other = Offer::of(harness, &other).await;
    let chunk = other.chunks(&other.entries[0]).await.remove(0);
    assert!(
        matches!(staging.store(vec![chunk]).await, Err(SinkError::NotAdmitted(_))),
        "other content, same key"
    );
}
