//! What happens to the network of a running simulation.

use std::net::SocketAddr;
use std::time::Duration;

use peerstream_types::{ByteRate, NodeId};

use super::SimWorld;
use super::cuts::Left;
use crate::fault::Effect;
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
        self.cuts().part(a, b);
        self.0.net.cut(a, b, Effect::Cut);
    }

    /// Lets nothing through from one node to another, until [`SimWorld::heal`]; the other direction
    /// works. In memory, what is sent waits, dials fail either way, and connections are lost after
    /// 30 s, as they are over QUIC.
    pub fn cut_one_way(&self, from: &impl Place, to: &impl Place) {
        let ((from, from_name), (to, to_name)) = (from.place(self), to.place(self));
        self.0.trace.note(&from_name, format_args!("cut on the way to {to_name}"));
        self.cuts().cut((from, to));
        self.0.net.cut_one_way((from, to));
    }

    /// Lets two nodes reach each other again, both ways; a link that comes and goes stays.
    pub fn heal(&self, a: &impl Place, b: &impl Place) {
        let ((a, a_name), (b, b_name)) = (a.place(self), b.place(self));
        self.0.trace.note(&a_name, format_args!("healed with {b_name}"));
        let ended = self.cuts().end(a, b);
        self.0.net.heal(a, b);
        if ended {
            self.0.net.with_paths(|paths| paths.hit(Effect::Healed, (a, b)));
        }
    }

    /// Parts two nodes and ends that again by turns, `times` times, each half of a `period` long, or until
    /// [`SimWorld::heal`]. What else parts them does so still.
    pub fn flap(&self, a: &impl Place, b: &impl Place, period: Duration, times: u32) {
        let ((a, a_name), (b, b_name)) = (a.place(self), b.place(self));
        self.0.trace.note(&a_name, format_args!("flaps with {b_name}, {times} times every {period:?}"));
        let number = self.cuts().flap(a, b);
        let world = self.clone();
        let task = tokio::spawn(async move {
            for _ in 0..times {
                if world.cuts().goes_down(number) {
                    world.0.net.cut(a, b, Effect::Flapped);
                }
                tokio::time::sleep(period / 2).await;
                let left = world.cuts().comes_up(number);
                if let Left::Ways(ways) = left {
                    world.0.net.heal(a, b);
                    ways.into_iter().for_each(|way| world.0.net.cut_one_way(way));
                }
                tokio::time::sleep(period / 2).await;
            }
            world.cuts().forget(number);
        });
        self.cuts().carried_out_by(number, task.abort_handle());
    }

    /// Makes both directions between two nodes as fast as this, and leaves the rest of them as it is.
    pub fn slow_link(&self, a: &impl Place, b: &impl Place, rate: ByteRate) {
        let ((a, a_name), (b, b_name)) = (a.place(self), b.place(self));
        self.0.trace.note(&a_name, format_args!("to and from {b_name}: rate {rate}"));
        self.change_links(a, b, |spec| spec.rate = rate);
    }

    /// Lets both directions between two nodes lose, double and spoil so many datagrams per million, and
    /// leaves the rest of them as it is. On [`Network::Memory`](crate::Network::Memory) there are none.
    pub fn spoil_link(&self, a: &impl Place, b: &impl Place, loss: u32, duplicate: u32, corrupt: u32) {
        let ((a, a_name), (b, b_name)) = (a.place(self), b.place(self));
        let what =
            format_args!("to and from {b_name}: loss {loss} ppm, twice {duplicate}, corrupt {corrupt}");
        self.0.trace.note(&a_name, what);
        self.change_links(a, b, |spec| {
            (spec.loss_ppm, spec.duplicate_ppm, spec.corrupt_ppm) = (loss, duplicate, corrupt);
        });
    }

    fn change_links(&self, a: SocketAddr, b: SocketAddr, change: impl Fn(&mut LinkSpec)) {
        self.0.net.with_paths(|paths| {
            paths.change((a, b), &change);
            paths.change((b, a), &change);
        });
    }

    /// Takes back what was said of the links between two nodes.
    pub fn restore_link(&self, a: &impl Place, b: &impl Place) {
        let ((a, a_name), (b, b_name)) = (a.place(self), b.place(self));
        self.0.trace.note(&a_name, format_args!("to and from {b_name}: as in the beginning"));
        self.0.net.with_paths(|paths| {
            let were_shaped = [paths.unshape((a, b)), paths.unshape((b, a))];
            if were_shaped.contains(&true) {
                paths.hit(Effect::Healed, (a, b));
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
