//! The first byte of every stream.

use crate::WireError;

/// What a stream carries. Later crates add kinds, not connections; numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum StreamKind {
    /// Both directions, once per connection: [`HelloMessage`](crate::HelloMessage) frames.
    Hello = 0,
    /// Both directions, one per session: [`Message`](crate::Message) frames.
    Control = 1,
    /// One direction: a [`DataHeader`](crate::DataHeader), then records.
    Records = 2,
    /// One direction: a [`DataHeader`](crate::DataHeader), then [`InventoryPage`](crate::InventoryPage) frames, or
    /// one [`InventoryRun`](crate::InventoryRun).
    Inventory = 3,
    /// One direction: a [`DataHeader`](crate::DataHeader), then raw chaining values of 32 bytes.
    Outline = 4,
    /// Reserved: manifest feeds of continuous replication.
    Feed = 5,
    /// Reserved: the record log.
    Log = 6,
    /// Reserved: stream queries.
    Query = 7,
    /// Reserved: gossip.
    Gossip = 8,
    /// One direction: a [`DataHeader`](crate::DataHeader), then one [`TreeNodes`](crate::TreeNodes).
    Tree = 9,
}

impl StreamKind {
    /// Every kind, in wire order.
    pub const ALL: [Self; 10] = [
        Self::Hello,
        Self::Control,
        Self::Records,
        Self::Inventory,
        Self::Outline,
        Self::Feed,
        Self::Log,
        Self::Query,
        Self::Gossip,
        Self::Tree,
    ];

    /// The byte that opens a stream of this kind.
    pub fn byte(self) -> u8 {
        self as u8
    }
}

impl TryFrom<u8> for StreamKind {
    type Error = WireError;
    fn try_from(byte: u8) -> Result<Self, WireError> {
        Self::ALL.get(usize::from(byte)).copied().ok_or(WireError::UnknownStreamKind(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_from_its_byte() {
        for kind in StreamKind::ALL {
            assert_eq!(StreamKind::try_from(kind.byte()), Ok(kind));
        }
        assert_eq!(StreamKind::try_from(10), Err(WireError::UnknownStreamKind(10)));
    }
}
