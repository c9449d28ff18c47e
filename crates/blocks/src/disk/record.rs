//! One change of a shard as it stands in its log.

use bytes::{BufMut, Bytes, BytesMut};
use peerstream_snapshot::content::digest_of_whole;
use peerstream_types::EntryKey;
use serde::{Deserialize, Serialize};

use crate::medium::{Change, Facts, Head};

/// Bytes of a checksum.
pub(super) const CHECK_LEN: usize = 16;
/// Bytes before a body: its length and the checksum.
pub(super) const PREFIX_LEN: usize = 4 + CHECK_LEN;
/// Bytes before the encoded record in a body: its length.
const HEAD_PREFIX_LEN: usize = 4;

/// Covers everything in a log up to the end of a record.
pub(super) type Check = [u8; CHECK_LEN];

/// A change without the contents, which follow it in the log in the order of their heads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) changes: Vec<(EntryKey, Option<Head>)>,
    pub(super) facts: Option<Facts>,
}

pub(super) fn check_of(bytes: &[u8]) -> Check {
    *digest_of_whole(bytes).as_bytes().first_chunk().expect("a digest has 32 bytes")
}

/// The bytes of a change after `before`, its own checksum, and where in the bytes its contents begin.
pub(super) fn encode(
    before: &Check,
    changes: Vec<Change>,
    facts: Option<Facts>,
) -> (Record, Bytes, Check, usize) {
    let (mut heads, mut contents) = (Vec::new(), Vec::new());
    for (key, block) in changes {
        let (head, content) = block.unzip();
        heads.push((key, head));
        contents.extend(content);
    }
    let record = Record { changes: heads, facts };
    let encoded = postcard::to_stdvec(&record).expect("records are made of numbers and bytes");
    let contents_at = PREFIX_LEN + HEAD_PREFIX_LEN + encoded.len();
    let len = contents_at + contents.iter().map(Bytes::len).sum::<usize>();
    let length = |len: usize| u32::try_from(len).expect("a step is a few MiB");
    let mut bytes = BytesMut::with_capacity(len);
    bytes.put_u32(length(len - PREFIX_LEN));
    bytes.put_slice(before);
    bytes.put_u32(length(encoded.len()));
    bytes.put_slice(&encoded);
    contents.iter().for_each(|content| bytes.put_slice(content));
    let check = check_of(&bytes[4..]);
    bytes[4..PREFIX_LEN].copy_from_slice(&check);
    (record, bytes.freeze(), check, contents_at)
}

/// Reads a record after `before` from its prefix and body; also where in the body its contents begin.
/// `None` if it is not whole.
pub(super) fn decode(before: &Check, prefix: &[u8], body: &[u8]) -> Option<(Record, Check, usize)> {
    let (_, check) = prefix.split_first_chunk::<4>()?;
    if check_of(&[before.as_slice(), body].concat()) != *check {
        return None;
    }
    let (len, rest) = body.split_first_chunk::<HEAD_PREFIX_LEN>()?;
    let encoded = rest.get(..u32::from_be_bytes(*len) as usize)?;
    let record = postcard::from_bytes(encoded).ok()?;
    Some((record, check.try_into().ok()?, HEAD_PREFIX_LEN + encoded.len()))
}
