//! One change of a shard as it stands in its log.

use bytes::{BufMut, Bytes, BytesMut};
use peerstream_snapshot::content::digest_of_whole;
use peerstream_types::EntryKey;
use serde::{Deserialize, Serialize};

use crate::limits::LOG_RECORD_LEN_MAX;
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

/// The bytes of a change after `before`, its own checksum, and where in the bytes its contents begin; the
/// length of its body if that is more than is read back.
pub(super) fn encode(
    before: &Check,
    changes: Vec<Change>,
    facts: Option<Facts>,
) -> Result<(Record, Bytes, Check, usize), usize> {
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
    if len - PREFIX_LEN > LOG_RECORD_LEN_MAX {
        return Err(len - PREFIX_LEN);
    }
    let length = |len: usize| u32::try_from(len).expect("a record is not that long");
    let mut bytes = BytesMut::with_capacity(len);
    bytes.put_u32(length(len - PREFIX_LEN));
    bytes.put_slice(before);
    bytes.put_u32(length(encoded.len()));
    bytes.put_slice(&encoded);
    contents.iter().for_each(|content| bytes.put_slice(content));
    let check = check_of(&bytes[4..]);
    bytes[4..PREFIX_LEN].copy_from_slice(&check);
    Ok((record, bytes.freeze(), check, contents_at))
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

#[cfg(test)]
mod tests {
    use peerstream_types::EntryKind;

    use super::*;

    /// What would be taken for torn when it is read back is not written.
    #[test]
    fn a_record_that_is_not_read_back_is_not_made() {
        let block = |len: usize| -> Vec<Change> {
            let head = Head::new(Vec::new(), [0; 32], len as u64, EntryKind::Block);
            vec![(EntryKey::new("k").unwrap(), Some((head, vec![0; len].into())))]
        };
        let longest = LOG_RECORD_LEN_MAX - 64;
        let (_, bytes, ..) = encode(&Check::default(), block(longest), None).unwrap();
        assert!(bytes.len() <= PREFIX_LEN + LOG_RECORD_LEN_MAX);
        let (prefix, body) = bytes.split_at(PREFIX_LEN);
        assert!(decode(&Check::default(), prefix, body).is_some());
        let len = encode(&Check::default(), block(longest + 64), None).unwrap_err();
        assert!(len > LOG_RECORD_LEN_MAX, "{len}");
    }
}
