//! All points that any replica has.

use std::cmp::Ordering;

use bytes::{BufMut, Bytes, BytesMut};

use super::{MergeError, MergeHook};
use crate::Stamp;
use crate::limits::BLOCK_LEN_MAX;

const NAME: &str = "series-union/1";

/// Bytes of a point before its value: when, its stamp, the length of the value.
const POINT_HEAD_LEN: usize = 8 + 8 + 4;

/// A value of a series at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The moment, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// When it was written.
    pub stamp: Stamp,
    /// What was written.
    pub value: Bytes,
}

/// Takes the points of both copies; of two points at one moment that with the larger stamp, among
/// equal stamps the larger bytes.
///
/// A payload is one point after the other, at least one, strictly ascending in time: moment, stamp and
/// length of the value (8, 8 and 4 bytes, the most significant first), then the value.
#[derive(Debug, Clone, Copy, Default)]
pub struct SeriesUnion;

/// A point where it stands in its payload.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    at_ms: i64,
    stamp: Stamp,
    value: &'a [u8],
}

impl SeriesUnion {
    /// The payload of some points, in any order. Of several at one moment the merge takes one.
    ///
    /// # Errors
    ///
    /// [`MergeError::TooLong`]; [`MergeError::Malformed`] without a point.
    pub fn encode(points: &[Point]) -> Result<Bytes, MergeError> {
        let mut places: Vec<_> = points.iter().map(Place::of).collect();
        places.sort_by(|a, b| a.at_ms.cmp(&b.at_ms).then_with(|| b.rank(a)));
        places.dedup_by_key(|place| place.at_ms);
        write(&places)
    }

    /// The points of a payload, ascending in time.
    ///
    /// # Errors
    ///
    /// [`MergeError::Malformed`].
    pub fn decode(payload: &[u8]) -> Result<Vec<Point>, MergeError> {
        let places = read(payload)?;
        let point = |place: &Place<'_>| Point {
            at_ms: place.at_ms,
            stamp: place.stamp,
            value: Bytes::copy_from_slice(place.value),
        };
        Ok(places.iter().map(point).collect())
    }
}

impl<'a> Place<'a> {
    fn of(point: &'a Point) -> Self {
        Self { at_ms: point.at_ms, stamp: point.stamp, value: &point.value }
    }

    /// Which of two points at one moment stays: the greater.
    fn rank(&self, other: &Self) -> Ordering {
        (self.stamp, self.value).cmp(&(other.stamp, other.value))
    }

    fn len(&self) -> usize {
        POINT_HEAD_LEN + self.value.len()
    }
}

fn malformed(why: &'static str) -> MergeError {
    MergeError::Malformed { hook: NAME, why }
}

/// Every count in it is bounded by the bytes that are there.
fn read(mut payload: &[u8]) -> Result<Vec<Place<'_>>, MergeError> {
    let mut places: Vec<Place<'_>> = Vec::new();
    while !payload.is_empty() {
        let (place, rest) = read_one(payload).ok_or_else(|| malformed("a point is cut off"))?;
        if places.last().is_some_and(|last| last.at_ms >= place.at_ms) {
            return Err(malformed("points are repeated or out of order"));
        }
        places.push(place);
        payload = rest;
    }
    if places.is_empty() {
        return Err(malformed("it has no point"));
    }
    Ok(places)
}

fn read_one(bytes: &[u8]) -> Option<(Place<'_>, &[u8])> {
    let (at, bytes) = bytes.split_first_chunk()?;
    let (stamp, bytes) = bytes.split_first_chunk()?;
    let (len, bytes) = bytes.split_first_chunk()?;
    let (value, rest) = bytes.split_at_checked(u32::from_be_bytes(*len) as usize)?;
    let (at_ms, stamp) = (i64::from_be_bytes(*at), Stamp(u64::from_be_bytes(*stamp)));
    Some((Place { at_ms, stamp, value }, rest))
}

fn write(places: &[Place<'_>]) -> Result<Bytes, MergeError> {
    if places.is_empty() {
        return Err(malformed("it has no point"));
    }
    let len = places.iter().map(Place::len).sum();
    if len > BLOCK_LEN_MAX {
        return Err(MergeError::TooLong(len));
    }
    let mut bytes = BytesMut::with_capacity(len);
    for place in places {
        bytes.put_i64(place.at_ms);
        bytes.put_u64(place.stamp.0);
        bytes.put_u32(u32::try_from(place.value.len()).expect("a value is shorter than a block"));
        bytes.put_slice(place.value);
    }
    Ok(bytes.freeze())
}

fn union<'a>(ours: &[Place<'a>], theirs: &[Place<'a>]) -> Vec<Place<'a>> {
    let mut all = Vec::with_capacity(ours.len().max(theirs.len()));
    let (mut ours, mut theirs) = (ours.iter().peekable(), theirs.iter().peekable());
    while let (Some(our), Some(their)) = (ours.peek(), theirs.peek()) {
        match our.at_ms.cmp(&their.at_ms) {
            Ordering::Less => all.extend(ours.next()),
            Ordering::Greater => all.extend(theirs.next()),
            Ordering::Equal => {
                let both = ours.next().into_iter().chain(theirs.next());
                all.extend(both.max_by(|a, b| a.rank(b)));
            }
        }
    }
    all.extend(ours.chain(theirs));
    all
}

impl MergeHook for SeriesUnion {
    fn name(&self) -> &'static str {
        NAME
    }

    fn merge(&self, existing: Option<&[u8]>, incoming: &[u8]) -> Result<Bytes, MergeError> {
        let theirs = read(incoming)?;
        match existing {
            None => Ok(Bytes::copy_from_slice(incoming)),
            Some(existing) => write(&union(&read(existing)?, &theirs)),
        }
    }

    fn after_delete(&self, payload: &[u8], deleted: Stamp) -> Result<Option<Bytes>, MergeError> {
        let mut places = read(payload)?;
        places.retain(|place| place.stamp > deleted);
        if places.is_empty() { Ok(None) } else { write(&places).map(Some) }
    }

    fn oldest(&self, payload: &[u8]) -> Result<Stamp, MergeError> {
        let oldest = read(payload)?.iter().map(|place| place.stamp).min();
        oldest.ok_or_else(|| malformed("it has no point"))
    }
}
