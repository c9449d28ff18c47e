//! Stream: requests in both directions, acknowledgements, releases.

use peerstream_types::{
    ByteCount, ChunkRange, EntryKey, FetchId, OfferId, Ordinal, PageToken, Span, Timestamp,
};
use peerstream_wire::limits::SPANS_MAX;
use peerstream_wire::message::{
    FetchFailedV1, FetchV1, InventoryRequestV1, OutlineRequestV1, ReceivedV1, ReleaseReason, ReleaseV1,
    RunRequestV1, TreeRequestV1,
};
use peerstream_wire::{Bounded, Code, Extensions, Framed, Message, Text};

use super::Session;
use crate::error::{CommandError, SessionError};
use crate::event::Event;
use crate::input::Input;
use crate::offers::OwnOffer;
use crate::requests::Ticket;

/// A request of the peer.
#[derive(Debug)]
pub(super) enum Ask {
    List(InventoryRequestV1),
    Tree(TreeRequestV1),
    Run(RunRequestV1),
    Outline(OutlineRequestV1),
    Fetch(FetchV1),
}

impl Session {
    /// Receiver: asks for up to `pages` pages of an offer's inventory. They come on an inventory
    /// stream that names the id returned; [`request_done`](Self::request_done) says that it ended.
    ///
    /// # Errors
    ///
    /// [`CommandError::WindowFull`] and [`CommandError::TransmitFull`] ask to try again later; the
    /// others are mistakes.
    pub fn list(
        &mut self,
        now: Timestamp,
        offer: OfferId,
        token: PageToken,
        pages: u32,
    ) -> Result<FetchId, CommandError> {
        if pages == 0 {
            return Err(CommandError::Unfit { command: "list", why: "it asks for no page" });
        }
        self.ask(now, "list", offer, |request| {
            Ok(Message::InventoryRequest(InventoryRequestV1 { request, offer, token, pages }))
        })
    }

    /// Receiver: asks for the nodes of a level of the digest tree of an offer's inventory, 0 being the
    /// leaves and `None` the root, that begin between two keys. They come on a tree stream.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn tree(
        &mut self,
        now: Timestamp,
        offer: OfferId,
        level: Option<u8>,
        (start, end): (Option<EntryKey>, Option<EntryKey>),
    ) -> Result<FetchId, CommandError> {
        self.ask(now, "tree", offer, |request| {
            Ok(Message::TreeRequest(TreeRequestV1 { request, offer, level, start, end }))
        })
    }

    /// Receiver: asks for at most `count` entries of an offer's inventory, from an ordinal on. As many as
    /// fit come on an inventory stream.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn run(
        &mut self,
        now: Timestamp,
        offer: OfferId,
        first: Ordinal,
        count: u32,
    ) -> Result<FetchId, CommandError> {
        self.ask(now, "run", offer, |request| {
            Ok(Message::RunRequest(RunRequestV1 { request, offer, first, count }))
        })
    }

    /// Receiver: asks for chaining values of an entry; level 0 are its chunks, level 1 its groups. They
    /// come on an outline stream.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn outline(
        &mut self,
        now: Timestamp,
        offer: OfferId,
        ordinal: Ordinal,
        level: u8,
        range: ChunkRange,
    ) -> Result<FetchId, CommandError> {
        self.ask(now, "outline", offer, |request| {
            Ok(Message::OutlineRequest(OutlineRequestV1 { request, offer, ordinal, level, range }))
        })
    }

    /// Receiver: asks for content, at most [`SPANS_MAX`] spans; `attempt` counts from 1. It comes on a
    /// records stream.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub fn fetch(
        &mut self,
        now: Timestamp,
        offer: OfferId,
        spans: Vec<Span>,
        attempt: u32,
    ) -> Result<FetchId, CommandError> {
        let spans = bound("fetch", spans)?;
        self.ask(now, "fetch", offer, |request| {
            let extensions = Extensions::default();
            Ok(Message::Fetch(FetchV1 { request, offer, spans, attempt, extensions }))
        })
    }

    fn ask(
        &mut self,
        now: Timestamp,
        command: &'static str,
        offer: OfferId,
        message: impl FnOnce(FetchId) -> Result<Message, CommandError>,
    ) -> Result<FetchId, CommandError> {
        self.permit(command, Input::DoRequest)?;
        self.offers.peer(offer)?;
        let request = self.asked.peek()?;
        self.room_for(1)?;
        let message = message(request)?;
        message.validate()?;
        self.asked.insert(request, offer);
        self.stats.requests_sent += 1;
        self.send(now, message);
        Ok(request)
    }

    /// Receiver: the data stream of an own request ended, or was cancelled by this end. Nothing
    /// happens if the request has come to its end before.
    ///
    /// # Errors
    ///
    /// [`CommandError::UnknownRequest`] if there was no such request.
    pub fn request_done(&mut self, _now: Timestamp, request: FetchId) -> Result<(), CommandError> {
        self.permit("request_done", Input::DoSettle)?;
        if !self.asked.is_known(request) {
            return Err(CommandError::UnknownRequest(request));
        }
        self.asked.remove(request);
        Ok(())
    }

    /// Source: a request of the peer cannot be answered; with `spans`, only these parts of it cannot,
    /// and the rest is still to come. Nothing happens if the request is not under way any longer.
    ///
    /// # Errors
    ///
    /// [`CommandError::UnknownRequest`] if there was no such request; more than [`SPANS_MAX`] spans or
    /// malformed ones are refused.
    pub fn request_failed(
        &mut self,
        now: Timestamp,
        request: FetchId,
        spans: Vec<Span>,
        code: Code,
        reason: &str,
    ) -> Result<(), CommandError> {
        self.check_serving("request_failed", request)?;
        let spans = bound("request_failed", spans)?;
        if !self.serving.contains(request) {
            return Ok(());
        }
        self.room_for(1)?;
        let is_all = spans.is_empty();
        let message = Message::FetchFailed(FetchFailedV1 { request, spans, code, reason: Text::cut(reason) });
        message.validate()?;
        if is_all {
            self.serving.remove(request);
        }
        self.send(now, message);
        Ok(())
    }

    /// Source: the data stream of the peer's request is fully written. Nothing happens if the request
    /// is not under way any longer.
    ///
    /// # Errors
    ///
    /// [`CommandError::UnknownRequest`] if there was no such request.
    pub fn served(&mut self, _now: Timestamp, request: FetchId) -> Result<(), CommandError> {
        self.check_serving("served", request)?;
        self.serving.remove(request);
        Ok(())
    }

    fn check_serving(&mut self, command: &'static str, request: FetchId) -> Result<(), CommandError> {
        self.permit(command, Input::DoSettle)?;
        if self.serving.is_known(request) { Ok(()) } else { Err(CommandError::UnknownRequest(request)) }
    }

    /// Receiver: these parts of an offer are verified and stored, `bytes` in all. The peer is told.
    ///
    /// # Errors
    ///
    /// [`CommandError::OfferReleased`] after [`release`](Self::release): the parts are not counted.
    pub fn received(
        &mut self,
        now: Timestamp,
        offer: OfferId,
        spans: Vec<Span>,
        bytes: ByteCount,
    ) -> Result<(), CommandError> {
        self.permit("received", Input::DoReceived)?;
        self.offers.peer(offer)?;
        self.room_for(spans.len().div_ceil(SPANS_MAX))?;
        let messages: Vec<Message> = spans
            .chunks(SPANS_MAX)
            .map(|spans| {
                let spans = bound("received", spans.to_vec())?;
                Ok(Message::Received(ReceivedV1 { offer, spans }))
            })
            .collect::<Result<_, CommandError>>()?;
        messages.iter().try_for_each(Framed::validate)?;
        messages.into_iter().for_each(|message| self.send(now, message));
        self.stats.stored += bytes;
        Ok(())
    }

    /// Receiver: done with an offer of the peer, all of it. Its requests are not outstanding any
    /// longer. When no end needs an offer of the other any longer, this end completes by itself.
    ///
    /// # Errors
    ///
    /// [`CommandError::OfferReleased`] the second time.
    pub fn release(
        &mut self,
        now: Timestamp,
        offer: OfferId,
        reason: ReleaseReason,
    ) -> Result<(), CommandError> {
        self.permit("release", Input::DoRelease)?;
        self.offers.peer(offer)?;
        self.room_for(1)?;
        self.offers.release_peer(offer);
        self.asked.remove_offer(offer);
        self.send(now, Message::Release(ReleaseV1 { offer, spans: Bounded::new(), reason }));
        self.settle(now);
        Ok(())
    }

    /// Counts bytes that this end decided to receive.
    ///
    /// # Errors
    ///
    /// [`CommandError::WrongState`] before there are offers.
    pub fn planned(&mut self, _now: Timestamp, bytes: ByteCount) -> Result<(), CommandError> {
        self.permit("planned", Input::DoCount)?;
        self.stats.planned += bytes;
        Ok(())
    }

    /// Counts bytes that were sent. Also after the end.
    ///
    /// # Errors
    ///
    /// As [`planned`](Self::planned).
    pub fn sent(&mut self, _now: Timestamp, bytes: ByteCount) -> Result<(), CommandError> {
        self.permit("sent", Input::DoCount)?;
        self.stats.sent += bytes;
        Ok(())
    }

    /// Counts bytes that came and were thrown away. Also after the end.
    ///
    /// # Errors
    ///
    /// As [`planned`](Self::planned).
    pub fn wasted(&mut self, _now: Timestamp, bytes: ByteCount) -> Result<(), CommandError> {
        self.permit("wasted", Input::DoCount)?;
        self.stats.wasted += bytes;
        Ok(())
    }

    pub(super) fn on_request(&mut self, now: Timestamp, ask: Ask) -> Result<(), SessionError> {
        let (request, offer) = ask.ids();
        let ticket = self.serving.admit(request);
        let rejection = match (ticket, self.offers.own(offer)) {
            (Ticket::Used, _) => Some((Code::BadRequest, "the request id was used before")),
            (_, OwnOffer::Unknown) => Some((Code::NotFound, "there is no such offer")),
            (_, OwnOffer::Released) => Some((Code::NotFound, "the offer was released")),
            (Ticket::Full, OwnOffer::Held) => Some((Code::Busy, "too many requests are under way")),
            (Ticket::Taken, OwnOffer::Held) => ask.flaw().map(|why| (Code::BadRequest, why)),
        };
        if let Some((code, reason)) = rejection {
            self.stats.requests_rejected += 1;
            let (spans, reason) = (Bounded::new(), Text::cut(reason));
            return self.reply(now, Message::FetchFailed(FetchFailedV1 { request, spans, code, reason }));
        }
        self.serving.insert(request, offer);
        self.stats.requests_taken += 1;
        self.events.push_back(ask.into_event());
        Ok(())
    }

    /// Only what is outstanding can fail; anything else is late or made up (row F-35).
    pub(super) fn on_fetch_failed(&mut self, failed: FetchFailedV1) {
        let FetchFailedV1 { request, spans, code, reason } = failed;
        if self.asked.offer_of(request).is_none() {
            self.stats.answers_unmatched += 1;
            return;
        }
        if spans.is_empty() {
            self.asked.remove(request);
        }
        let (spans, reason) = (spans.into_vec(), reason.to_string());
        self.events.push_back(Event::RequestFailed { request, spans, code, reason });
    }

    pub(super) fn on_received(&mut self, received: &ReceivedV1) {
        let fresh = self.offers.acknowledge(received.offer, &received.spans);
        self.stats.acks_forgotten += fresh.forgotten;
        if !fresh.spans.is_empty() {
            self.events.push_back(Event::Acknowledged { offer: received.offer, spans: fresh.spans });
        } else if fresh.forgotten == 0 {
            self.stats.duplicates_ignored += 1;
        }
    }

    pub(super) fn on_release(&mut self, release: &ReleaseV1) {
        if !release.spans.is_empty() {
            // A permission to drop a part: the lease covers the whole until all of it is released.
            self.stats.hints_ignored += 1;
        } else if self.offers.release_own(release.offer) {
            self.serving.remove_offer(release.offer);
            self.events.push_back(Event::Released { offer: release.offer, reason: release.reason });
        } else {
            self.stats.duplicates_ignored += 1;
        }
    }
}

impl Ask {
    fn ids(&self) -> (FetchId, OfferId) {
        match self {
            Self::List(request) => (request.request, request.offer),
            Self::Tree(request) => (request.request, request.offer),
            Self::Run(request) => (request.request, request.offer),
            Self::Outline(request) => (request.request, request.offer),
            Self::Fetch(fetch) => (fetch.request, fetch.offer),
        }
    }

    /// What is wrong with it that its encoding does not exclude.
    fn flaw(&self) -> Option<&'static str> {
        match self {
            Self::List(request) => (request.pages == 0).then_some("it asks for no page"),
            Self::Tree(_) | Self::Run(_) | Self::Outline(_) | Self::Fetch(_) => None,
        }
    }

    fn into_event(self) -> Event {
        match self {
            Self::List(InventoryRequestV1 { request, offer, token, pages }) => {
                Event::ListRequested { request, offer, token, pages }
            }
            Self::Tree(TreeRequestV1 { request, offer, level, start, end }) => {
                Event::TreeRequested { request, offer, level, start, end }
            }
            Self::Run(RunRequestV1 { request, offer, first, count }) => {
                Event::RunRequested { request, offer, first, count }
            }
            Self::Outline(OutlineRequestV1 { request, offer, ordinal, level, range }) => {
                Event::OutlineRequested { request, offer, ordinal, level, range }
            }
            Self::Fetch(FetchV1 { request, offer, spans, attempt, .. }) => {
                Event::FetchRequested { request, offer, spans: spans.into_vec(), attempt }
            }
        }
    }
}

fn bound(command: &'static str, spans: Vec<Span>) -> Result<Bounded<Span, SPANS_MAX>, CommandError> {
    spans
        .try_into()
        .map_err(|_| CommandError::Unfit { command, why: "it names more spans than one message may" })
}
