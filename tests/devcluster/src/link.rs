//! A way to a node that carries so many bytes a second and no more.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{Error, Result, Running};

/// The largest datagram.
const DATAGRAM_MAX: usize = 65_535;
/// How far the link may run ahead before it waits: shorter waits are not worth a system call.
const STEP: Duration = Duration::from_millis(1);
/// How much of a time without traffic, or of a wait that took too long, is made up for.
const CREDIT: Duration = Duration::from_millis(5);
/// How often a link without traffic looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(50);

/// A link to one node for one peer: what the node sends waits for its turn in the buffer of a socket,
/// and is lost beyond it, as it is at a port of a switch. What the peer sends passes at once. The link
/// goes away when it is dropped.
#[derive(Debug)]
pub struct CappedLink {
    node: String,
    addr: SocketAddr,
    over: Arc<AtomicBool>,
}

/// Both ends of a link.
struct Ends {
    /// Faces the peer, which is whoever sent last.
    front: UdpSocket,
    peer: Mutex<Option<SocketAddr>>,
    /// Faces the node.
    back: UdpSocket,
    over: Arc<AtomicBool>,
}

impl CappedLink {
    /// A link that carries this many bytes of datagrams a second from a node to its peer.
    ///
    /// # Errors
    ///
    /// If the system has no socket for it.
    pub fn to(node: &Running, bytes_per_sec: u64) -> Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let (front, back) = (socket()?, socket()?);
        let addr = front.local_addr().map_err(Error::at("link"))?;
        back.connect(node.addr()).map_err(Error::at("link"))?;
        let ends = Arc::new(Ends { front, peer: Mutex::new(None), back, over: over.clone() });
        let up = ends.clone();
        std::thread::spawn(move || up.carry_up());
        std::thread::spawn(move || ends.carry_down(bytes_per_sec));
        Ok(Self { node: node.dir().name.clone(), addr, over })
    }

    /// The piece of config that makes the node a peer of another one, across this link.
    pub fn as_peer(&self) -> String {
        format!("[[peer]]\nnode = \"{}\"\naddr = \"{}\"\n", self.node, self.addr)
    }
}

impl Drop for CappedLink {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl Ends {
    fn carry_up(&self) {
        let mut datagram = vec![0; DATAGRAM_MAX];
        while !self.over.load(Ordering::Relaxed) {
            // Nothing has come for a while, or the node is gone and the system says so.
            let Ok((len, from)) = self.front.recv_from(&mut datagram) else { continue };
            *self.peer.lock().unwrap_or_else(PoisonError::into_inner) = Some(from);
            // What cannot be sent is lost, as datagrams are.
            self.back.send(&datagram[..len]).ok();
        }
    }

    fn carry_down(&self, bytes_per_sec: u64) {
        let mut datagram = vec![0; DATAGRAM_MAX];
        let mut free_at = now();
        while !self.over.load(Ordering::Relaxed) {
            let Ok(len) = self.back.recv(&mut datagram) else { continue };
            free_at =
                free_at.max(now() - CREDIT) + Duration::from_secs_f64(len as f64 / bytes_per_sec as f64);
            while let Some(wait) = free_at.checked_duration_since(now()).filter(|wait| *wait > STEP) {
                std::thread::park_timeout(wait);
            }
            let peer = *self.peer.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(peer) = peer {
                self.front.send_to(&datagram[..len], peer).ok();
            }
        }
    }
}

fn socket() -> Result<UdpSocket> {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).map_err(Error::at("link"))?;
    socket.set_read_timeout(Some(LOOK)).map_err(Error::at("link"))?;
    Ok(socket)
}

#[expect(clippy::disallowed_methods, reason = "a link between real processes takes real time")]
fn now() -> Instant {
    Instant::now()
}
