//! What the sources list: asked for page by page, or, where two sources list the same, taken from the
//! other one. Every listing is checked against its own manifest, wherever its entries come from.

use peerstream_recovery::{Fault, PageIn, SourceId};
use peerstream_select::Part;
use peerstream_types::{Entry, Ordinal, PageToken};
use peerstream_wire::message::OfferV1;
use tracing::debug;

use super::actions::fault_of;
use super::mirror::{Due, ENTRIES_MIN, Mirror, PATIENCE};
use super::source::SourceLink;
use super::task::{JobEvent, Running};
use crate::receive::{CheckedPage, Listing, Offering, ReceiveError, compare, next_page, next_run};

/// A page that was checked, and where the listing goes on.
pub(super) struct PageTaken {
    pub(super) listing: Listing,
    pub(super) page: PageIn,
}

/// What came of a request for a page.
pub(super) type PageAnswer = Result<Box<PageTaken>, Fault>;

impl Running {
    /// Asks for a page. The first one of a long listing that is to be joined with another one's makes way
    /// for their comparison.
    pub(super) fn list(&mut self, source: SourceId, token: PageToken) {
        if token == PageToken::START {
            let twin = self.twin_of(source);
            let Some(link) = self.sources.get_mut(&source) else { return };
            link.begin_listing();
            link.mirror = twin.map(|twin| (twin, Mirror::new()));
            if let Some(twin) = twin {
                return self.compare(source, twin);
            }
        }
        self.ask_page(source, token);
    }

    /// A source that is at the start of its listing too, and lists enough to be compared with.
    fn twin_of(&self, source: SourceId) -> Option<SourceId> {
        let is_long = |link: &SourceLink| {
            let header = &link.offer.header;
            header.is_sealed() && header.counts.entries >= ENTRIES_MIN
        };
        let may_be_compared = self.joined.is_some() && self.compares;
        self.sources.get(&source).filter(|link| may_be_compared && is_long(link))?;
        let is_twin = |(of, link): &(&SourceId, &SourceLink)| {
            **of != source && link.is_at_start && link.mirror.is_none() && is_long(link)
        };
        self.sources.iter().find(is_twin).map(|(of, _)| *of)
    }

    fn compare(&mut self, source: SourceId, twin: SourceId) {
        let offering =
            |link: &SourceLink| Offering { session: link.session.clone(), offer: link.offer.clone() };
        let Some(other) = self.sources.get(&twin).map(offering) else { return };
        let Some(own) = self.sources.get(&source).map(offering) else { return };
        let (events, listing) = (self.events.clone(), self.listing);
        // It ends in time by itself, and tells both sessions that it did.
        tokio::spawn(async move {
            let parts = compare(own, other).await;
            let _ = events.send(JobEvent::Compared(listing, source, parts)).await;
        });
    }

    /// Two listings were compared, or could not be.
    pub(super) fn compared(
        &mut self,
        listing: u64,
        source: SourceId,
        parts: Result<Vec<Part>, ReceiveError>,
    ) {
        let Some(link) = self.sources.get_mut(&source).filter(|_| listing == self.listing) else { return };
        let Some((_, mirror)) = &mut link.mirror else { return };
        let is_of_use = match parts {
            Ok(parts) => mirror.compared(parts),
            Err(error) => {
                debug!(peer = %link.session.id.peer, %error, "its listing could not be compared");
                false
            }
        };
        if !is_of_use {
            link.mirror = None;
        }
        self.ask_page(source, PageToken::START);
    }

    /// Asks for the next page, or makes it; `token` says where it is for a source that is asked for all.
    fn ask_page(&mut self, source: SourceId, token: PageToken) {
        let Some(link) = self.sources.get_mut(&source) else { return };
        // What is checked of a page that fails does not count.
        let listing = link.listing.clone();
        let (session, offer) = (link.session.clone(), link.offer.clone());
        let due = link.mirror.as_mut().map(|(_, mirror)| mirror.due());
        let events = self.events.clone();
        if let Some((_, mirror)) = &mut link.mirror {
            mirror.is_awaited = due == Some(Due::Wait);
            if mirror.is_awaited {
                let (since, number) = (mirror.next(), self.listing);
                let task = tokio::spawn(async move {
                    tokio::time::sleep(PATIENCE).await;
                    let _ = events.send(JobEvent::Waited(number, source, since)).await;
                });
                return link.keep(task.abort_handle());
            }
        }
        let task = tokio::spawn(async move {
            let page = match due {
                Some(Due::Entries(entries)) => page_of(&offer, listing, entries),
                Some(Due::Ask { first, count }) => match next_run(&session, &offer, first, count).await {
                    Ok(entries) => page_of(&offer, listing, entries),
                    Err(error) => Err(error),
                },
                None | Some(Due::Wait) => next_page(&session, &offer, listing, token).await,
            };
            let page = page.map_err(fault_of).map(|(listing, CheckedPage { entries, next, sealed })| {
                Box::new(PageTaken { listing, page: PageIn { entries, next, sealed } })
            });
            let _ = events.send(JobEvent::Page(source, page)).await;
        });
        link.keep(task.abort_handle());
    }

    /// A page has waited long enough for the listing that it follows: that may wait for content, or for this
    /// one.
    pub(super) fn waited(&mut self, listing: u64, source: SourceId, since: Ordinal) {
        let Some(link) = self.sources.get_mut(&source).filter(|_| listing == self.listing) else { return };
        let is_in_vain = link.mirror.as_mut().is_some_and(|(_, mirror)| mirror.waited(since));
        if is_in_vain {
            self.ask_page(source, PageToken::START);
        }
    }

    /// A page came, or did not: those who follow the listing hear of it. What is to be told of it.
    pub(super) fn paged(&mut self, source: SourceId, answer: PageAnswer) -> Result<PageIn, Fault> {
        let link = self.sources.get_mut(&source);
        let PageTaken { listing, page } = match answer {
            Ok(taken) => *taken,
            Err(Fault::Wrong(why)) if link.is_some_and(|link| link.mirror.is_some()) => {
                // Either tree may have been untrue: nobody is to blame before it was listed.
                self.compares = false;
                return Err(Fault::Gone(format!("after its listing was compared with another one's: {why}")));
            }
            Err(fault) => return Err(fault),
        };
        if let Some(link) = link {
            link.listing = listing;
            link.is_at_start = false;
            link.mirror.iter_mut().for_each(|(_, mirror)| mirror.took(&page.entries));
        }
        self.tell_mirrors_of(source, |mirror| mirror.hear(&page.entries, page.sealed.is_some()));
        Ok(page)
    }

    /// A source is gone: who followed its listing goes on alone.
    pub(super) fn lose_mirrors_of(&mut self, source: SourceId) {
        self.tell_mirrors_of(source, Mirror::lose);
    }

    fn tell_mirrors_of(&mut self, source: SourceId, tell: impl Fn(&mut Mirror)) {
        let mut awaited = Vec::new();
        for (follower, link) in &mut self.sources {
            if let Some((_, mirror)) = link.mirror.as_mut().filter(|(of, _)| *of == source) {
                tell(mirror);
                awaited.extend(mirror.is_awaited.then_some(*follower));
            }
        }
        awaited.into_iter().for_each(|follower| self.ask_page(follower, PageToken::START));
    }
}

/// The next page of a listing, of entries that came in another way.
fn page_of(
    offer: &OfferV1,
    mut listing: Listing,
    entries: Vec<Entry>,
) -> Result<(Listing, CheckedPage), ReceiveError> {
    let end = entries.last().map_or(0, |last| last.ordinal.0.saturating_add(1));
    let is_last = end >= offer.header.counts.entries;
    let sealed = is_last.then(|| offer.header.clone());
    let next = (!is_last).then(|| token(Ordinal(end)));
    let page = listing.take(entries, next, sealed)?;
    Ok((listing, page))
}

/// Tells the pages of a followed listing apart. No source is ever asked for it.
fn token(place: Ordinal) -> PageToken {
    PageToken::new(place.0.to_be_bytes()).unwrap_or_default()
}
