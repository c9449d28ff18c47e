//! Init and Prepare: from the first message until all offers are on the table.

use std::time::Duration;

use peerstream_types::{ByteCount, Role, Timestamp};
use peerstream_wire::limits::RETRY_AFTER_MS_MAX;
use peerstream_wire::message::{
    InitAckV1, InitV1, OfferV1, PrepareAckV1, PrepareV1, RefusalV1, RefuseV1, ReleaseReason, RequestV1,
};
use peerstream_wire::{Code, Extensions, Message, Text};

use super::Session;
use crate::error::{CommandError, SessionError};
use crate::event::{By, Event};
use crate::input::Input;
use crate::prepare::{self, Answer};

impl Session {
    /// Follower: takes the session. The requests that the peer may have under way are
    /// `ack.limits.requests`, at least 1.
    ///
    /// # Errors
    ///
    /// [`CommandError`] if no Init has come, or `ack` chooses a version that the initiator does not
    /// speak.
    pub fn accept(&mut self, now: Timestamp, ack: InitAckV1) -> Result<(), CommandError> {
        self.permit("accept", Input::DoAccept)?;
        let init = self.awaited_init("accept")?;
        if !speaks(init, &ack) {
            let why = "the initiator does not speak this version";
            return Err(CommandError::Unfit { command: "accept", why });
        }
        self.serving.set_max(ack.limits.requests);
        self.send(now, Message::InitAck(ack.clone()));
        self.ack = Some(ack);
        self.advance(now, Input::DoAccept);
        Ok(())
    }

    /// Follower: does not take the session. It ends as failed at both ends. Waits beyond
    /// [`RETRY_AFTER_MS_MAX`] are shortened to it.
    ///
    /// # Errors
    ///
    /// [`CommandError`] if no Init has come.
    pub fn refuse(
        &mut self,
        now: Timestamp,
        code: Code,
        reason: &str,
        retry_after: Option<Duration>,
    ) -> Result<(), CommandError> {
        self.permit("refuse", Input::DoRefuse)?;
        self.awaited_init("refuse")?;
        self.send(now, Message::Refuse(refusal(code, reason, retry_after)));
        self.end(now, Input::DoRefuse, By::Local, Some((code, reason.to_owned())));
        Ok(())
    }

    fn awaited_init(&self, command: &'static str) -> Result<&InitV1, CommandError> {
        self.init.as_ref().ok_or(CommandError::Unfit { command, why: "no Init has come" })
    }

    /// Follower: takes an Init for this session that came on another control stream. If it is the
    /// same Init again, the session goes on where it is, on that stream: `InitAck` is sent again,
    /// [`Event::Attached`] comes (row C05). An Init that comes again on the same stream goes to
    /// [`handle_message`](Self::handle_message) like any message.
    ///
    /// # Errors
    ///
    /// The refusal to send on that stream, if the Init contradicts the first (a newer incarnation
    /// does) or the session has ended. This session is not touched.
    pub fn attach(&mut self, now: Timestamp, init: &InitV1) -> Result<(), RefuseV1> {
        if self.state.is_final() {
            return Err(refusal(Code::NotFound, "the session has ended", None));
        }
        if self.id.role == Role::Initiator || !self.init.as_ref().is_some_and(|first| agree(first, init)) {
            return Err(refusal(Code::BadRequest, "this Init contradicts the first of its session", None));
        }
        self.timers.heard(now);
        self.reattach(now).map_err(|error| refusal(Code::Busy, &error.to_string(), None))
    }

    fn reattach(&mut self, now: Timestamp) -> Result<(), SessionError> {
        if let Some(ack) = self.ack.clone() {
            self.reply(now, Message::InitAck(ack))?;
        }
        self.events.push_back(Event::Attached);
        Ok(())
    }

    pub(super) fn on_init(&mut self, now: Timestamp, init: InitV1) -> Result<(), SessionError> {
        let breach = |why| Err(SessionError::Breach { message: "Init", why });
        match &self.init {
            Some(first) if agree(first, &init) => self.reattach(now),
            Some(_) => breach("it contradicts the first"),
            None if (init.plan, init.index) != (self.id.plan, self.id.index) => {
                breach("it is of another session")
            }
            None => {
                self.events.push_back(Event::Init(init.clone()));
                self.init = Some(init);
                Ok(())
            }
        }
    }

    pub(super) fn on_init_ack(&mut self, now: Timestamp, ack: InitAckV1) -> Result<(), SessionError> {
        if !self.init.as_ref().is_some_and(|init| speaks(init, &ack)) {
            let why = "it chooses a version that was not offered";
            return Err(SessionError::Breach { message: "InitAck", why });
        }
        self.asked.allow(ack.limits.requests);
        self.ack = Some(ack.clone());
        self.advance(now, Input::InitAck);
        self.events.push_back(Event::Accepted(ack));
        Ok(())
    }

    pub(super) fn on_refuse(&mut self, now: Timestamp, refuse: &RefuseV1) {
        let retry_after = wait(refuse.retry_after_ms);
        let reason = refuse.reason.to_string();
        let words = format!("remote refused: {reason}");
        self.events.push_back(Event::Refused { code: refuse.code, reason, retry_after });
        self.end(now, Input::Refuse, By::Remote, Some((refuse.code, words)));
    }

    /// Initiator: says what it wants and what it offers; the session cuts it into pages. With neither
    /// the session completes by itself (row C08). Ids of offers are the driver's choice, each once.
    ///
    /// # Errors
    ///
    /// [`CommandError`] if it was said before, does not fit on the pages of a Prepare, or breaks a
    /// rule of the wire.
    pub fn prepare(
        &mut self,
        now: Timestamp,
        requests: Vec<RequestV1>,
        offers: Vec<OfferV1>,
    ) -> Result<(), CommandError> {
        self.permit("prepare", Input::DoPrepare)?;
        let unfit = |why| CommandError::Unfit { command: "prepare", why };
        if self.table.complete {
            return Err(unfit("it was said before"));
        }
        prepare::check_ids(&offers).map_err(unfit)?;
        let pages = prepare::prepare_pages(requests.clone(), offers.clone())?;
        self.room_for(pages.len())?;
        self.register_own(&offers);
        (self.table.requests, self.table.offers, self.table.complete) = (requests, offers, true);
        pages.into_iter().for_each(|page| self.send(now, page));
        self.advance(now, Input::DoPrepare);
        Ok(())
    }

    /// Follower: answers [`Event::Prepared`] with what it offers of what was wanted, and what it
    /// refuses of what was wanted or offered. What it does not refuse of the offers it takes; a request
    /// that is neither offered nor refused matches nothing here. The session cuts it into pages.
    ///
    /// # Errors
    ///
    /// [`CommandError`] if nothing was asked yet, the answer speaks of what was not asked, does not
    /// fit on the pages of a `PrepareAck`, or breaks a rule of the wire.
    pub fn answer(
        &mut self,
        now: Timestamp,
        offers: Vec<OfferV1>,
        refused_requests: Vec<RefusalV1>,
        refused_offers: Vec<RefusalV1>,
    ) -> Result<(), CommandError> {
        self.permit("answer", Input::DoAnswer)?;
        let unfit = |why| CommandError::Unfit { command: "answer", why };
        if !self.table.complete {
            return Err(unfit("the pages of Prepare are not all in"));
        }
        let answer = Answer { offers, refused_requests, refused_offers };
        self.table.check(&answer).map_err(unfit)?;
        let refused = self.table.refused(&answer);
        let own = answer.offers.clone();
        let pages = prepare::answer_pages(answer)?;
        self.room_for(pages.len())?;
        self.register_own(&own);
        let table = std::mem::take(&mut self.table);
        self.register_peer(&table.offers);
        refused.into_iter().for_each(|offer| self.offers.release_peer(offer));
        pages.into_iter().for_each(|page| self.send(now, page));
        self.advance(now, Input::DoAnswer);
        self.settle(now);
        Ok(())
    }

    pub(super) fn on_prepare(&mut self, now: Timestamp, page: PrepareV1) -> Result<(), SessionError> {
        self.table.add_prepare(page).map_err(|why| SessionError::Breach { message: "Prepare", why })?;
        if !self.table.complete {
            return Ok(());
        }
        if self.table.is_empty() {
            let nothing = self.answer(now, Vec::new(), Vec::new(), Vec::new());
            return nothing.map_err(|_| SessionError::Flood);
        }
        let (requests, offers) = (self.table.requests.clone(), self.table.offers.clone());
        self.events.push_back(Event::Prepared { requests, offers });
        Ok(())
    }

    pub(super) fn on_prepare_ack(&mut self, now: Timestamp, page: PrepareAckV1) -> Result<(), SessionError> {
        let more = page.more;
        self.table.add_ack(page).map_err(|why| SessionError::Breach { message: "PrepareAck", why })?;
        if more {
            return Ok(());
        }
        let mut table = std::mem::take(&mut self.table);
        let answer = std::mem::take(&mut table.answer);
        let refused = table.refused(&answer);
        self.register_peer(&answer.offers);
        let Answer { offers, refused_requests, refused_offers } = answer;
        self.events.push_back(Event::Offered { offers, refused_requests, refused_offers });
        for offer in refused.into_iter().filter(|offer| self.offers.release_own(*offer)).collect::<Vec<_>>() {
            self.events.push_back(Event::Released { offer, reason: ReleaseReason::GivenUp });
        }
        self.advance(now, Input::PrepareAckLast);
        Ok(())
    }

    fn register_own(&mut self, offers: &[OfferV1]) {
        for offer in offers {
            self.offers.add_own(offer.offer);
            self.stats.offered += ByteCount(offer.header.counts.bytes);
        }
    }

    fn register_peer(&mut self, offers: &[OfferV1]) {
        for offer in offers {
            self.offers.add_peer(offer.offer);
            self.stats.offered_by_peer += ByteCount(offer.header.counts.bytes);
        }
    }
}

/// Whether two Inits open the same session in the same way. Trace and optional parts may differ.
fn agree(first: &InitV1, second: &InitV1) -> bool {
    let who = |init: &InitV1| (init.plan, init.index, init.incarnation, init.minors);
    who(first) == who(second)
        && (first.operation, first.preview) == (second.operation, second.preview)
        && first.cluster == second.cluster
}

fn speaks(init: &InitV1, ack: &InitAckV1) -> bool {
    (init.minors.0..=init.minors.1).contains(&ack.minor)
}

fn refusal(code: Code, reason: &str, retry_after: Option<Duration>) -> RefuseV1 {
    let millis = retry_after.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    let retry_after_ms = millis.min(RETRY_AFTER_MS_MAX);
    RefuseV1 { code, reason: Text::cut(reason), retry_after_ms, extensions: Extensions::default() }
}

/// A wait on the wire, where zero says nothing.
pub(super) fn wait(millis: u64) -> Option<Duration> {
    (millis > 0).then(|| Duration::from_millis(millis))
}
