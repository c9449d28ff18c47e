//! Greetings, streams and sessions that are not in order.

use peerstream_engine::transport::{
    ConnectionError, Lane, RecvStreamExt, SendStreamExt, StreamError, Transport,
};
use peerstream_engine::types::{Operation, Role};
use peerstream_wire::message::KeepAlive;
use peerstream_wire::{Code, HelloMessage, Message, Minor, StreamKind};

use crate::raw::{
    Control, Donor, Link, PLAN, Reply, World, data_header, dial, fill, framed, greet, hello, identity, init,
    open_bi, open_data, prepare, settle, shard, store, take_data, within,
};

const CONTROL: u8 = StreamKind::Control as u8;
const RECORDS: u8 = StreamKind::Records as u8;

fn stopped(code: Code) -> Result<Option<u32>, StreamError> {
    Ok(Some(u32::from(code.number())))
}

fn nothing_was_made(world: &World) {
    assert_eq!((world.engine.sessions(), world.engine.plans().len()), (0, 0));
}

async fn is_open(link: &Link) {
    settle().await;
    assert_eq!(link.close_reason(), None);
}

/// A control stream that begins with something of the test; how it ends.
async fn refused(link: &Link, kind: u8, bytes: &[u8]) -> StreamError {
    let (_send, mut recv) = open_bi(link, kind, bytes).await;
    recv.read(1).await.expect_err("a refused stream carries no answer")
}

/// Row C04, P-05, P-23: a data stream that names no session is stopped unread, and makes none.
#[tokio::test(start_paused = true)]
async fn a_data_stream_of_no_session_is_stopped_unread() {
    within(async {
        let world = World::new();
        let bulk = world.link(Lane::Bulk).await;
        // More than the window of a stream: it could not be written if it were not stopped.
        let body = vec![7; 1 << 20];
        for kind in [StreamKind::Records, StreamKind::Inventory, StreamKind::Outline] {
            let mut send = open_data(&bulk, kind.byte(), data_header(1, 1), &body).await;
            assert_eq!(send.stopped().await, stopped(Code::NotFound));
        }
        nothing_was_made(&world);
        is_open(&bulk).await;
    })
    .await;
}

/// Rows C03 and C04, P-05: a stream names its session by plan, index, role and peer; one that differs
/// in any of them is of no session, whoever sends it.
#[tokio::test(start_paused = true)]
async fn an_answer_under_another_name_is_not_taken() {
    within(async {
        let (world, content) = (World::new(), store());
        fill(&content, &shard(0));
        // The donor leaves the first request open, so that somebody else can try to answer it.
        let donor = Donor::start(&world, &content, |message, honest| match message {
            Message::InventoryRequest(_) => Vec::new(),
            _ => honest,
        });
        let donor = donor.await;
        let plan = world.bring_up();
        settle().await;
        let Some(Message::InventoryRequest(ask)) = donor.heard().pop() else { panic!("no request yet") };
        let thief = world.network.node(identity("thief"), ([10, 0, 0, 3], 1).into());
        let (bulk, stolen) = (world.link(Lane::Bulk).await, dial(&thief).await);
        greet(&stolen, hello(Lane::Bulk, 1)).await.unwrap();
        let mut right = data_header(plan.id().as_u128(), ask.request.0);
        right.sender = Role::Follower;
        let mut index = right.clone();
        index.index += 1;
        let mut role = right.clone();
        role.sender = Role::Initiator;
        let mut request = right.clone();
        request.request.0 += 1;
        for (link, header) in [(&stolen, right), (&bulk, index), (&bulk, role), (&bulk, request)] {
            let mut send = open_data(link, StreamKind::Inventory.byte(), header, b"").await;
            assert_eq!(send.stopped().await, stopped(Code::NotFound));
        }
        assert!(plan.state().result.is_none(), "nobody was fooled");
    })
    .await;
}

/// Row C04, P-23: only Init makes a session; a control stream that begins otherwise is refused.
#[tokio::test(start_paused = true)]
async fn a_control_stream_without_init_is_refused() {
    within(async {
        let world = World::new();
        let link = world.link(Lane::Control).await;
        let no_init = [Message::KeepAlive(KeepAlive::default()), prepare(vec![shard(0)])];
        for message in no_init {
            let code = u32::from(Code::Protocol.number());
            assert_eq!(refused(&link, CONTROL, &framed(&message)).await, StreamError::Reset(code));
        }
        // A frame that is none, and one that is longer than any may be.
        for bytes in [vec![3, 0, 0, 0, 255, 255, 255], vec![255; 8]] {
            assert!(matches!(refused(&link, CONTROL, &bytes).await, StreamError::Reset(_)));
        }
        nothing_was_made(&world);
        is_open(&link).await;
    })
    .await;
}

/// Row C05, P-24: the same Init again, on another control stream, goes on with the session there.
#[tokio::test(start_paused = true)]
async fn the_same_init_goes_on_with_the_session() {
    within(async {
        let world = World::new();
        fill(&world.store, &shard(0));
        let link = world.link(Lane::Control).await;
        let mut first = Control::open(&link, CONTROL, &Message::Init(init(0))).await;
        let ack = first.heard().await;
        assert!(matches!(ack, Message::InitAck(_)));
        let mut second = Control::open(&link, CONTROL, &Message::Init(init(0))).await;
        assert_eq!(second.heard().await, ack);
        assert_eq!((world.engine.sessions(), world.engine.plans().len()), (1, 1));
        second.say(&prepare(vec![shard(0)])).await;
        let Message::PrepareAck(offered) = second.heard().await else { panic!("no offers") };
        assert_eq!(offered.offers.len(), 1);
    })
    .await;
}

/// Row C05, P-24: an Init that contradicts the first is refused on its stream; the session goes on.
#[tokio::test(start_paused = true)]
async fn an_init_that_contradicts_the_first_is_refused() {
    within(async {
        let world = World::new();
        fill(&world.store, &shard(0));
        let link = world.link(Lane::Control).await;
        let mut first = Control::open(&link, CONTROL, &Message::Init(init(0))).await;
        assert!(matches!(first.heard().await, Message::InitAck(_)));
        let mut other = init(0);
        other.operation = Operation::Repair;
        let mut second = Control::open(&link, CONTROL, &Message::Init(other)).await;
        let Message::Refuse(no) = second.heard().await else { panic!("not refused") };
        assert_eq!(no.code, Code::BadRequest);
        first.say(&prepare(vec![shard(0)])).await;
        assert!(matches!(first.heard().await, Message::PrepareAck(_)));
        assert_eq!(world.engine.sessions(), 1);
    })
    .await;
}

/// P-03, P-04, row C10: a stream of another lane, or of a kind that is unknown or reserved, is refused
/// alone: its connection serves the next one.
#[tokio::test(start_paused = true)]
async fn a_stream_of_the_wrong_kind_is_refused_alone() {
    within(async {
        let world = World::new();
        fill(&world.store, &shard(0));
        let first = framed(&Message::Init(init(0)));
        let mut session = world.receiver(vec![shard(0)]).await;
        let (control, bulk) = (session.link.clone(), session.bulk.clone());
        let made = world.engine.plans().len();
        assert!(matches!(refused(&bulk, CONTROL, &first).await, StreamError::Reset(_)));
        for kind in [StreamKind::Hello.byte(), RECORDS, StreamKind::Gossip.byte(), 10, 255] {
            assert!(matches!(refused(&control, kind, &first).await, StreamError::Reset(_)));
        }
        let mut wrong_lane = open_data(&control, RECORDS, data_header(PLAN, 1), b"").await;
        assert_eq!(wrong_lane.stopped().await, stopped(Code::Protocol));
        for kind in [10, 255] {
            let mut send = open_data(&bulk, kind, data_header(PLAN, 1), b"").await;
            assert_eq!(send.stopped().await, stopped(Code::Protocol), "kind {kind}");
        }
        for kind in [StreamKind::Hello, StreamKind::Control, StreamKind::Feed, StreamKind::Gossip] {
            let mut send = open_data(&bulk, kind.byte(), data_header(PLAN, 1), b"").await;
            assert!(matches!(send.stopped().await, Ok(Some(_))), "kind {kind:?}");
        }
        assert_eq!(world.engine.plans().len(), made);
        is_open(&control).await;
        is_open(&bulk).await;
        session.list(1).await;
        assert_eq!(take_data(&bulk).await.1.request.0, 1, "both lanes still serve");
    })
    .await;
}

/// P-02: a connection whose first stream is no Hello is closed, and so is one whose Hello is none.
#[tokio::test(start_paused = true)]
async fn a_connection_without_hello_is_closed() {
    within(async {
        let world = World::new();
        let first = framed(&Message::Init(init(0)));
        for (kind, bytes) in [(CONTROL, &first[..]), (StreamKind::Hello.byte(), &[255; 8]), (99, b"")] {
            let link = dial(&world.raw).await;
            let _streams = open_bi(&link, kind, bytes).await;
            let ended = link.closed().await;
            assert!(matches!(ended, ConnectionError::ClosedByPeer { code: 1, .. }), "{ended:?}");
        }
        nothing_was_made(&world);
        assert_eq!(world.engine.peers(), []);
    })
    .await;
}

/// P-02, A17: a peer that dials and says nothing does not stay for ever.
#[tokio::test(start_paused = true)]
async fn a_silent_dialler_is_closed_in_time() {
    within(async {
        let world = World::new();
        let link = dial(&world.raw).await;
        assert!(matches!(link.closed().await, ConnectionError::ClosedByPeer { .. }));
        assert_eq!(world.engine.now().since_origin().as_secs(), 50);
    })
    .await;
}

/// P-02, P-19, row F-52: without a common version the answer is Unwelcome, and the connection is closed.
#[tokio::test(start_paused = true)]
async fn a_dialler_of_another_version_is_turned_away() {
    within(async {
        let world = World::new();
        let link = dial(&world.raw).await;
        let HelloMessage::Hello(mut newer) = hello(Lane::Control, 1) else { unreachable!() };
        newer.minors = (Minor(900), Minor(901));
        let answer = greet(&link, HelloMessage::Hello(newer)).await.unwrap();
        let Some(HelloMessage::Unwelcome(no)) = answer else { panic!("{answer:?}") };
        assert_eq!(no.code, Code::Incompatible);
        assert!(matches!(link.closed().await, ConnectionError::ClosedByPeer { .. }));
    })
    .await;
}

/// P-06, P-02: an older boot of a known node is turned away, and its connection is closed.
#[tokio::test(start_paused = true)]
async fn an_older_boot_is_turned_away() {
    within(async {
        let world = World::new();
        let newer = dial(&world.raw).await;
        greet(&newer, hello(Lane::Control, 5)).await.unwrap();
        let older = dial(&world.raw).await;
        let answer = greet(&older, hello(Lane::Bulk, 4)).await.unwrap();
        let Some(HelloMessage::Unwelcome(no)) = answer else { panic!("{answer:?}") };
        assert!(no.reason.as_str().contains("newer boot (5)"), "{no:?}");
        assert!(matches!(older.closed().await, ConnectionError::ClosedByPeer { .. }));
        is_open(&newer).await;
    })
    .await;
}

/// P-06: a newer boot replaces the connections of the older one, and fails its sessions.
#[tokio::test(start_paused = true)]
async fn a_newer_boot_replaces_the_older_one() {
    within(async {
        let world = World::new();
        fill(&world.store, &shard(0));
        let old = world.receiver(vec![shard(0)]).await;
        assert_eq!(world.engine.sessions(), 1);
        let link = dial(&world.raw).await;
        let answer = greet(&link, hello(Lane::Control, 2)).await;
        assert!(matches!(answer, Ok(Some(HelloMessage::Welcome(_)))));
        for replaced in [&old.link, &old.bulk] {
            let ConnectionError::ClosedByPeer { reason, .. } = replaced.closed().await else { panic!() };
            assert!(reason.contains("newer boot"), "{reason}");
        }
        settle().await;
        assert_eq!(world.engine.sessions(), 0);
        let ended = world.engine.plans().remove(0).shards.remove(0).outcome.unwrap().to_string();
        assert!(ended.contains("peer probably down"), "{ended}");
        let mut fresh = init(0);
        fresh.incarnation.0 = 2;
        let mut control = Control::open(&link, CONTROL, &Message::Init(fresh)).await;
        assert!(matches!(control.heard().await, Message::InitAck(_)), "the newer boot is served");
    })
    .await;
}

/// P-11, P-14, row C07: bytes on a control stream that are no message fail the session with Protocol, and
/// the peer is told; nothing else is touched.
#[tokio::test(start_paused = true)]
async fn a_session_of_garbage_fails_alone() {
    within(async {
        let world = World::new();
        fill(&world.store, &shard(0));
        let mut session = world.receiver(vec![shard(0)]).await;
        let bystander = Message::Init(init(1));
        let mut bystander = Control::open(&session.link, CONTROL, &bystander).await;
        assert!(matches!(bystander.heard().await, Message::InitAck(_)));
        session.control.write(vec![3, 0, 0, 0, 255, 255, 255]).await;
        let Message::Abort(abort) = session.control.heard().await else { panic!("not told") };
        assert_eq!(abort.code, Code::Protocol);
        settle().await;
        assert_eq!(world.engine.sessions(), 1);
        bystander.say(&prepare(vec![shard(0)])).await;
        assert!(matches!(bystander.heard().await, Message::PrepareAck(_)));
    })
    .await;
}

/// P-25, row C07: a message that has no place in the state fails its session with Protocol.
#[tokio::test(start_paused = true)]
async fn a_message_out_of_order_fails_its_session() {
    within(async {
        let world = World::new();
        fill(&world.store, &shard(0));
        let mut session = world.receiver(vec![shard(0)]).await;
        session.control.say(&prepare(vec![shard(0)])).await;
        let Message::Abort(abort) = session.control.heard().await else { panic!("not told") };
        assert_eq!(abort.code, Code::Protocol);
        settle().await;
        assert_eq!(world.engine.sessions(), 0);
        is_open(&session.link).await;
    })
    .await;
}

/// Row C16: a donor that takes no session is given up in time, and the outcome says what it waited for.
#[tokio::test(start_paused = true)]
async fn a_donor_that_never_answers_init_is_given_up() {
    within(async {
        let (world, content) = (World::new(), store());
        fill(&content, &shard(0));
        let _donor = Donor::start(&world, &content, |_, _: Vec<Reply>| Vec::new()).await;
        let outcome = world.bring_up().await.shards.remove(0).outcome.to_string();
        assert!(outcome.contains("raw") && outcome.contains("still in state Init"), "{outcome}");
        assert!(world.engine.now().since_origin().as_secs() < 120, "three times 30 s, and the waits");
        world.raw.close().await;
    })
    .await;
}
