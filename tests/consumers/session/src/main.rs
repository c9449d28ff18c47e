//! Runs both ends of a session against each other, without a network, and prints what they say.
//!
//! `cargo run -- FILE` also writes the initiator's control stream to a file, for `../wire` to print.

mod script;

use std::error::Error;

use bytes::{BufMut, BytesMut};
use peerstream_session::{Config, Session, State};
use peerstream_types::{ByteCount, Timestamp};
use peerstream_wire::{StreamKind, frame};

fn main() -> Result<(), Box<dyn Error>> {
    let now = Timestamp::ZERO; // nothing waits here
    let mut replica = Session::initiate(now, Config::default(), script::peer_of_replica()?, script::init()?);
    let mut donor = Session::follow(now, Config::default(), script::peer_of_donor()?);
    let mut transcript = Vec::new();
    let mut capture = BytesMut::new();
    capture.put_u8(StreamKind::Control.byte());

    // One message at a time; what it causes is dealt with before the next one.
    loop {
        if let Some(message) = replica.poll_transmit() {
            println!("{now} replica -> donor   {message:?}");
            transcript.push(message.name());
            frame::encode(&message, &mut capture)?;
            donor.handle_message(now, message)?;
        } else if let Some(message) = donor.poll_transmit() {
            println!("{now} replica <- donor   {message:?}");
            transcript.push(message.name());
            replica.handle_message(now, message)?;
        } else {
            break;
        }
        while let Some(event) = replica.poll_event() {
            script::replica(now, &mut replica, event)?;
        }
        while let Some(event) = donor.poll_event() {
            script::donor(now, &mut donor, event)?;
        }
    }

    assert_eq!((replica.state(), donor.state()), (State::Completed, State::Completed));
    assert_eq!(transcript[..4], ["Init", "InitAck", "Prepare", "PrepareAck"]);
    assert_eq!(replica.stats().stored, ByteCount(script::BYTES));
    if let Some(file) = std::env::args().nth(1) {
        std::fs::write(file, &capture)?;
    }
    Ok(())
}
