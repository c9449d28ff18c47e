//! A data stream towards the peer.

use bytes::Bytes;
use peerstream_shape::shaper::WRITE_LEN_MAX;
use peerstream_shape::{Charge, Direction};
use peerstream_transport::{Lane, SendStream, SendStreamExt};
use peerstream_wire::data::DataHeaderV1;
use peerstream_wire::{DataHeader, Extensions, StreamKind};

use super::{Serve, ServeError};
use crate::io::{IoError, open_kind};
use crate::peers::reach;

/// A data stream that charges the shaper for every write.
pub(super) struct Outgoing<'a> {
    serve: &'a Serve,
    send: Box<dyn SendStream>,
}

impl<'a> Outgoing<'a> {
    /// Opens the stream that answers the request, on whatever bulk connection there is.
    pub(super) async fn open(serve: &'a Serve, kind: StreamKind) -> Result<Self, ServeError> {
        let id = &serve.session.id;
        let link = reach(&serve.shared, &id.peer, Lane::Bulk).await.map_err(|unreached| unreached.why)?;
        let opened = in_time(serve, link.connection.open_uni()).await?;
        let mut send = opened.map_err(crate::peers::ReachError::from)?;
        let header = DataHeader::V1(DataHeaderV1 {
            plan: id.plan,
            index: id.index,
            sender: id.role,
            request: serve.request,
            extensions: Extensions::default(),
        });
        in_time(serve, open_kind(&mut *send, kind, &header)).await??;
        Ok(Self { serve, send })
    }

    /// Writes bytes in pieces of at most 64 KiB, each charged before it is written.
    pub(super) async fn write(&mut self, mut bytes: Bytes) -> Result<(), ServeError> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(WRITE_LEN_MAX));
            let charge = Charge {
                class: self.serve.class,
                direction: Direction::Send,
                peer: Some(&self.serve.session.id.peer),
                bytes: piece.len() as u64,
            };
            if let Some(wait) = self.serve.shared.parts.shaper.charge(&charge) {
                wait.await;
            }
            in_time(self.serve, self.send.write_all(piece)).await?.map_err(IoError::from)?;
        }
        Ok(())
    }

    /// Ends the stream.
    pub(super) fn finish(mut self) -> Result<(), ServeError> {
        Ok(self.send.finish().map_err(IoError::from)?)
    }
}

/// Waits for the peer to take something, but not for ever. Too late, the stream is dropped, and so
/// reset.
async fn in_time<T>(serve: &Serve, taken: impl Future<Output = T>) -> Result<T, ServeError> {
    let limit = serve.shared.config.serve_timeout;
    tokio::time::timeout(limit, taken).await.map_err(|_| ServeError::Slow(limit))
}
