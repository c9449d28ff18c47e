//! What happens to the network of a running simulation.

use std::net::SocketAddr;
use std::time::Duration;

use peerstream_types::{ByteRate, NodeId};

use super::SimWorld;
use crate::network::LinkSpec;
use crate::node::SimNode;

/// Something that stands for a node of a running simulation: the node, its name, or its address.
pub trait Place {
    /// Where it is, and what the trace calls it.
    ///
    /// # Panics
    ///
    /// If no node of this name was ever started.
    fn place(&self, world: &SimWorld) -> (SocketAddr, String);
}

impl Place for SimNode {
    fn place(&self, _world: &SimWorld) -> (SocketAddr, String) {
        (self.addr, self.id.to_string())
    }
}

impl Place for NodeId {
    fn place(&self, world: &SimWorld) -> (SocketAddr, String) {
        let node = world.node(self).unwrap_or_else(|| panic!("there is no node {self}"));
        node.place(world)
    }
}

impl Place for SocketAddr {
    fn place(&self, _world: &SimWorld) -> (SocketAddr, String) {
        (*self, self.to_string())
    }
}

/// Links, caps, zones and cuts. Everything works at once, also on what is under way, and is noted in
/// the trace. Nodes that crash and come back find what was said of them before.
impl SimWorld {
    /// Parts two nodes, until [`SimWorld::heal`]. Over QUIC they find out by themselves; in memory
    /// their connections fail at once.
    pub fn cut(&self, a: &impl Place, b: &impl Place) {
        let ((a, a_name), (b, b_name)) = (a.place(self), b.place(self));
        self.0.trace.note(&a_name, format_args!("cut from {b_name}"));
        self.0.net.cut(a, b);
    }

    /// Lets nothing through from one node to another, until [`SimWorld::heal`]; the other direction
    /// works. In memory, what is sent waits, dials fail either way, and connections are lost after
    /// 30 s, as they are over QUIC.
    pub fn cut_one_way(&self, from: &impl Place, to: &impl Place) {
        let ((from, from_name), (to, to_name)) = (from.place(self), to.place(self));
        self.0.trace.note(&from_name, format_args!("cut on the way to {to_name}"));
        self.0.net.cut_one_way((from, to));
    }

    /// Lets two nodes reach each other again, both ways.
    pub fn heal(&self, a: &impl Place, b: &impl Place) {
        let ((a, a_name), (b, b_name)) = (a.place(self), b.place(self));
        self.0.trace.note(&a_name, format_args!("healed with {b_name}"));
        self.0.net.heal(a, b);
    }

    /// Cuts and heals two nodes by turns, `times` times, each half of a `period` long. They can reach
    /// each other in the end.
    pub fn flap(&self, a: &impl Place, b: &impl Place, period: Duration, times: u32) {
        let ((a, a_name), (b, b_name)) = (a.place(self), b.place(self));
        self.0.trace.note(&a_name, format_args!("flaps with {b_name}, {times} times every {period:?}"));
        let world = self.clone();
        tokio::spawn(async move {
            for _ in 0..times {
                world.0.net.cut(a, b);
                tokio::time::sleep(period / 2).await;
                world.0.net.heal(a, b);
                tokio::time::sleep(period / 2).await;
            }
        });
    }

    /// Changes both directions between two nodes.
    pub fn shape(&self, a: &impl Place, b: &impl Place, link: LinkSpec) {
        let ((a, a_name), (b, b_name)) = (a.place(self), b.place(self));
        self.0.trace.note(&a_name, format_args!("to and from {b_name}: {link}"));
        self.0.net.with_paths(|paths| {
            paths.shape((a, b), link);
            paths.shape((b, a), link);
        });
    }

    /// Changes one direction between two nodes.
    pub fn shape_one_way(&self, from: &impl Place, to: &impl Place, link: LinkSpec) {
        let ((from, from_name), (to, to_name)) = (from.place(self), to.place(self));
        self.0.trace.note(&from_name, format_args!("to {to_name}: {link}"));
        self.0.net.with_paths(|paths| paths.shape((from, to), link));
    }

    /// Limits what a node sends and receives: all its links share it. A cap holds 50 ms of its rate
    /// and at least 64 KiB; then datagrams are lost, and streams wait.
    /// [`UNLIMITED`](crate::UNLIMITED) ends it.
    pub fn cap(&self, node: &impl Place, up: ByteRate, down: ByteRate) {
        let (addr, name) = node.place(self);
        self.0.trace.note(&name, format_args!("capped at {up} up, {down} down"));
        self.0.net.cap(addr, up, down);
    }

    /// Puts a node into a zone.
    pub fn zone(&self, node: &impl Place, zone: &str) {
        let (addr, name) = node.place(self);
        self.0.trace.note(&name, format_args!("in zone {zone}"));
        self.0.net.with_paths(|paths| paths.zone(addr, zone));
    }

    /// Says what links between nodes of two zones are like, both ways, unless two nodes have one of
    /// their own; the two may be the same. Nodes without a zone have the links of the run.
    pub fn shape_zones(&self, a: &str, b: &str, link: LinkSpec) {
        self.0.trace.note("network", format_args!("zone {a} to and from zone {b}: {link}"));
        self.0.net.with_paths(|paths| {
            paths.shape_zones(a, b, link);
            paths.shape_zones(b, a, link);
        });
    }
}
