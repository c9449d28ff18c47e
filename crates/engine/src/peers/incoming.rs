//! Streams that a peer opens on a greeted connection.

use std::sync::Arc;

use peerstream_transport::{BiStream, Lane, RecvStream};
use peerstream_types::SessionId;
use peerstream_wire::{Code, DataHeader, Message, StreamKind};
use tracing::debug;

use super::Link;
use crate::io::{ControlStream, IoError, StreamReader};
use crate::session::{DataStream, adopt};
use crate::shared::Shared;

/// Takes streams of a connection until it ends. How many a peer may have open is the transport's
/// limit; each costs one task until its header is read.
pub(super) fn spawn(shared: &Arc<Shared>, link: Link) {
    let (for_bi, for_uni) = (shared.clone(), shared.clone());
    let bi = link.clone();
    tokio::spawn(async move {
        while let Ok(stream) = bi.connection.accept_bi().await {
            tokio::spawn(control_stream(for_bi.clone(), bi.clone(), stream));
        }
    });
    tokio::spawn(async move {
        while let Ok(stream) = link.connection.accept_uni().await {
            tokio::spawn(data_stream(for_uni.clone(), link.clone(), stream));
        }
        for_uni.peers.sweep();
    });
}

async fn control_stream(shared: Arc<Shared>, link: Link, (mut send, recv): BiStream) {
    let mut reader = StreamReader::new(recv);
    match first_init(&shared, &link, &mut reader).await {
        Ok(init) => adopt(&shared, link, ControlStream::new(send, reader), init),
        Err(error) => {
            debug!(peer = %link.connection.peer(), %error, "a control stream was not taken");
            reader.stop(u32::from(Code::Protocol.number()));
            send.reset(u32::from(Code::Protocol.number()));
        }
    }
}

async fn first_init(shared: &Shared, link: &Link, reader: &mut StreamReader) -> Result<Message, IoError> {
    // P-03, P-04: control never shares a connection with bulk bytes.
    if link.lane != Lane::Control {
        return Err(IoError::WrongLane);
    }
    let first = async {
        if reader.kind().await? != Some(StreamKind::Control) {
            return Err(IoError::Ended("a control stream"));
        }
        reader.frame::<Message>().await?.ok_or(IoError::Ended("a control stream"))
    };
    let limit = shared.config.connect_timeout;
    let message =
        tokio::time::timeout(limit, first).await.map_err(|_| IoError::Ended("waiting for Init"))??;
    if !matches!(message, Message::Init(_)) {
        return Err(IoError::Ended("a control stream without Init"));
    }
    Ok(message)
}

/// Hands a data stream to the request that waits for it. One that nobody waits for is late or
/// foreign: it is stopped unread, which costs nobody anything (rows C04, C18).
async fn data_stream(shared: Arc<Shared>, link: Link, recv: Box<dyn RecvStream>) {
    let peer = link.node().clone();
    let mut reader = StreamReader::new(recv);
    if link.lane != Lane::Bulk {
        debug!(%peer, "a data stream on a control connection was stopped");
        return reader.stop(u32::from(Code::Protocol.number()));
    }
    let limit = shared.config.connect_timeout;
    let header = tokio::time::timeout(limit, async {
        let kind = reader.kind().await?.ok_or(IoError::Ended("a data stream"))?;
        let header = reader.frame::<DataHeader>().await?.ok_or(IoError::Ended("a data stream"))?;
        Ok::<_, IoError>((kind, header))
    });
    let Ok(Ok((kind, DataHeader::V1(header)))) = header.await else {
        debug!(%peer, "a data stream without a header was stopped");
        return reader.stop(u32::from(Code::Protocol.number()));
    };
    let id = SessionId { plan: header.plan, peer, index: header.index, role: header.sender.other() };
    let stream = DataStream { kind, reader };
    if let Err(mut unwanted) = shared.sessions.deliver(&id, header.request, stream) {
        debug!(session = %id, request = %header.request, "a data stream that nobody waits for was stopped");
        unwanted.reader.stop(u32::from(Code::NotFound.number()));
    }
}
