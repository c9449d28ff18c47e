//! An echo between two nodes of a cluster over mutual TLS, and a stranger who is turned away.
//!
//! For another protocol than ours over the same connections: both ends are authenticated before a
//! byte of it flows. Ports are the system's choice.

mod member;

use std::error::Error;

use peerstream_quic::{CertificateAuthority, QuicTransport};
use peerstream_transport::{ConnectError, Lane, RecvStreamExt, SendStreamExt, Target, Transport};
use peerstream_types::{ClusterName, NodeId, WallClock};

use member::{SystemClock, start};

/// Most bytes of a message that is echoed.
const MESSAGE_MAX: usize = 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = ClusterName::new("demo.internal")?;
    let ca = CertificateAuthority::init(&cluster, 365, SystemClock.unix_ms())?;
    let (client, server) = (start(&ca, "client")?, start(&ca, "server")?);
    let target = Target { addr: server.local_addr(), node: Some(NodeId::new("server")?) };
    tokio::spawn(async move { echo(&server).await.expect("the server serves whoever belongs here") });

    let connection = client.connect(&target, Lane::Control).await?;
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all("who am I?".into()).await?;
    send.finish()?;
    let mut answer = Vec::new();
    while let Some(part) = recv.read(MESSAGE_MAX).await? {
        answer.extend_from_slice(&part);
    }
    assert_eq!(String::from_utf8(answer)?, "client.demo.internal: who am I?");

    // Same cluster name, same node name, but another CA: neither end trusts the other.
    let stranger = start(&CertificateAuthority::init(&cluster, 365, SystemClock.unix_ms())?, "client")?;
    let refused = stranger.connect(&target, Lane::Control).await.err().ok_or("a stranger came in")?;
    assert!(matches!(refused, ConnectError::Untrusted { .. }), "{refused}");
    println!("echoed to {}; a stranger heard: {refused}", connection.peer());
    Ok(())
}

/// Sends every message back, after the name of whom it is from.
async fn echo(server: &QuicTransport) -> Result<(), Box<dyn Error>> {
    while let Some(connection) = server.accept().await {
        let (mut send, mut recv) = connection.accept_bi().await?;
        send.write_all(format!("{}: ", connection.peer()).into()).await?;
        while let Some(part) = recv.read(MESSAGE_MAX).await? {
            send.write_all(part).await?;
        }
        send.finish()?;
        connection.closed().await;
    }
    Ok(())
}
