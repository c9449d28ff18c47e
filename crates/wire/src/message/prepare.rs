//! What may move: Prepare and `PrepareAck`, paged.

use peerstream_types::{ManifestHeader, OfferId, Selector, ShardId};
use serde::{Deserialize, Serialize};

use super::{check_header, check_selector};
use crate::limits::{PREPARE_ITEMS_MAX, REASON_LEN_MAX};
use crate::{Bounded, Code, Extensions, Text, WireError};

/// A shard that the sender of Prepare wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestV1 {
    /// The shard.
    pub shard: ShardId,
    /// Which part of it.
    pub selector: Selector,
}

/// A snapshot that the sender offers. It holds a lease on it until Release or the session's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferV1 {
    /// Names the offer in later messages; unique in its direction of the session.
    pub offer: OfferId,
    /// The shard.
    pub shard: ShardId,
    /// Which part of it.
    pub selector: Selector,
    /// The snapshot.
    pub header: ManifestHeader,
}

/// A request that the follower does not answer with an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalV1 {
    /// The shard that was requested or offered.
    pub shard: ShardId,
    /// Which part of it.
    pub selector: Selector,
    /// Why.
    pub code: Code,
    /// In words.
    pub reason: Text<REASON_LEN_MAX>,
}

/// What the initiator wants and offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepareV1 {
    /// Shards wanted.
    pub requests: Bounded<RequestV1, PREPARE_ITEMS_MAX>,
    /// Shards offered.
    pub offers: Bounded<OfferV1, PREPARE_ITEMS_MAX>,
    /// Whether another Prepare follows.
    pub more: bool,
    /// Optional parts.
    pub extensions: Extensions,
}

/// What the follower offers of what was wanted, and refuses of what was wanted or offered. What it
/// does not refuse of the initiator's offers it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepareAckV1 {
    /// Shards offered.
    pub offers: Bounded<OfferV1, PREPARE_ITEMS_MAX>,
    /// Requests that are refused.
    pub refused_requests: Bounded<RefusalV1, PREPARE_ITEMS_MAX>,
    /// Offers that are refused.
    pub refused_offers: Bounded<RefusalV1, PREPARE_ITEMS_MAX>,
    /// Whether another `PrepareAck` follows.
    pub more: bool,
    /// Optional parts.
    pub extensions: Extensions,
}

impl PrepareV1 {
    pub(super) fn validate(&self) -> Result<(), WireError> {
        self.requests.iter().try_for_each(|request| check_selector("Prepare", &request.selector))?;
        check_offers("Prepare", &self.offers)
    }
}

impl PrepareAckV1 {
    pub(super) fn validate(&self) -> Result<(), WireError> {
        check_offers("PrepareAck", &self.offers)?;
        let refusals = self.refused_requests.iter().chain(self.refused_offers.iter());
        refusals
            .map(|refusal| &refusal.selector)
            .try_for_each(|selector| check_selector("PrepareAck", selector))
    }
}

fn check_offers(what: &'static str, offers: &[OfferV1]) -> Result<(), WireError> {
    offers.iter().try_for_each(|offer| {
        check_selector(what, &offer.selector)?;
        check_header(what, &offer.header, false)
    })
}
