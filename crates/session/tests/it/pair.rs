//! Two ends of one session over links with latency, a virtual clock, and drivers that do what a driver
//! has to: answer, list, fetch, store, release.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use peerstream_session::{Config, Event, Outcome, Session, State};
use peerstream_types::{ByteCount, FetchId, OfferId, PageToken, Role, Span, Timestamp};
use peerstream_wire::message::{InitV1, OfferV1, ReleaseReason, RequestV1};
use peerstream_wire::{Code, Message};

use crate::make::{ENTRY, T0, ack, entries, id, init, refusal};

/// What an end wants and has.
#[derive(Debug, Default, Clone)]
pub(crate) struct Store {
    pub(crate) wants: Vec<RequestV1>,
    pub(crate) pushes: Vec<OfferV1>,
    pub(crate) holds: Vec<OfferV1>,
    /// Say no to what is not held, and to what is pushed.
    pub(crate) refuses: bool,
}

/// One end: a session and its driver.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) session: Session,
    pub(crate) store: Store,
    pub(crate) log: Vec<Event>,
    /// The peer's offers: what is still to be stored of them.
    left: BTreeMap<OfferId, u64>,
    /// Listings under way.
    lists: BTreeMap<FetchId, (OfferId, u64)>,
    /// Data streams for the peer.
    out: VecDeque<(FetchId, Vec<Span>)>,
}

/// Two ends; 0 is the initiator.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) now: Timestamp,
    pub(crate) ends: [End; 2],
    pub(crate) latency: Duration,
    /// On the way to each end: control and data, each in order.
    pub(crate) control: [VecDeque<(Timestamp, Message)>; 2],
    pub(crate) data: [VecDeque<(Timestamp, FetchId, Vec<Span>)>; 2],
    /// Control messages as they were delivered.
    pub(crate) trace: Vec<String>,
    /// The connection goes after this many control messages.
    pub(crate) cut_after: Option<usize>,
    pub(crate) cut: bool,
}

impl Pair {
    pub(crate) fn new(initiator: Store, follower: Store) -> Self {
        Self::with(init(), initiator, follower)
    }

    pub(crate) fn with(init: InitV1, initiator: Store, follower: Store) -> Self {
        let config = Config::default;
        let a = Session::initiate(T0, config(), id(Role::Initiator), init);
        let b = Session::follow(T0, config(), id(Role::Follower));
        Self {
            now: T0,
            ends: [End::new(a, initiator), End::new(b, follower)],
            latency: Duration::from_millis(10),
            control: Default::default(),
            data: Default::default(),
            trace: Vec::new(),
            cut_after: None,
            cut: false,
        }
    }

    pub(crate) fn states(&self) -> [State; 2] {
        [self.ends[0].session.state(), self.ends[1].session.state()]
    }

    pub(crate) fn outcome(&self, end: usize) -> Outcome {
        self.ends[end].session.outcome().expect("it has ended").clone()
    }

    /// Runs until both ends have ended and all is delivered, or nothing happens for a day.
    pub(crate) fn run(&mut self) -> &mut Self {
        let end = self.now + Duration::from_secs(86_400);
        while self.now < end && self.step() {}
        self
    }

    /// Lets the drivers act, then goes on to the next delivery or timer; `false` if there is none.
    pub(crate) fn step(&mut self) -> bool {
        self.pump();
        let arrivals = (0..2).flat_map(|to| {
            let control = self.control[to].front().map(|(at, _)| *at);
            [control, self.data[to].front().map(|(at, ..)| *at)]
        });
        let timers = self.ends.iter().map(|end| end.session.poll_timeout());
        let Some(at) = arrivals.chain(timers).flatten().min() else { return false };
        self.now = self.now.max(at);
        for to in 0..2 {
            if self.control[to].front().is_some_and(|(at, _)| *at <= self.now) {
                self.deliver_control(to);
            }
            if self.data[to].front().is_some_and(|(at, ..)| *at <= self.now) {
                self.deliver_data(to);
            }
            self.ends[to].session.handle_timeout(self.now);
        }
        true
    }

    /// Lets both drivers act and puts what they send on the links.
    pub(crate) fn pump(&mut self) {
        for from in 0..2 {
            let at = self.now + self.latency;
            let end = &mut self.ends[from];
            end.drive(self.now);
            let messages: Vec<Message> = std::iter::from_fn(|| end.session.poll_transmit()).collect();
            let data: Vec<_> = end.out.drain(..).collect();
            if !self.cut {
                self.control[1 - from].extend(messages.into_iter().map(|message| (at, message)));
                self.data[1 - from].extend(data.into_iter().map(|(request, spans)| (at, request, spans)));
            }
        }
    }

    pub(crate) fn deliver_control(&mut self, to: usize) {
        let Some((_, message)) = self.control[to].pop_front() else { return };
        if self.cut_after == Some(self.trace.len()) {
            return self.disconnect();
        }
        let names = ["initiator", "follower"];
        self.trace.push(format!("{} <- {}", names[to], message.name()));
        let taken = self.ends[to].session.handle_message(self.now, message);
        taken.unwrap_or_else(|error| panic!("{error}\n{:#?}", self.trace));
        self.ends[to].drive(self.now);
    }

    pub(crate) fn deliver_data(&mut self, to: usize) {
        let Some((_, request, spans)) = self.data[to].pop_front() else { return };
        self.ends[to].store_data(self.now, request, &spans);
        self.ends[to].drive(self.now);
    }

    /// The connection goes, with all that is on its way.
    pub(crate) fn disconnect(&mut self) {
        self.cut = true;
        for to in 0..2 {
            self.control[to].clear();
            self.data[to].clear();
            self.ends[to].session.handle_disconnect(self.now, "connection lost".into());
            self.ends[to].drive(self.now);
        }
    }
}

impl End {
    fn new(session: Session, store: Store) -> Self {
        let (left, lists) = (BTreeMap::new(), BTreeMap::new());
        Self { session, store, log: Vec::new(), left, lists, out: VecDeque::new() }
    }

    /// Acts on all events.
    pub(crate) fn drive(&mut self, now: Timestamp) {
        while let Some(event) = self.session.poll_event() {
            self.log.push(event.clone());
            self.act(now, event);
        }
    }

    fn act(&mut self, now: Timestamp, event: Event) {
        match event {
            Event::Init(_) => self.session.accept(now, ack(64)).unwrap(),
            Event::Accepted(_) => {
                let Store { wants, pushes, .. } = self.store.clone();
                self.session.prepare(now, wants, pushes).unwrap();
            }
            Event::Prepared { requests, offers } => self.answer(now, &requests, offers),
            Event::Offered { offers, .. } => self.receive(now, offers),
            Event::ListRequested { request, .. }
            | Event::TreeRequested { request, .. }
            | Event::RunRequested { request, .. }
            | Event::OutlineRequested { request, .. } => {
                self.out.push_back((request, Vec::new()));
                self.session.served(now, request).unwrap();
            }
            Event::FetchRequested { request, spans, .. } => {
                self.session.sent(now, ByteCount(ENTRY * spans.len() as u64)).unwrap();
                self.session.served(now, request).unwrap();
                self.out.push_back((request, spans));
            }
            Event::RequestFailed { .. }
            | Event::Attached
            | Event::Refused { .. }
            | Event::Acknowledged { .. }
            | Event::Released { .. }
            | Event::GoAway { .. }
            | Event::Throttled { .. }
            | Event::Ended(_) => {}
        }
    }

    fn answer(&mut self, now: Timestamp, requests: &[RequestV1], offers: Vec<OfferV1>) {
        let held = |request: &RequestV1| self.store.holds.iter().find(|held| held.shard == request.shard);
        let own: Vec<OfferV1> = requests.iter().filter_map(held).cloned().collect();
        let (mut no_requests, mut no_offers) = (Vec::new(), Vec::new());
        if self.store.refuses {
            let missing = requests.iter().filter(|request| held(request).is_none());
            no_requests = missing.map(|request| refusal(request.shard.index, Code::NotFound)).collect();
            no_offers = offers.iter().map(|offer| refusal(offer.shard.index, Code::Full)).collect();
        }
        let taken = if self.store.refuses { Vec::new() } else { offers };
        self.session.answer(now, own, no_requests, no_offers).unwrap();
        self.receive(now, taken);
    }

    fn receive(&mut self, now: Timestamp, offers: Vec<OfferV1>) {
        if self.session.is_preview() {
            return;
        }
        for OfferV1 { offer, header, .. } in offers {
            let request = self.session.list(now, offer, PageToken::START, 4).unwrap();
            self.lists.insert(request, (offer, header.counts.entries));
        }
    }

    fn store_data(&mut self, now: Timestamp, request: FetchId, spans: &[Span]) {
        let Some(offer) = self.session.offer_of(request) else {
            // Late: the session is over, or does not want it any longer.
            let wasted = ByteCount(ENTRY * spans.len() as u64);
            return self.session.wasted(now, wasted).unwrap();
        };
        self.session.request_done(now, request).unwrap();
        if let Some((offer, count)) = self.lists.remove(&request) {
            self.left.insert(offer, count);
            self.session.planned(now, ByteCount(count * ENTRY)).unwrap();
            for ordinal in 0..count {
                self.session.fetch(now, offer, vec![entries(ordinal, 1)], 1).unwrap();
            }
        } else {
            let bytes = ByteCount(ENTRY * spans.len() as u64);
            self.session.received(now, offer, spans.to_vec(), bytes).unwrap();
            *self.left.get_mut(&offer).expect("it was listed") -= 1;
        }
        if self.left.get(&offer) == Some(&0) {
            self.session.release(now, offer, ReleaseReason::Done).unwrap();
        }
    }
}
