//! What is on its way to a node, and what waits at the node's cap.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{self, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use peerstream_types::ByteRate;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::net::Cap;

/// A datagram and when it is there; the number keeps those of one moment in order.
#[derive(Debug)]
pub(super) struct Arriving {
    at: Instant,
    number: u64,
    pub(super) from: SocketAddr,
    pub(super) datagram: Vec<u8>,
}

impl Arriving {
    fn rank(&self) -> (Instant, u64) {
        (self.at, self.number)
    }
}

impl Ord for Arriving {
    /// The next one to arrive is the greatest, as a [`BinaryHeap`] wants it.
    fn cmp(&self, other: &Self) -> Ordering {
        other.rank().cmp(&self.rank())
    }
}

impl PartialOrd for Arriving {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Arriving {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Arriving {}

/// What is on its way to a node.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<State>,
    /// Datagrams that found the cap full, of all nodes.
    overflowed: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct State {
    dead: bool,
    arriving: BinaryHeap<Arriving>,
    cap: Cap,
    /// What has come to the node and passes its cap, in order.
    passing: VecDeque<Arriving>,
    sleep: Option<Pin<Box<Sleep>>>,
    waker: Option<Waker>,
}

impl Inbox {
    pub(super) fn new(down: ByteRate, overflowed: Arc<AtomicU64>) -> Self {
        let mut state = State::default();
        state.cap.set(down);
        Self { state: Mutex::new(state), overflowed }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, at: Instant, number: u64, from: SocketAddr, datagram: Vec<u8>) {
        let mut state = self.lock();
        let is_next = state.arriving.peek().is_none_or(|next| at < next.at);
        state.arriving.push(Arriving { at, number, from, datagram });
        // Who sleeps until an earlier one need not know of this one.
        if let Some(waker) = state.waker.take_if(|_| is_next) {
            waker.wake();
        }
    }

    /// Changes what the node may receive.
    pub(super) fn cap(&self, down: ByteRate) {
        self.lock().cap.set(down);
    }

    /// The node has crashed: what was on its way is gone.
    pub(super) fn kill(&self) {
        let mut state = self.lock();
        *state = State { dead: true, ..State::default() };
    }

    pub(super) fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// The next datagram, once it is there.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Arriving> {
        let mut state = self.lock();
        let mut now = Instant::now();
        loop {
            self.meet_cap(&mut state, now);
            if let Some(next) = state.take(now) {
                return Poll::Ready(next);
            }
            // An earlier datagram from a nearer node may still come: wake up for that, too.
            if state.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
                state.waker = Some(cx.waker().clone());
            }
            let Some(at) = state.next_at() else { return Poll::Pending };
            std::task::ready!(state.poll_sleep(at, cx));
            now = now.max(at);
        }
    }

    /// Lets what has come pass the cap, if the node has one.
    fn meet_cap(&self, state: &mut State, now: Instant) {
        if state.cap.is_none() && state.passing.is_empty() {
            return;
        }
        while let Some(mut came) = state.pop_arrived(now) {
            if state.cap.wait_for_room(came.at).is_zero() {
                came.at = state.cap.pass(came.at, came.datagram.len());
                state.passing.push_back(came);
            } else {
                self.overflowed.fetch_add(1, atomic::Ordering::Relaxed);
            }
        }
    }
}

impl State {
    fn pop_arrived(&mut self, now: Instant) -> Option<Arriving> {
        self.arriving.peek().is_some_and(|next| next.at <= now).then(|| self.arriving.pop()).flatten()
    }

    fn take(&mut self, now: Instant) -> Option<Arriving> {
        if self.passing.front().is_some_and(|next| next.at <= now) {
            return self.passing.pop_front();
        }
        if self.cap.is_none() && self.passing.is_empty() { self.pop_arrived(now) } else { None }
    }

    /// When there is something to do next.
    fn next_at(&self) -> Option<Instant> {
        let passing = self.passing.front().map(|next| next.at);
        let arriving = self.arriving.peek().map(|next| next.at);
        passing.into_iter().chain(arriving).min()
    }

    fn poll_sleep(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx)
    }
}
