//! The ways between nodes: what each is like, what is cut, and what moves where and when.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use peerstream_types::{ByteCount, ByteRate};
use tokio::time::Instant;

use super::line::{Line, Link, over};
use crate::fault::Effect;
use crate::network::{LinkSpec, UNLIMITED, time_to_leave};

/// From where to where.
pub(crate) type Way = (SocketAddr, SocketAddr);

/// How much waits at the cap of a node: this long at its rate, and never less than
/// [`CAP_QUEUE_MIN`], so that a slow node takes a burst.
const CAP_QUEUE_TIME: Duration = Duration::from_millis(50);
/// See [`CAP_QUEUE_TIME`].
const CAP_QUEUE_MIN: ByteCount = ByteCount::kib(64);

/// What one direction of all links of a node shares.
#[derive(Debug)]
pub(crate) struct Cap {
    rate: ByteRate,
    line: Line,
}

impl Default for Cap {
    fn default() -> Self {
        Self { rate: UNLIMITED, line: Line::default() }
    }
}

impl Cap {
    /// Changes the rate; what is under way keeps its time.
    pub(crate) fn set(&mut self, rate: ByteRate) {
        self.rate = rate;
    }

    /// Whether it holds anything up.
    pub(crate) fn is_none(&self) -> bool {
        self.rate == UNLIMITED
    }

    /// How long to wait until it takes more.
    pub(crate) fn wait_for_room(&self, now: Instant) -> Duration {
        let queue = CAP_QUEUE_TIME.max(time_to_leave(self.rate, CAP_QUEUE_MIN));
        over(self.line.backlog(now), queue)
    }

    /// When bytes that come now are through.
    pub(crate) fn pass(&mut self, now: Instant, len: usize) -> Instant {
        self.line.pass(now, self.rate, len)
    }
}

/// What a node adds to its links.
#[derive(Debug, Default)]
struct Place {
    up: Cap,
    down: Cap,
    zone: Option<String>,
}

/// All ways of a network.
#[derive(Debug)]
pub(crate) struct Paths {
    default: LinkSpec,
    special: BTreeMap<Way, LinkSpec>,
    /// From zone to zone.
    zones: BTreeMap<(String, String), LinkSpec>,
    places: BTreeMap<SocketAddr, Place>,
    /// What each way is like, from the tables above: found once, and again after a change.
    resolved: BTreeMap<Way, (LinkSpec, Link)>,
    /// With what it counts as if something meets it.
    cuts: BTreeMap<Way, Effect>,
    effects: BTreeMap<(Effect, Way), u64>,
    /// Nothing holds anything up anywhere: nobody has to look.
    plain: bool,
}

impl Paths {
    pub(crate) fn new(default: LinkSpec) -> Self {
        Self {
            default,
            special: BTreeMap::new(),
            zones: BTreeMap::new(),
            places: BTreeMap::new(),
            resolved: BTreeMap::new(),
            cuts: BTreeMap::new(),
            effects: BTreeMap::new(),
            plain: default.is_instant(),
        }
    }

    /// Whether everything arrives at once everywhere, and always has.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    /// Whether something that wants to go a way cannot; if so, the cut had an effect.
    pub(crate) fn meets_cut(&mut self, way: Way) -> bool {
        let cut = self.cuts.get(&way).copied();
        cut.into_iter().for_each(|effect| self.hit(effect, way));
        cut.is_some()
    }

    /// Cuts one direction.
    pub(crate) fn cut(&mut self, way: Way, counts_as: Effect) {
        self.plain = false;
        self.cuts.insert(way, counts_as);
    }

    /// Cuts both directions between two nodes.
    pub(crate) fn part(&mut self, (a, b): Way, counts_as: Effect) {
        self.cut((a, b), counts_as);
        self.cut((b, a), counts_as);
    }

    /// Counts something that a fault did to what goes a way.
    pub(crate) fn hit(&mut self, effect: Effect, way: Way) {
        *self.effects.entry((effect, way)).or_default() += 1;
    }

    /// How often faults did something to what went a way.
    pub(crate) fn effects(&self) -> &BTreeMap<(Effect, Way), u64> {
        &self.effects
    }

    /// Ends all cuts between two nodes.
    pub(crate) fn heal(&mut self, (a, b): Way) {
        self.cuts.remove(&(a, b));
        self.cuts.remove(&(b, a));
    }

    /// Says what one direction between two nodes is like, before what their zones say.
    pub(crate) fn shape(&mut self, way: Way, spec: LinkSpec) {
        self.special.insert(way, spec);
        self.resolve_again();
    }

    /// Changes some of what one direction between two nodes is like, and leaves the rest as it is.
    pub(crate) fn change(&mut self, way: Way, change: impl FnOnce(&mut LinkSpec)) {
        let mut spec = self.spec(way);
        change(&mut spec);
        self.shape(way, spec);
    }

    /// Takes back what was said of one direction between two nodes; says whether anything was.
    pub(crate) fn unshape(&mut self, way: Way) -> bool {
        let was_shaped = self.special.remove(&way).is_some();
        if was_shaped {
            self.resolve_again();
        }
        was_shaped
    }

    /// Puts a node into a zone.
    pub(crate) fn zone(&mut self, addr: SocketAddr, zone: &str) {
        self.places.entry(addr).or_default().zone = Some(zone.to_owned());
        self.resolve_again();
    }

    /// Says what the links from one zone to another are like.
    pub(crate) fn shape_zones(&mut self, from: &str, to: &str, spec: LinkSpec) {
        self.zones.insert((from.to_owned(), to.to_owned()), spec);
        self.resolve_again();
    }

    /// Says how much a node sends and receives over all its links.
    pub(crate) fn cap(&mut self, addr: SocketAddr, up: ByteRate, down: ByteRate) {
        self.plain = false;
        let place = self.places.entry(addr).or_default();
        place.up.set(up);
        place.down.set(down);
    }

    fn resolve_again(&mut self) {
        self.plain = false;
        let Self { default, special, zones, places, resolved, .. } = self;
        for (way, (spec, _)) in resolved {
            *spec = look_up(special, zones, places, *way).unwrap_or(*default);
        }
    }

    fn link(&mut self, way: Way) -> &mut (LinkSpec, Link) {
        let Self { default, special, zones, places, resolved, .. } = self;
        resolved
            .entry(way)
            .or_insert_with(|| (look_up(special, zones, places, way).unwrap_or(*default), Link::default()))
    }

    /// What a way is like.
    pub(crate) fn spec(&mut self, way: Way) -> LinkSpec {
        self.link(way).0
    }

    /// How long to wait until there is room at the start of a way; nothing if there is room now. For
    /// `grain` see [`Link::wait_for_room`].
    pub(crate) fn wait_for_room(&mut self, now: Instant, way: Way, grain: Duration) -> Duration {
        let up = self.places.get(&way.0).map(|place| &place.up);
        let (wait, begins) =
            up.map_or((Duration::ZERO, now), |up| (up.wait_for_room(now), now + up.line.backlog(now)));
        let (spec, link) = self.link(way);
        wait.max(link.wait_for_room(begins, spec, grain))
    }

    /// When bytes that are sent now have come to the other end, before the cap of who receives them.
    pub(crate) fn pass(&mut self, now: Instant, way: Way, len: usize) -> Instant {
        self.count_delays(way);
        let up = self.places.get_mut(&way.0).map(|place| &mut place.up);
        let left = up.map_or(now, |up| up.pass(now, len));
        let (spec, link) = self.link(way);
        link.pass(left, spec, len)
    }

    /// Counts what holds up bytes that go a way now.
    fn count_delays(&mut self, way: Way) {
        if self.special.is_empty() && self.zones.is_empty() && self.places.is_empty() {
            return;
        }
        let (default, spec) = (self.default, self.spec(way));
        if spec.rate < default.rate || spec.latency > default.latency {
            self.hit(Effect::SlowLink, way);
        }
        let place = |addr| self.places.get(&addr);
        let zone = |addr| place(addr).and_then(|place| place.zone.clone());
        let is_zoned =
            match (self.zones.is_empty() || self.special.contains_key(&way), zone(way.0), zone(way.1)) {
                (false, Some(from), Some(to)) => self.zones.contains_key(&(from, to)),
                _ => false,
            };
        let is_capped = place(way.0).is_some_and(|place| !place.up.is_none())
            || place(way.1).is_some_and(|place| !place.down.is_none());
        let counted = [(is_zoned, Effect::Zoned), (is_capped, Effect::Capped)];
        counted.into_iter().filter(|(is_so, _)| *is_so).for_each(|(_, effect)| self.hit(effect, way));
    }

    /// When bytes that have come to the end of their link are through the cap of their receiver. To be
    /// called in the order in which they come.
    pub(crate) fn arrive(&mut self, at: Instant, to: SocketAddr, len: usize) -> Instant {
        self.places.get_mut(&to).map_or(at, |place| place.down.pass(at, len))
    }

    /// How much a node may receive.
    pub(crate) fn down(&self, addr: SocketAddr) -> ByteRate {
        self.places.get(&addr).map_or(UNLIMITED, |place| place.down.rate)
    }
}

/// What the tables say of a way: the nearest to it wins.
fn look_up(
    special: &BTreeMap<Way, LinkSpec>,
    zones: &BTreeMap<(String, String), LinkSpec>,
    places: &BTreeMap<SocketAddr, Place>,
    way: Way,
) -> Option<LinkSpec> {
    let zone = |addr| places.get(&addr).and_then(|place| place.zone.clone());
    let by_zone = || zones.get(&(zone(way.0)?, zone(way.1)?));
    special.get(&way).or_else(by_zone).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 1);
    const B: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)), 1);
    const C: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 3)), 1);

    fn late(ms: u64) -> LinkSpec {
        LinkSpec { latency: Duration::from_millis(ms), ..LinkSpec::instant() }
    }

    #[tokio::test(start_paused = true)]
    async fn the_nearest_word_on_a_way_counts() {
        let mut paths = Paths::new(late(1));
        paths.zone(A, "east");
        paths.zone(B, "west");
        assert_eq!(paths.spec((A, B)), late(1));
        paths.shape_zones("east", "west", late(40));
        assert_eq!(paths.spec((A, B)), late(40));
        assert_eq!(paths.spec((B, A)), late(1), "one direction was shaped");
        assert_eq!(paths.spec((A, C)), late(1), "a node without a zone");
        paths.shape((A, B), late(7));
        assert_eq!(paths.spec((A, B)), late(7));
    }

    #[tokio::test(start_paused = true)]
    async fn links_share_the_cap_of_their_node() {
        let (mut paths, now) = (Paths::new(late(1)), Instant::now());
        paths.cap(A, ByteRate::per_sec(1_000_000), UNLIMITED);
        let after = |ms| now + Duration::from_millis(ms);
        assert_eq!(paths.pass(now, (A, B), 1_000), after(2));
        assert_eq!(paths.pass(now, (A, C), 1_000), after(3), "behind what goes to another node");
        assert_eq!(paths.pass(now, (B, A), 1_000), after(1), "the other direction");
        paths.cap(C, UNLIMITED, ByteRate::per_sec(1_000_000));
        assert_eq!(paths.arrive(after(3), C, 2_000), after(5));
        assert_eq!(paths.arrive(after(3), C, 2_000), after(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_cap_says_when_it_has_room() {
        let (mut paths, now) = (Paths::new(LinkSpec::instant()), Instant::now());
        paths.cap(A, ByteRate::mib_per_sec(1), UNLIMITED);
        paths.pass(now, (A, B), 64 * 1024);
        let wait = paths.wait_for_room(now, (A, C), Duration::ZERO);
        assert!(!wait.is_zero());
        assert_eq!(paths.wait_for_room(now + wait, (A, C), Duration::ZERO), Duration::ZERO);
    }
}
