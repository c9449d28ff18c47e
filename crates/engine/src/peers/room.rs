//! Who may have connections here: places are counted so that whoever is in gets all its lanes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peerstream_transport::Connection;
use peerstream_types::{NodeId, Timestamp};
use peerstream_wire::Code;

/// Places that a peer has from its first connection on: one per lane. Otherwise the first connections of
/// many peers would take all places, and nobody could get its second.
const PLACES_PER_PEER: usize = 2;
/// How long a peer must have been without a session before it can be asked to make room for another:
/// longer than it takes to come in and to open one on a long path, short enough that those outside get
/// their turn.
const QUIET_FOR: Duration = Duration::from_secs(2);

/// The connections that peers have dialled, within a limit.
#[derive(Debug)]
pub(crate) struct Room {
    places: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    guests: BTreeMap<NodeId, Guest>,
    next: u64,
}

#[derive(Debug)]
struct Guest {
    connections: BTreeMap<u64, Arc<dyn Connection>>,
    /// When its last connection came or its last session ended.
    quiet_since: Timestamp,
}

impl Guest {
    fn places(&self) -> usize {
        self.connections.len().max(PLACES_PER_PEER)
    }
}

/// A connection's place; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    peer: NodeId,
    number: u64,
}

impl Room {
    /// Room for so many connections, and for one peer at the least.
    pub(crate) fn new(connections_max: usize) -> Self {
        Self { places: connections_max.max(PLACES_PER_PEER), inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection, if there is one, or if a peer that is not `busy` can make room: of
    /// these, the one that has been quiet for longest has its connections closed.
    pub(super) fn enter(
        self: &Arc<Self>,
        connection: &Arc<dyn Connection>,
        now: Timestamp,
        busy: impl FnOnce() -> BTreeSet<NodeId>,
    ) -> Option<Place> {
        let peer = connection.peer().node.clone();
        let mut inner = self.lock();
        let needs = match inner.guests.get(&peer) {
            None => PLACES_PER_PEER,
            Some(guest) => usize::from(guest.connections.len() >= PLACES_PER_PEER),
        };
        if inner.taken() + needs > self.places {
            let mut stays = busy();
            stays.insert(peer.clone());
            inner.make_room(now, &stays);
        }
        if inner.taken() + needs > self.places {
            return None;
        }
        inner.next += 1;
        let number = inner.next;
        let new = || Guest { connections: BTreeMap::new(), quiet_since: now };
        let guest = inner.guests.entry(peer.clone()).or_insert_with(new);
        guest.quiet_since = now;
        guest.connections.insert(number, connection.clone());
        Some(Place { room: self.clone(), peer, number })
    }

    /// A session with a peer has ended.
    pub(crate) fn session_ended(&self, peer: &NodeId, now: Timestamp) {
        if let Some(guest) = self.lock().guests.get_mut(peer) {
            guest.quiet_since = now;
        }
    }
}

impl Inner {
    fn taken(&self) -> usize {
        self.guests.values().map(Guest::places).sum()
    }

    fn make_room(&mut self, now: Timestamp, stays: &BTreeSet<NodeId>) {
        let can_go = |(peer, guest): &(&NodeId, &Guest)| {
            guest.quiet_since + QUIET_FOR <= now && !stays.contains(*peer)
        };
        let quietest = self.guests.iter().filter(can_go).min_by_key(|(_, guest)| guest.quiet_since);
        let Some(peer) = quietest.map(|(peer, _)| peer.clone()) else { return };
        let guest = self.guests.remove(&peer);
        for connection in guest.into_iter().flat_map(|guest| guest.connections.into_values()) {
            connection.close(u32::from(Code::Busy.number()), "others wait for its place");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.room.lock();
        if let Some(guest) = inner.guests.get_mut(&self.peer) {
            guest.connections.remove(&self.number);
            if guest.connections.is_empty() {
                inner.guests.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
#[path = "room/tests.rs"]
mod tests;
