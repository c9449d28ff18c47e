//! Prints a captured control stream, message by message.
//!
//! `cargo run -- FILE`, where the file holds the bytes of one stream as they came off the wire;
//! without a file, the capture beside this crate, whose messages are known.

use std::error::Error;

use peerstream_wire::{FrameDecoder, Message, StreamKind};

/// What the initiator of a bootstrap said; `../session` writes it.
const CAPTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/control.stream");

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1);
    let stream = std::fs::read(file.as_deref().unwrap_or(CAPTURE))?;
    let messages = decode(&stream)?;
    for (number, message) in messages.iter().enumerate() {
        println!("{number:>4} {message:?}");
    }
    if file.is_none() {
        let names: Vec<_> = messages.iter().map(Message::name).collect();
        assert_eq!(names, ["Init", "Prepare", "Fetch", "Received", "Release", "Complete"]);
        assert!(decode(&stream[..stream.len() - 1]).is_err(), "a stream that was cut is no whole one");
    }
    Ok(())
}

/// The messages of a control stream: one byte for its kind, then frames.
fn decode(stream: &[u8]) -> Result<Vec<Message>, Box<dyn Error>> {
    let (kind, frames) = stream.split_first().ok_or("the capture is empty")?;
    let kind = StreamKind::try_from(*kind)?;
    if kind != StreamKind::Control {
        return Err(format!("a {kind:?} stream is no control stream").into());
    }
    let mut decoder = FrameDecoder::<Message>::new();
    let mut messages = Vec::new();
    // A socket would cut the stream anywhere, too.
    for part in frames.chunks(16) {
        decoder.push(part);
        while let Some(message) = decoder.next_frame()? {
            messages.push(message);
        }
    }
    decoder.finish()?;
    Ok(messages)
}
