//! `raw-send` and `raw-recv`: what the transport carries with our settings and nothing above it. With
//! `--to FILE` the receiver also writes, with plain positioned writes from the task that reads.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use peerstream_engine::transport::{
    Connection, Lane, RecvStream, RecvStreamExt, SendStreamExt, Target, Transport,
};
use serde_json::json;
use tokio::time::Instant;

use crate::identity::{DONOR, REPLICA};
use crate::options::Options;
use crate::{Result, engine, identity, say, usage};

/// Bytes handed to a stream at a time: what the engine writes.
const BLOCK: usize = 64 * 1024;
/// Bytes that are gathered for one write to the file: a chunk.
const WRITE: usize = 256 * 1024;
/// Streams that share the bytes unless told otherwise.
const STREAMS: u64 = 2;
/// Each stream begins with the offset and the length of its part.
const HEADER: usize = 16;

/// Sends `--bytes` to each peer that connects, until its input ends.
pub(crate) async fn send(options: &Options) -> Result<()> {
    tokio::select! {
        ended = serve(options) => ended,
        () = crate::input_ended() => Ok(()),
    }
}

async fn serve(options: &Options) -> Result<()> {
    let bytes: u64 = options.needed("bytes")?;
    let streams = options.optional("streams")?.unwrap_or(STREAMS).max(1);
    let transport = engine::transport(options, DONOR, options.needed("listen")?)?;
    say(&json!({
        "ready": transport.local_addr().to_string(),
        "prepare_bytes": 0,
        "prepare_seconds": 0.0,
        "prepare_cpu_seconds": usage::cpu_seconds(),
    }));
    while let Some(peer) = transport.accept().await {
        let part = bytes.div_ceil(streams);
        let parts = (0..streams).map(|index| {
            let from = (index * part).min(bytes);
            tokio::spawn(send_part(peer.clone(), from, part.min(bytes - from)))
        });
        for part in parts.collect::<Vec<_>>() {
            part.await??;
        }
    }
    Ok(())
}

async fn send_part(peer: Arc<dyn Connection>, from: u64, len: u64) -> Result<()> {
    let block = Bytes::from(vec![0x5a; BLOCK]);
    let mut stream = peer.open_uni().await?;
    let header = [from.to_be_bytes(), len.to_be_bytes()].concat();
    stream.write_all(header.into()).await?;
    let mut left = len;
    while left > 0 {
        let step = left.min(BLOCK as u64);
        stream.write_all(block.slice(..usize::try_from(step)?)).await?;
        left -= step;
    }
    stream.finish()?;
    // The peer leaves as soon as it has everything, which may look like a loss from here.
    stream.stopped().await.ok();
    Ok(())
}

/// Receives all that the peer sends, and ends.
pub(crate) async fn receive(options: &Options) -> Result<()> {
    let transport = engine::transport(options, REPLICA, ([127, 0, 0, 1], 0).into())?;
    let streams = options.optional("streams")?.unwrap_or(STREAMS).max(1);
    let to = options.optional::<std::path::PathBuf>("to")?;
    let file = to.map(File::create).transpose()?.map(Arc::new);
    let target = Target { addr: options.needed("from")?, node: Some(identity::node(DONOR)?) };
    let started = Instant::now();
    let peer = transport.connect(&target, Lane::Bulk).await?;
    let mut parts = Vec::new();
    for _ in 0..streams {
        let stream = peer.accept_uni().await?;
        parts.push(tokio::spawn(receive_part(stream, file.clone())));
    }
    let mut bytes = 0;
    for part in parts {
        bytes += part.await??;
    }
    say(&json!({ "bytes": bytes, "seconds": started.elapsed().as_secs_f64() }));
    transport.close().await;
    Ok(())
}

async fn receive_part(mut stream: Box<dyn RecvStream>, file: Option<Arc<File>>) -> Result<u64> {
    let (mut at, len) = header(&mut *stream).await?;
    let mut got = 0;
    let mut gathered = BytesMut::with_capacity(WRITE);
    while let Some(bytes) = stream.read(WRITE - gathered.len()).await? {
        got += bytes.len() as u64;
        let Some(file) = &file else { continue };
        gathered.extend_from_slice(&bytes);
        if gathered.len() == WRITE || got == len {
            file.write_all_at(&gathered, at)?;
            at += gathered.len() as u64;
            gathered.clear();
        }
    }
    if got != len {
        return Err(format!("{got} of {len} bytes came").into());
    }
    Ok(got)
}

async fn header(stream: &mut dyn RecvStream) -> Result<(u64, u64)> {
    let mut header = Vec::with_capacity(HEADER);
    while header.len() < HEADER {
        let bytes = stream.read(HEADER - header.len()).await?.ok_or("a stream ended early")?;
        header.extend_from_slice(&bytes);
    }
    let (from, len) = header.split_at(8);
    Ok((u64::from_be_bytes(from.try_into()?), u64::from_be_bytes(len.try_into()?)))
}
