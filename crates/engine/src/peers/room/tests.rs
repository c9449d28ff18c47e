//! Who is let in, and who has to go.

use peerstream_transport::memory::{MemoryNetwork, MemoryTransport};
use peerstream_transport::{ConnectionError, Lane, PeerIdentity, Target, Transport};
use peerstream_types::ClusterName;

use super::*;

/// A node with a room, and others that come.
struct Inn {
    network: MemoryNetwork,
    host: MemoryTransport,
    room: Arc<Room>,
}

impl Inn {
    fn new(connections_max: usize) -> Self {
        let network = MemoryNetwork::new();
        let host = node(&network, 1);
        Self { network, host, room: Arc::new(Room::new(connections_max)) }
    }

    /// A peer dials once: both ends.
    async fn dial(&self, peer: &MemoryTransport, lane: Lane) -> [Arc<dyn Connection>; 2] {
        let target = Target { addr: ([10, 0, 0, 1], 1).into(), node: None };
        let (theirs, ours) = tokio::join!(peer.connect(&target, lane), self.host.accept());
        [theirs.unwrap(), ours.unwrap()]
    }

    fn enter(&self, connection: &Arc<dyn Connection>, secs: u64, busy: &[u8]) -> Option<Place> {
        let busy = busy.iter().map(|number| name(*number)).collect();
        self.room.enter(connection, Timestamp::from_millis(secs * 1000), || busy)
    }
}

fn name(number: u8) -> NodeId {
    NodeId::new(format!("node-{number}")).unwrap()
}

fn node(network: &MemoryNetwork, number: u8) -> MemoryTransport {
    let identity = PeerIdentity { cluster: ClusterName::new("demo.internal").unwrap(), node: name(number) };
    network.node(identity, ([10, 0, 0, number], 1).into())
}

#[tokio::test]
async fn whoever_is_in_gets_all_its_lanes() {
    let inn = Inn::new(4);
    let peers: Vec<_> = (2..5).map(|number| node(&inn.network, number)).collect();
    let (mut places, mut kept) = (Vec::new(), Vec::new());
    for peer in &peers {
        let [theirs, ours] = inn.dial(peer, Lane::Control).await;
        places.push(inn.enter(&ours, 0, &[]));
        kept.push(theirs);
    }
    assert_eq!(places.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
    for (peer, is_in) in peers.iter().zip([true, true, false]) {
        let [_, ours] = inn.dial(peer, Lane::Bulk).await;
        let place = inn.enter(&ours, 0, &[]);
        assert_eq!(place.is_some(), is_in);
        places.push(place);
    }
    let [_, third] = inn.dial(&peers[0], Lane::Bulk).await;
    assert!(inn.enter(&third, 0, &[]).is_none(), "its own places are taken");
    drop(places);
    assert!(inn.enter(&third, 0, &[]).is_some(), "places come back");
    assert_eq!(inn.room.lock().taken(), 0);
}

#[tokio::test]
async fn the_peer_that_was_quiet_for_longest_makes_room() {
    let inn = Inn::new(6);
    let mut ends = Vec::new();
    for number in 2..5 {
        let peer = node(&inn.network, number);
        let [theirs, ours] = inn.dial(&peer, Lane::Control).await;
        let place = inn.enter(&ours, u64::from(number), &[]).unwrap();
        ends.push((theirs, place, peer));
    }
    inn.room.session_ended(&name(2), Timestamp::from_millis(5_000));
    let peer = node(&inn.network, 9);
    let [_, late] = inn.dial(&peer, Lane::Control).await;
    assert!(inn.enter(&late, 4, &[]).is_none(), "nobody is quiet for long enough");
    assert!(inn.enter(&late, 9, &[2, 3, 4]).is_none(), "they have sessions");
    let place = inn.enter(&late, 9, &[4]).expect("node-3 makes room");
    let reasons = ends.iter().map(|(theirs, ..)| theirs.close_reason()).collect::<Vec<_>>();
    let busy = ConnectionError::closed_by_peer(Code::Busy.number().into(), b"others wait for its place");
    assert_eq!(reasons, [None, Some(busy), None]);
    drop(ends);
    assert_eq!(inn.room.lock().guests.keys().collect::<Vec<_>>(), [&place.peer]);
}
