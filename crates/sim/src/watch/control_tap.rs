//! Reads along with control streams: which codes and messages were said.

use peerstream_shape::Direction;
use peerstream_wire::message::OfferV1;
use peerstream_wire::{Code, FrameDecoder, Message, StreamKind};

use crate::reach::{Group, Reach};

/// Both directions of one stream with both directions. It begins with its kind, from the end that
/// opened it; only control streams are read.
#[derive(Debug)]
pub(super) struct Control {
    /// In which direction, seen from here, the kind comes.
    kind_in: Direction,
    kind: Option<StreamKind>,
    sent: Half,
    received: Half,
}

#[derive(Debug, Default)]
struct Half {
    decoder: FrameDecoder<Message>,
    is_broken: bool,
}

impl Control {
    pub(super) fn new(is_opener: bool) -> Self {
        let kind_in = if is_opener { Direction::Send } else { Direction::Receive };
        Self { kind_in, kind: None, sent: Half::default(), received: Half::default() }
    }

    /// The next bytes in a direction; gives what is offered in them. One message is heard at both ends, if
    /// both are watched.
    pub(super) fn took(&mut self, mut bytes: &[u8], direction: Direction, reach: &mut Reach) -> Vec<OfferV1> {
        if direction == self.kind_in && self.kind.is_none() {
            let Some((kind, rest)) = bytes.split_first() else { return Vec::new() };
            self.kind = StreamKind::try_from(*kind).ok();
            bytes = rest;
        }
        if self.kind == Some(StreamKind::Control) {
            let half = if direction == Direction::Send { &mut self.sent } else { &mut self.received };
            return half.took(bytes, reach);
        }
        Vec::new()
    }
}

impl Half {
    fn took(&mut self, bytes: &[u8], reach: &mut Reach) -> Vec<OfferV1> {
        let mut offers = Vec::new();
        if self.is_broken {
            return offers;
        }
        self.decoder.push(bytes);
        loop {
            match self.decoder.next_frame() {
                Ok(Some(message)) => {
                    reach.hit(Group::Message, message.name());
                    codes_of(&message).into_iter().for_each(|code| reach.hit(Group::Code, code));
                    if let Message::PrepareAck(ack) = message {
                        offers.extend(ack.offers.iter().cloned());
                    }
                }
                Ok(None) => return offers,
                Err(_) => self.is_broken = true,
            }
            if self.is_broken {
                return offers;
            }
        }
    }
}

fn codes_of(message: &Message) -> Vec<Code> {
    match message {
        Message::Refuse(refuse) => vec![refuse.code],
        Message::PrepareAck(ack) => {
            ack.refused_requests.iter().chain(ack.refused_offers.iter()).map(|no| no.code).collect()
        }
        Message::FetchFailed(failed) => vec![failed.code],
        Message::Abort(abort) => vec![abort.code],
        Message::Init(_)
        | Message::InitAck(_)
        | Message::Prepare(_)
        | Message::InventoryRequest(_)
        | Message::TreeRequest(_)
        | Message::RunRequest(_)
        | Message::OutlineRequest(_)
        | Message::Fetch(_)
        | Message::Received(_)
        | Message::Release(_)
        | Message::Have(_)
        | Message::Complete(_)
        | Message::KeepAlive(_)
        | Message::Throttle(_)
        | Message::GoAway(_) => Vec::new(),
    }
}
