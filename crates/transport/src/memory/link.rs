//! The state of one connection, shared by its two ends.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use super::MemoryLimits;
use super::guarded::Guarded;
use super::pipe::Pipe;
use super::waiters::{Waiters, Wakes};
use crate::ConnectionError;

/// One of the two ends of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Dialler = 0,
    Acceptor = 1,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Acceptor,
            Self::Acceptor => Self::Dialler,
        }
    }
}

/// How many directions a stream has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Uni = 0,
    Bi = 1,
}

/// Names a stream within its link, in the order of opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamId(u64);

#[derive(Debug)]
struct Stream {
    kind: Kind,
    opener: Side,
    /// The other end knows of it: something was written, finished, reset or stopped.
    announced: bool,
    accepted: bool,
    /// Counts against the limit of its opener.
    counted: bool,
    /// Halves that somebody holds.
    halves: u8,
    /// By the side that sends.
    pipes: [Option<Pipe>; 2],
}

impl Stream {
    fn is_over(&self) -> bool {
        self.accepted && self.pipes.iter().flatten().all(Pipe::is_over)
    }
}

/// What one end has of a link.
#[derive(Debug, Default)]
struct EndState {
    closed: Option<ConnectionError>,
    /// Announced streams that nobody accepted yet, by [`Kind`]. At most the other end's open ones.
    incoming: [VecDeque<StreamId>; 2],
    /// Streams that this end opened and that count against its limit, by [`Kind`].
    open: [u32; 2],
    /// Everybody who waits for a stream, for room to open one, or for the end.
    waiters: Waiters,
}

/// A connection between two nodes.
#[derive(Debug)]
pub(super) struct Link {
    /// Where its ends are, by [`Side`].
    pub(super) addrs: [SocketAddr; 2],
    pub(super) state: Guarded<LinkState>,
}

impl Link {
    pub(super) fn new(dialler: SocketAddr, acceptor: SocketAddr, limits: MemoryLimits) -> Self {
        let state = LinkState { limits, ends: Default::default(), next: 0, streams: BTreeMap::new() };
        Self { addrs: [dialler, acceptor], state: Guarded::new(state) }
    }

    /// Ends the connection at both ends, unless it already ended. By [`Side`], what each is told.
    pub(super) fn end(&self, told: [ConnectionError; 2]) {
        self.state.with(|state, wakes| state.end(told, wakes));
    }

    /// `side` closes the connection.
    pub(super) fn close(&self, side: Side, code: u32, reason: &str) {
        let mut told = [ConnectionError::ClosedLocally, ConnectionError::ClosedLocally];
        told[side.other() as usize] = ConnectionError::closed_by_peer(code, reason.as_bytes());
        self.end(told);
    }
}

/// What the lock of a [`Link`] protects.
#[derive(Debug)]
pub(super) struct LinkState {
    limits: MemoryLimits,
    ends: [EndState; 2],
    next: u64,
    streams: BTreeMap<StreamId, Stream>,
}

impl LinkState {
    pub(super) fn closed(&self, side: Side) -> Option<&ConnectionError> {
        self.ends[side as usize].closed.as_ref()
    }

    pub(super) fn waiters(&mut self, side: Side) -> &mut Waiters {
        &mut self.ends[side as usize].waiters
    }

    /// Opens a stream, or `None` while the limit is reached.
    pub(super) fn open(&mut self, side: Side, kind: Kind) -> Option<Result<StreamId, ConnectionError>> {
        let end = &mut self.ends[side as usize];
        if let Some(error) = &end.closed {
            return Some(Err(error.clone()));
        }
        if end.open[kind as usize] >= self.limits.open_streams_max.max(1) {
            return None;
        }
        end.open[kind as usize] += 1;
        let id = StreamId(self.next);
        self.next += 1;
        let mut pipes = [None, None];
        pipes[side as usize] = Some(Pipe::new(self.limits.stream_window));
        if kind == Kind::Bi {
            pipes[side.other() as usize] = Some(Pipe::new(self.limits.stream_window));
        }
        let halves = kind as u8 + 1;
        let stream =
            Stream { kind, opener: side, announced: false, accepted: false, counted: true, halves, pipes };
        self.streams.insert(id, stream);
        Some(Ok(id))
    }

    /// Accepts a stream, or `None` while there is none.
    pub(super) fn accept(
        &mut self,
        side: Side,
        kind: Kind,
        wakes: &mut Wakes,
    ) -> Option<Result<StreamId, ConnectionError>> {
        let end = &mut self.ends[side as usize];
        if let Some(error) = &end.closed {
            return Some(Err(error.clone()));
        }
        let id = end.incoming[kind as usize].pop_front()?;
        let stream = self.streams.get_mut(&id).expect("a stream lives until it was accepted");
        stream.accepted = true;
        stream.halves += kind as u8 + 1;
        self.settle(id, wakes);
        Some(Ok(id))
    }

    /// Lets one half of a stream act on the direction in which `sender` sends, then settles what
    /// follows for the stream. `act` also gets why the connection ended at `side`.
    pub(super) fn act<R>(
        &mut self,
        id: StreamId,
        side: Side,
        sender: Side,
        wakes: &mut Wakes,
        act: impl FnOnce(&mut Pipe, Option<&ConnectionError>, &mut Wakes) -> R,
    ) -> R {
        let stream = self.streams.get_mut(&id).expect("a stream lives while one of its halves is held");
        let pipe = stream.pipes[sender as usize].as_mut().expect("a half has its direction");
        let result = act(pipe, self.ends[side as usize].closed.as_ref(), wakes);
        self.settle(id, wakes);
        result
    }

    /// Tells the other end of a stream that `side` opened, the first time that it matters.
    pub(super) fn announce(&mut self, id: StreamId, side: Side, wakes: &mut Wakes) {
        let stream = self.streams.get_mut(&id).expect("a stream lives while one of its halves is held");
        let other = &mut self.ends[side.other() as usize];
        if stream.opener != side || stream.announced || other.closed.is_some() {
            return;
        }
        stream.announced = true;
        other.incoming[stream.kind as usize].push_back(id);
        other.waiters.wake_all(wakes);
    }

    /// One half of a stream was dropped.
    pub(super) fn release(&mut self, id: StreamId, wakes: &mut Wakes) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.halves -= 1;
        }
        self.settle(id, wakes);
    }

    /// Makes room for the next stream once this one is over, and forgets it once nobody holds it.
    fn settle(&mut self, id: StreamId, wakes: &mut Wakes) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let opener = &mut self.ends[stream.opener as usize];
        if stream.counted && stream.is_over() {
            stream.counted = false;
            opener.open[stream.kind as usize] -= 1;
            opener.waiters.wake_all(wakes);
        }
        if stream.halves == 0 && (stream.accepted || opener.closed.is_some()) {
            self.streams.remove(&id);
        }
    }

    fn end(&mut self, told: [ConnectionError; 2], wakes: &mut Wakes) {
        for (end, told) in self.ends.iter_mut().zip(told) {
            if end.closed.is_some() {
                return;
            }
            end.closed = Some(told);
            end.incoming = Default::default();
            end.waiters.wake_all(wakes);
        }
        for stream in self.streams.values_mut() {
            stream.pipes.iter_mut().flatten().for_each(|pipe| pipe.lose(wakes));
        }
        self.streams.retain(|_, stream| stream.halves > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> LinkState {
        let limits = MemoryLimits { open_streams_max: 2, ..MemoryLimits::default() };
        LinkState { limits, ends: Default::default(), next: 0, streams: BTreeMap::new() }
    }

    /// Opens a stream, resets it and drops it.
    fn open_and_drop(state: &mut LinkState, wakes: &mut Wakes) -> Option<StreamId> {
        let id = state.open(Side::Dialler, Kind::Uni)?.unwrap();
        state.act(id, Side::Dialler, Side::Dialler, wakes, |pipe, _, wakes| pipe.sender_dropped(wakes));
        state.announce(id, Side::Dialler, wakes);
        state.release(id, wakes);
        Some(id)
    }

    #[test]
    fn streams_that_nobody_accepted_keep_their_place() {
        let (mut state, mut wakes) = (state(), Wakes::default());
        assert!(open_and_drop(&mut state, &mut wakes).is_some());
        assert!(open_and_drop(&mut state, &mut wakes).is_some());
        assert!(open_and_drop(&mut state, &mut wakes).is_none(), "the peer must not pile up streams");
        state.accept(Side::Acceptor, Kind::Uni, &mut wakes).unwrap().unwrap();
        assert!(open_and_drop(&mut state, &mut wakes).is_some());
    }

    #[test]
    fn streams_that_are_done_leave_nothing_behind() {
        let (mut state, mut wakes) = (state(), Wakes::default());
        for _ in 0..10 {
            let id = open_and_drop(&mut state, &mut wakes).unwrap();
            assert_eq!(state.accept(Side::Acceptor, Kind::Uni, &mut wakes), Some(Ok(id)));
            state.release(id, &mut wakes);
        }
        assert!(state.streams.is_empty());
        assert_eq!(state.ends[0].open, [0, 0]);
    }

    #[test]
    fn a_closed_link_forgets_streams_that_nobody_holds() {
        let (mut state, mut wakes) = (state(), Wakes::default());
        open_and_drop(&mut state, &mut wakes).unwrap();
        let held = state.open(Side::Dialler, Kind::Uni).unwrap().unwrap();
        state.end([ConnectionError::ClosedLocally, ConnectionError::TimedOut], &mut wakes);
        assert_eq!(state.streams.keys().copied().collect::<Vec<_>>(), [held]);
        state.release(held, &mut wakes);
        assert!(state.streams.is_empty());
    }
}
