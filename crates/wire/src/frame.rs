//! Length-prefixed frames: four bytes of length, little-endian, then one postcard value.

use std::marker::PhantomData;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::WireError;

const PREFIX: usize = 4;

/// A value that travels as a frame.
pub trait Framed: Serialize + DeserializeOwned {
    /// What it is called in errors.
    const WHAT: &'static str;
    /// The longest frame of any value of this type, in bytes.
    const FRAME_MAX: usize;

    /// The longest frame of a value whose encoding begins with `tag`.
    fn frame_max(_tag: u8) -> usize {
        Self::FRAME_MAX
    }

    /// Checks the rules that decoding alone does not.
    ///
    /// # Errors
    ///
    /// [`WireError::Invalid`] names the rule.
    fn validate(&self) -> Result<(), WireError>;
}

/// Appends a value to `out` as one frame.
///
/// # Errors
///
/// [`WireError::FrameTooLong`] or [`WireError::Invalid`] for a value that a peer would refuse: the
/// caller is at fault, `out` is as it was.
pub fn encode<T: Framed>(value: &T, out: &mut BytesMut) -> Result<(), WireError> {
    value.validate()?;
    let body = postcard::to_stdvec(value).map_err(|e| malformed::<T>(&e))?;
    check_len::<T>(body.len(), body.first().copied())?;
    out.reserve(PREFIX + body.len());
    out.put_u32_le(u32::try_from(body.len()).expect("frame limits are below 4 GiB"));
    out.put_slice(&body);
    Ok(())
}

/// Decodes one frame's body.
///
/// # Errors
///
/// [`WireError`] says what is wrong with it.
pub fn decode<T: Framed>(body: &[u8]) -> Result<T, WireError> {
    check_len::<T>(body.len(), body.first().copied())?;
    let (value, rest) = postcard::take_from_bytes::<T>(body).map_err(|e| malformed::<T>(&e))?;
    if !rest.is_empty() {
        return Err(WireError::Malformed { what: T::WHAT, why: format!("{} bytes follow it", rest.len()) });
    }
    value.validate()?;
    Ok(value)
}

/// Checks the length that a frame declares, before its body is read.
///
/// # Errors
///
/// [`WireError::FrameTooLong`] for more than any frame of this type may have.
pub fn check_declared<T: Framed>(len: usize) -> Result<(), WireError> {
    check_len::<T>(len, None)
}

fn malformed<T: Framed>(error: &postcard::Error) -> WireError {
    WireError::Malformed { what: T::WHAT, why: error.to_string() }
}

fn check_len<T: Framed>(len: usize, tag: Option<u8>) -> Result<(), WireError> {
    let max = tag.map_or(T::FRAME_MAX, T::frame_max);
    if len > max { Err(WireError::FrameTooLong { what: T::WHAT, len, max }) } else { Ok(()) }
}

/// Cuts a stream of bytes into frames. Holds at most one frame and what came with it: a frame that
/// declares more than its kind may have is refused before its body is kept.
#[derive(Debug)]
pub struct FrameDecoder<T> {
    buffer: BytesMut,
    frames: PhantomData<fn() -> T>,
}

impl<T: Framed> FrameDecoder<T> {
    /// An empty decoder.
    pub fn new() -> Self {
        Self { buffer: BytesMut::new(), frames: PhantomData }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, or `None` until more bytes come. After an error the stream is unusable.
    ///
    /// # Errors
    ///
    /// [`WireError`] says what is wrong with the frame.
    pub fn next_frame(&mut self) -> Result<Option<T>, WireError> {
        let Some((prefix, rest)) = self.buffer.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let len = u32::from_le_bytes(*prefix) as usize;
        check_len::<T>(len, rest.first().copied())?;
        if rest.len() < len {
            return Ok(None);
        }
        self.buffer.advance(PREFIX);
        let body = self.buffer.split_to(len);
        decode(&body).map(Some)
    }

    /// Checks that the stream ended between two frames.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`] if it did not.
    pub fn finish(&self) -> Result<(), WireError> {
        if self.buffer.is_empty() { Ok(()) } else { Err(WireError::Truncated { what: T::WHAT }) }
    }

    /// The bytes after the frames taken so far, for streams that go on with something else.
    pub fn into_rest(self) -> Bytes {
        self.buffer.freeze()
    }
}

impl<T: Framed> Default for FrameDecoder<T> {
    fn default() -> Self {
        Self::new()
    }
}
