//! What the peers of a world answer.

use std::collections::BTreeSet;
use std::time::Duration;

use peerstream_recovery::{Fault, OutlinePart, PageIn, Refusal, SourceId};
use peerstream_types::{ChunkIndex, ChunkRange, FetchId, Ordinal, PageToken, Span};

use super::{Event, World};
use crate::support::token;

/// How a peer behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Honest,
    /// Honest, but lists another manifest.
    Different,
    Refusing,
    Forbidding,
    Silent,
    Stalling,
    Dropping,
    Lying,
    Short,
    Busy,
    Forgetful,
    Forging,
    /// Any of these at any moment.
    Mixed,
}

impl Mood {
    const BAD: [Self; 10] = [
        Self::Refusing,
        Self::Forbidding,
        Self::Silent,
        Self::Stalling,
        Self::Dropping,
        Self::Lying,
        Self::Short,
        Self::Busy,
        Self::Forgetful,
        Self::Forging,
    ];

    pub(crate) fn is_honest(self) -> bool {
        matches!(self, Self::Honest | Self::Different)
    }
}

impl World {
    pub(super) fn mood_of(&mut self, source: SourceId) -> Mood {
        let name = &self.opened[&source];
        let index: usize = name.as_str()[1..].parse().unwrap();
        let mood = self.plan.moods[index];
        if mood != Mood::Mixed {
            return mood;
        }
        if self.roll(3) > 0 { Mood::Honest } else { Mood::BAD[self.roll(Mood::BAD.len() as u64) as usize] }
    }

    pub(super) fn dial(&mut self, source: SourceId) {
        let retry_after = (self.roll(2) == 0).then_some(Duration::from_secs(5));
        let refusal = |permanent| Refusal { reason: "no".into(), retry_after, permanent };
        match self.mood_of(source) {
            Mood::Silent => {}
            Mood::Refusing => self.soon(Event::Refuse(source, refusal(false))),
            Mood::Forbidding => self.soon(Event::Refuse(source, refusal(true))),
            Mood::Dropping if self.roll(2) == 0 => self.soon(Event::Lost(source)),
            _ => self.soon(Event::Offer(source)),
        }
    }

    pub(super) fn list(&mut self, source: SourceId, token: PageToken) {
        match self.mood_of(source) {
            Mood::Stalling => {}
            Mood::Dropping => self.soon(Event::Lost(source)),
            Mood::Busy => self.soon(Event::PageFailed(source, Fault::Busy { retry_after: None })),
            Mood::Forgetful if self.roll(3) == 0 => {
                self.soon(Event::PageFailed(source, Fault::Failed("io".into())));
            }
            Mood::Forging if self.roll(3) == 0 => {
                self.soon(Event::PageFailed(source, Fault::Wrong("keys out of order".into())));
            }
            _ => self.soon(Event::Page(source, token)),
        }
    }

    pub(super) fn outline(&mut self, source: SourceId, ordinal: Ordinal, part: OutlinePart) {
        let result = match self.mood_of(source) {
            Mood::Stalling => return,
            Mood::Dropping => return self.soon(Event::Lost(source)),
            Mood::Lying | Mood::Forging => Err(Fault::Wrong("forged".into())),
            Mood::Busy => Err(Fault::Busy { retry_after: Some(Duration::from_secs(9)) }),
            Mood::Forgetful => Err(Fault::Gone("compacted".into())),
            Mood::Short => Err(Fault::Failed("short".into())),
            _ => Ok(()),
        };
        self.soon(Event::Outline(source, ordinal, part, result));
    }

    pub(super) fn answer(
        &mut self,
        source: SourceId,
        fetch: FetchId,
        items: &BTreeSet<(Ordinal, ChunkIndex)>,
    ) {
        let mut after = Duration::ZERO;
        for (ordinal, chunk) in items {
            after += Duration::from_millis(1 + self.roll(400));
            let span = Span::Chunks { ordinal: *ordinal, range: ChunkRange::one(*chunk) };
            match self.mood_of(source) {
                Mood::Stalling => return,
                Mood::Dropping => return self.at(after, Event::Lost(source)),
                Mood::Lying => self.at(after, Event::Bad(fetch, *ordinal, *chunk)),
                Mood::Short => {}
                Mood::Busy => {
                    let fault = Fault::Busy { retry_after: None };
                    return self.at(after, Event::Failed(fetch, None, fault));
                }
                Mood::Forgetful => {
                    self.at(after, Event::Failed(fetch, Some(span), Fault::Gone("compacted".into())));
                }
                Mood::Forging => {
                    self.at(after, Event::Failed(fetch, Some(span), Fault::Wrong("record".into())));
                }
                _ => {
                    self.at(after, Event::Stored(fetch, *ordinal, *chunk));
                    if self.roll(8) == 0 {
                        let twice = after + Duration::from_millis(self.roll(2000));
                        self.at(twice, Event::Stored(fetch, *ordinal, *chunk));
                    }
                }
            }
        }
        self.at(after + Duration::from_millis(1), Event::Ended(fetch));
    }

    pub(super) fn page(&mut self, source: SourceId, token_in: &PageToken) -> PageIn {
        let forged = self.mood_of(source) == Mood::Forging;
        let manifest = self.manifest_of(source);
        let from = match token_in.as_bytes() {
            [] => 0,
            bytes => u64::from_be_bytes(bytes.try_into().unwrap()) as usize,
        };
        let to = (from + self.plan.page_entries).min(manifest.entries.len());
        let mut page = PageIn { entries: manifest.entries[from..to].to_vec(), ..PageIn::default() };
        if to == manifest.entries.len() {
            let mut sealed = manifest.header.clone();
            sealed.counts.entries += u64::from(forged);
            page.sealed = Some(sealed);
        } else {
            page.next = Some(token(to as u64));
        }
        page
    }
}
