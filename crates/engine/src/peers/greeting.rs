//! Hello and its answer, once per connection.

use bytes::{BufMut, BytesMut};
use peerstream_transport::{Connection, Lane, SendStreamExt};
use peerstream_types::Incarnation;
use peerstream_wire::hello::{self, HelloV1, UnwelcomeV1, WelcomeV1};
use peerstream_wire::{Code, Extensions, Features, HelloMessage, Minor, StreamKind, Text, frame};

use super::ReachError;
use crate::io::{IoError, StreamReader, write_frame};

/// Says Hello on a connection that this node dialled, and waits for the answer: only then is the
/// peer known to accept this node's certificate.
pub(super) async fn greet(
    connection: &dyn Connection,
    lane: Lane,
    incarnation: Incarnation,
) -> Result<Incarnation, ReachError> {
    let said = say_hello(connection, lane, incarnation).await;
    said.map_err(|error| {
        // The reason that the connection gives says more than the stream's.
        let closed = connection.close_reason().filter(|_| matches!(error, ReachError::Greeting(_)));
        closed.map_or(error, ReachError::Lost)
    })
}

async fn say_hello(
    connection: &dyn Connection,
    lane: Lane,
    incarnation: Incarnation,
) -> Result<Incarnation, ReachError> {
    let (mut send, recv) = connection.open_bi().await?;
    let hello = HelloMessage::Hello(HelloV1 {
        minors: (Minor::OLDEST, Minor::NEWEST),
        features: Features::OURS,
        incarnation,
        lane: to_wire(lane),
        extensions: Extensions::default(),
    });
    let mut out = BytesMut::new();
    out.put_u8(StreamKind::Hello.byte());
    frame::encode(&hello, &mut out).map_err(IoError::from)?;
    send.write_all(out.freeze()).await.map_err(IoError::from)?;
    send.finish().map_err(IoError::from)?;
    match StreamReader::new(recv).frame::<HelloMessage>().await? {
        Some(HelloMessage::Welcome(welcome)) => Ok(welcome.incarnation),
        Some(HelloMessage::Unwelcome(no)) => {
            Err(ReachError::Unwelcome { code: no.code, reason: no.reason.to_string() })
        }
        Some(HelloMessage::Hello(_)) | None => Err(IoError::Ended("the answer to our greeting").into()),
    }
}

/// What a peer said in its Hello.
pub(super) struct Greeted {
    pub(super) lane: Lane,
    pub(super) incarnation: Incarnation,
    answer: Box<dyn peerstream_transport::SendStream>,
    minor: Minor,
    features: Features,
}

/// Takes the Hello on a connection that a peer dialled.
pub(super) async fn take_hello(connection: &dyn Connection) -> Result<Greeted, ReachError> {
    let (mut answer, recv) = connection.accept_bi().await?;
    let mut reader = StreamReader::new(recv);
    if reader.kind().await? != Some(StreamKind::Hello) {
        return Err(IoError::Ended("the greeting").into());
    }
    let Some(HelloMessage::Hello(hello)) = reader.frame::<HelloMessage>().await? else {
        return Err(IoError::Ended("the greeting").into());
    };
    let Some(minor) = Minor::common((Minor::OLDEST, Minor::NEWEST), hello.minors) else {
        let reason = format!("we speak {} to {}", Minor::OLDEST, Minor::NEWEST);
        return Err(unwelcome(&mut *answer, Code::Incompatible, &reason).await);
    };
    let features = hello.features.common(Features::OURS);
    Ok(Greeted { lane: from_wire(hello.lane), incarnation: hello.incarnation, answer, minor, features })
}

impl Greeted {
    /// Answers yes.
    pub(super) async fn welcome(mut self, incarnation: Incarnation) -> Result<(), ReachError> {
        let Self { minor, features, .. } = self;
        let welcome = WelcomeV1 { minor, features, incarnation, extensions: Extensions::default() };
        write_frame(&mut *self.answer, &HelloMessage::Welcome(welcome)).await?;
        Ok(self.answer.finish().map_err(IoError::from)?)
    }

    /// Answers no: an error, after which the connection is closed.
    pub(super) async fn turn_away(mut self, code: Code, reason: &str) -> ReachError {
        unwelcome(&mut *self.answer, code, reason).await
    }
}

/// Tells the peer that it is not welcome; the error that says the same here.
async fn unwelcome(
    answer: &mut dyn peerstream_transport::SendStream,
    code: Code,
    reason: &str,
) -> ReachError {
    match refuse(answer, code, reason).await {
        Ok(()) => ReachError::Unwelcome { code, reason: reason.to_owned() },
        Err(error) => error,
    }
}

async fn refuse(
    answer: &mut dyn peerstream_transport::SendStream,
    code: Code,
    reason: &str,
) -> Result<(), ReachError> {
    let no = UnwelcomeV1 { code, reason: Text::cut(reason) };
    write_frame(answer, &HelloMessage::Unwelcome(no)).await?;
    answer.finish().map_err(IoError::from)?;
    // The connection is closed next; wait until the peer has read why.
    answer.stopped().await.map_err(IoError::from)?;
    Ok(())
}

fn to_wire(lane: Lane) -> hello::Lane {
    match lane {
        Lane::Control => hello::Lane::Control,
        Lane::Bulk => hello::Lane::Bulk,
    }
}

fn from_wire(lane: hello::Lane) -> Lane {
    match lane {
        hello::Lane::Control => Lane::Control,
        hello::Lane::Bulk => Lane::Bulk,
    }
}
