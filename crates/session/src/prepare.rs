//! The pages of Prepare and `PrepareAck`: cut at the sender, put together and checked at the receiver.

use std::collections::BTreeSet;

use peerstream_types::{ManifestHeader, OfferId, Selector, ShardId};
use peerstream_wire::limits::{PREPARE_FRAME_MAX, PREPARE_ITEMS_MAX, PREPARE_PAGES_MAX, REASON_LEN_MAX};
use peerstream_wire::message::{OfferV1, PrepareAckV1, PrepareV1, RefusalV1, RequestV1};
use peerstream_wire::{Bounded, Extensions, Framed, Message};

use crate::error::CommandError;

/// Bytes of a page that are not its items: tag, lengths of the lists, flag, extensions. Generous.
const PAGE_OVERHEAD: usize = 64;
/// Longest encoding of a 32-bit and a 64-bit number.
const U32: usize = 5;
const U64: usize = 10;
/// Longest encoding of an optional digest.
const DIGEST: usize = 40;

/// The follower's answer to a Prepare.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) offers: Vec<OfferV1>,
    pub(crate) refused_requests: Vec<RefusalV1>,
    pub(crate) refused_offers: Vec<RefusalV1>,
}

/// What is on the table while a session is in [`State::Prepare`](crate::State::Prepare): the same at
/// both ends, once all pages are in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    /// The initiator's.
    pub(crate) requests: Vec<RequestV1>,
    /// The initiator's.
    pub(crate) offers: Vec<OfferV1>,
    /// The follower's, as far as it has come to the initiator.
    pub(crate) answer: Answer,
    /// Whether the initiator has said all of it.
    pub(crate) complete: bool,
    pages: u32,
}

impl Table {
    /// Follower: takes a page.
    pub(crate) fn add_prepare(&mut self, page: PrepareV1) -> Result<(), &'static str> {
        if self.complete {
            return Err("it comes after the last one");
        }
        self.count_page(page.requests.is_empty() && page.offers.is_empty() && page.more)?;
        self.requests.extend(page.requests);
        self.offers.extend(page.offers);
        if !page.more {
            check_ids(&self.offers)?;
            self.complete = true;
        }
        Ok(())
    }

    /// Initiator: takes a page.
    pub(crate) fn add_ack(&mut self, page: PrepareAckV1) -> Result<(), &'static str> {
        if !self.complete {
            return Err("it comes before Prepare");
        }
        let items = page.offers.len() + page.refused_requests.len() + page.refused_offers.len();
        self.count_page(items == 0 && page.more)?;
        self.answer.offers.extend(page.offers);
        self.answer.refused_requests.extend(page.refused_requests);
        self.answer.refused_offers.extend(page.refused_offers);
        if page.more { Ok(()) } else { self.check(&self.answer) }
    }

    fn count_page(&mut self, says_nothing: bool) -> Result<(), &'static str> {
        self.pages += 1;
        if self.pages > PREPARE_PAGES_MAX {
            return Err("there are more pages than allowed");
        }
        if says_nothing { Err("it is empty and not the last") } else { Ok(()) }
    }

    /// Checks that an answer speaks of what is on the table, and of nothing else.
    pub(crate) fn check(&self, answer: &Answer) -> Result<(), &'static str> {
        check_ids(&answer.offers)?;
        let shards: BTreeSet<&ShardId> = self.requests.iter().map(|request| &request.shard).collect();
        if !answer.offers.iter().all(|offer| shards.contains(&offer.shard)) {
            return Err("it offers a shard that was not requested");
        }
        let requests = self.requests.iter().map(|request| (&request.shard, &request.selector)).collect();
        if !all_in(&answer.refused_requests, &requests) {
            return Err("it refuses a request that was not made");
        }
        let offers = self.offers.iter().map(|offer| (&offer.shard, &offer.selector)).collect();
        if !all_in(&answer.refused_offers, &offers) {
            return Err("it refuses an offer that was not made");
        }
        Ok(())
    }

    /// The initiator's offers that an answer refuses. A refusal names no offer but its shard and
    /// selector, so it speaks of all offers that have both.
    pub(crate) fn refused(&self, answer: &Answer) -> Vec<OfferId> {
        let refused: BTreeSet<(&ShardId, &Selector)> = answer.refused_offers.iter().map(key).collect();
        let hit = |offer: &&OfferV1| refused.contains(&(&offer.shard, &offer.selector));
        self.offers.iter().filter(hit).map(|offer| offer.offer).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.offers.is_empty()
    }
}

fn key(refusal: &RefusalV1) -> (&ShardId, &Selector) {
    (&refusal.shard, &refusal.selector)
}

fn all_in(refusals: &[RefusalV1], known: &BTreeSet<(&ShardId, &Selector)>) -> bool {
    refusals.iter().all(|refusal| known.contains(&key(refusal)))
}

/// Checks that no offer id is used twice.
pub(crate) fn check_ids(offers: &[OfferV1]) -> Result<(), &'static str> {
    let mut ids = BTreeSet::new();
    if offers.iter().all(|offer| ids.insert(offer.offer)) {
        return Ok(());
    }
    Err("it uses an offer id twice")
}

/// Cuts a Prepare into pages.
pub(crate) fn prepare_pages(
    requests: Vec<RequestV1>,
    offers: Vec<OfferV1>,
) -> Result<Vec<Message>, CommandError> {
    let (mut requests, mut offers) = (requests.into_iter().peekable(), offers.into_iter().peekable());
    cut(|room| {
        let page = PrepareV1 {
            requests: fill(&mut requests, room, request_len),
            offers: fill(&mut offers, room, offer_len),
            more: requests.peek().is_some() || offers.peek().is_some(),
            extensions: Extensions::default(),
        };
        (page.more, page.requests.len() + page.offers.len(), Message::Prepare(page))
    })
}

/// Cuts a `PrepareAck` into pages.
pub(crate) fn answer_pages(answer: Answer) -> Result<Vec<Message>, CommandError> {
    let mut offers = answer.offers.into_iter().peekable();
    let mut requests = answer.refused_requests.into_iter().peekable();
    let mut refused = answer.refused_offers.into_iter().peekable();
    cut(|room| {
        let page = PrepareAckV1 {
            offers: fill(&mut offers, room, offer_len),
            refused_requests: fill(&mut requests, room, refusal_len),
            refused_offers: fill(&mut refused, room, refusal_len),
            more: offers.peek().is_some() || requests.peek().is_some() || refused.peek().is_some(),
            extensions: Extensions::default(),
        };
        let items = page.offers.len() + page.refused_requests.len() + page.refused_offers.len();
        (page.more, items, Message::PrepareAck(page))
    })
}

fn cut(mut next: impl FnMut(&mut usize) -> (bool, usize, Message)) -> Result<Vec<Message>, CommandError> {
    let mut pages = Vec::new();
    loop {
        let (more, items, page) = next(&mut (PREPARE_FRAME_MAX - PAGE_OVERHEAD));
        page.validate()?;
        if more && items == 0 {
            return Err(CommandError::Unfit { command: page.name(), why: "an item is longer than a page" });
        }
        pages.push(page);
        if pages.len() > PREPARE_PAGES_MAX as usize {
            return Err(CommandError::TooManyPages { pages: pages.len(), max: PREPARE_PAGES_MAX });
        }
        if !more {
            return Ok(pages);
        }
    }
}

type Items<T> = std::iter::Peekable<std::vec::IntoIter<T>>;

/// Takes as many items as there is room for on a page.
fn fill<T>(items: &mut Items<T>, room: &mut usize, len: fn(&T) -> usize) -> Bounded<T, PREPARE_ITEMS_MAX> {
    let mut page = Vec::new();
    while page.len() < PREPARE_ITEMS_MAX {
        let Some(item) = items.next_if(|item| len(item) <= *room) else { break };
        *room -= len(&item);
        page.push(item);
    }
    page.try_into().expect("the loop ends at the limit")
}

fn request_len(request: &RequestV1) -> usize {
    shard_len(&request.shard) + selector_len(&request.selector)
}

fn offer_len(offer: &OfferV1) -> usize {
    U64 + shard_len(&offer.shard) + selector_len(&offer.selector) + header_len(&offer.header)
}

fn refusal_len(refusal: &RefusalV1) -> usize {
    shard_len(&refusal.shard) + selector_len(&refusal.selector) + U32 + U32 + REASON_LEN_MAX
}

fn shard_len(shard: &ShardId) -> usize {
    U32 + shard.dataset.as_str().len() + U64 + U32
}

/// The longest encoding of a selector, in bytes.
fn selector_len(selector: &Selector) -> usize {
    let key_len = |key: &peerstream_types::EntryKey| U32 + key.as_bytes().len();
    let body = match selector {
        Selector::All => 0,
        Selector::Entries(keys) => U32 + keys.iter().map(key_len).sum::<usize>(),
        Selector::Keys { start, end } => 2 + [start, end].into_iter().flatten().map(key_len).sum::<usize>(),
        Selector::Time { .. } => 2 * U64,
    };
    U32 + body
}

/// The longest encoding of a manifest header, in bytes.
fn header_len(header: &ManifestHeader) -> usize {
    let position = header.position.as_ref().map_or(0, |p| U32 + p.log.len() + U64 + U32 + p.token.len());
    1 + 2 * U64 + DIGEST + 1 + position + U32 + header.state.len()
}
