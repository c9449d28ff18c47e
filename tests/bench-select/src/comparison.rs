//! The comparison of the inventories of three peers. Pages come encoded
//! as a peer serves them, and go the way that they go in an engine: frame, page, check against the
//! manifest, merge join, verdict. Peers and receiver are threads of one process, of which only the
//! receiver's time counts.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use bytes::BytesMut;
use peerstream_select::{Join, JoinConfig, Page, PageRequest, Roster, Slot, Step, Verdict};
use peerstream_snapshot::ManifestCheck;
use peerstream_types::{NodeId, PageToken, Selector};
use peerstream_wire::InventoryPage;
use peerstream_wire::frame::FrameDecoder;
use serde_json::{Value, json};

use crate::inventories::{Inventory, PEERS};
use crate::{Result, inventories, usage};

/// What the receiver found, and the seconds of its thread that went into each step.
#[derive(Debug, Default)]
struct Tally {
    keys: u64,
    reports: u64,
    pages: u64,
    wire_bytes: u64,
    /// All who report the key say the same.
    agreed: u64,
    /// They differ.
    contested: u64,
    /// Only two of the three have it.
    missing: u64,
    decode_s: f64,
    check_s: f64,
    take_s: f64,
    join_s: f64,
}

/// One peer, as the receiver sees it.
struct Peer {
    pages: Receiver<BytesMut>,
    check: ManifestCheck,
}

/// Compares inventories of so many keys, and says what that took.
pub(crate) fn measure(entries: u64) -> Result<Value> {
    let peers = (0..PEERS).map(|peer| {
        let inventory = Inventory::new(peer, entries);
        let check = ManifestCheck::new(inventory.offered(), Selector::All);
        Ok(Peer { pages: inventory.serve()?, check })
    });
    let mut receiver = Comparison::new(peers.collect::<Result<_>>()?)?;
    let started = usage::thread_seconds();
    receiver.run()?;
    let cpu_s = usage::thread_seconds() - started;
    let tally = receiver.tally;
    let expected = (entries, inventories::contested(entries), inventories::missing(entries));
    if (tally.keys, tally.contested, tally.missing) != expected || tally.agreed + tally.contested != entries {
        return Err(format!("keys, contested and missing are {expected:?}, and not so: {tally:?}").into());
    }
    Ok(json!({
        "keys": tally.keys,
        "reports": tally.reports,
        "pages": tally.pages,
        "wire_bytes": tally.wire_bytes,
        "contested": tally.contested,
        "missing": tally.missing,
        "cpu_s": cpu_s,
        "decode_s": tally.decode_s,
        "check_s": tally.check_s,
        "take_s": tally.take_s,
        "join_s": tally.join_s,
        "peak_mib": usage::peak_mib()?,
    }))
}

struct Comparison {
    peers: Vec<Peer>,
    join: Join,
    tally: Tally,
}

impl Comparison {
    fn new(peers: Vec<Peer>) -> Result<Self> {
        let names = (0..peers.len()).map(|peer| NodeId::new(format!("peer-{peer}")));
        let roster = Roster::new(names.collect::<std::result::Result<Vec<_>, _>>()?)?;
        Ok(Self { peers, join: Join::new(roster, JoinConfig::default()), tally: Tally::default() })
    }

    fn run(&mut self) -> Result<()> {
        loop {
            while let Some(PageRequest { slot, token }) = self.join.poll_request() {
                self.fetch(slot, token)?;
            }
            if self.judge() {
                return Ok(());
            }
        }
    }

    /// Brings the page that the join asks for.
    fn fetch(&mut self, slot: Slot, token: PageToken) -> Result<()> {
        let peer = self.peers.get_mut(slot.index()).ok_or("a slot without a peer")?;
        let frame = peer.pages.recv().map_err(|_| "a peer has ended early")?;
        let started = usage::thread_seconds();
        let mut decoder = FrameDecoder::<InventoryPage>::new();
        decoder.push(&frame);
        let InventoryPage::V1(page) = decoder.next_frame()?.ok_or("a frame is not whole")?;
        let decoded = usage::thread_seconds();
        peer.check.page(&page.entries, page.sealed.as_ref())?;
        let checked = usage::thread_seconds();
        let entries = page.entries.into_iter().map(Arc::new).collect();
        self.join.handle_page(slot, Page { token, entries, next: page.next })?;
        let tally = &mut self.tally;
        tally.pages += 1;
        tally.wire_bytes += frame.len() as u64;
        tally.decode_s += decoded - started;
        tally.check_s += checked - decoded;
        tally.take_s += usage::thread_seconds() - checked;
        Ok(())
    }

    /// Judges what can be judged, and says whether that was all.
    fn judge(&mut self) -> bool {
        let started = usage::thread_seconds();
        let tally = &mut self.tally;
        let done = loop {
            let joined = match self.join.poll() {
                Step::Entry(joined) => joined,
                Step::Pending(_) => break false,
                Step::Done => break true,
            };
            let reporters = u64::from(joined.reporters.len());
            tally.keys += 1;
            tally.reports += reporters;
            tally.missing += u64::from(reporters < PEERS);
            match Verdict::of(&joined) {
                Verdict::AnyOf { .. } => tally.agreed += 1,
                Verdict::FanOut { .. } => tally.contested += 1,
            }
        };
        tally.join_s += usage::thread_seconds() - started;
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The measured path finds what was planted, over several pages and a seal for each peer.
    #[test]
    fn every_planted_difference_is_found() {
        let entries = 20_000;
        let found = measure(entries).unwrap();
        assert_eq!(found["keys"], entries);
        assert_eq!(found["contested"], 200);
        assert_eq!(found["missing"], 200);
        assert_eq!(found["reports"], PEERS * entries - 200);
        assert_eq!(found["pages"], 3 * 5);
    }
}
