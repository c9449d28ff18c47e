//! What hosts write to block stores, and what therefore has to be where.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peerstream_blocks::{Block, BlockError, BlockKey, Point, SeriesUnion, Stamp, Tags};
use peerstream_types::{EntryKey, NodeId, ShardId};
use tokio::time::Instant;

use crate::content::key;
use crate::node::SimNode;
use crate::random::Random;
use crate::world::SimWorld;

/// Series of a history.
const SERIES: u32 = 12;
/// Blocks of each.
const BLOCKS: u32 = 4;
/// Of so many points that could be anywhere, each replica has one less.
const HAS: u64 = 4;
/// Bytes of a value at the most.
const VALUE_LEN_MAX: u64 = 400;
/// The stream of numbers that a history is drawn from.
const HISTORY: u64 = 6_000;
/// Stamps: what was written before a delete, the delete, what came after it, what a host writes while its
/// node is brought up.
const EARLY: Stamp = Stamp(1_000);
const DELETED: Stamp = Stamp(2_000);
const LATE: Stamp = Stamp(3_000);
const MEANWHILE: Stamp = Stamp(4_000);

/// What was written to the blocks of a shard, and at which nodes. Clones are the same.
#[derive(Debug, Clone)]
pub struct BlockHistory(Arc<State>);

#[derive(Debug)]
struct State {
    shard: ShardId,
    seed: u64,
    /// Points, and who had them in the beginning.
    points: Vec<(BlockKey, Point, BTreeSet<NodeId>)>,
    /// Deletes of all that was early in a block, and who had heard of them in the beginning.
    deletes: BTreeMap<BlockKey, BTreeSet<NodeId>>,
    /// What hosts wrote later.
    later: Mutex<Vec<Write>>,
}

/// A point that a host writes.
#[derive(Debug, Clone)]
struct Write {
    node: NodeId,
    key: BlockKey,
    point: Point,
    /// Since when it is durable, if the host was told so.
    durable: Option<Instant>,
}

/// What can be demanded of a replica.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demands {
    /// How many replicas its last recovery must have heard, and of how many; `None` if none was published.
    pub(crate) heard: Option<(u32, u32)>,
    /// What was durable before this is there.
    pub(crate) before: Instant,
}

/// The entry that a fault names: of a directory one of its files, of a block store one of its blocks.
pub(crate) fn spoiled_key(has_blocks: bool, kind: &str, number: u32) -> EntryKey {
    match has_blocks {
        true => block_key(number).to_entry_key(),
        false => key(kind, number),
    }
}

/// The key of a block that a history writes: they are numbered.
fn block_key(number: u32) -> BlockKey {
    let (series, block) = (number / BLOCKS % SERIES, number % BLOCKS);
    let tags = Tags::new([("host", format!("h{series}")), ("unit", "s".to_owned())]).expect("valid tags");
    BlockKey::new(format!("series-{series}"), tags, i64::from(block) * 7_200_000).expect("a valid key")
}

impl BlockHistory {
    /// Draws what some nodes hold in the beginning: each has most of what there is, most of it is at
    /// several of them, and some have heard of deletes that others have not.
    pub fn draw(seed: u64, shard: &ShardId, nodes: &[NodeId]) -> Self {
        let mut random = Random::fork(seed, HISTORY);
        let (mut points, mut deletes) = (Vec::new(), BTreeMap::new());
        let some = |random: &mut Random| -> BTreeSet<NodeId> {
            let mut having: BTreeSet<NodeId> =
                nodes.iter().filter(|_| random.below(HAS) > 0).cloned().collect();
            if having.is_empty() {
                having.extend(nodes.first().cloned());
            }
            having
        };
        for number in 0..SERIES * BLOCKS {
            let key = block_key(number);
            for moment in 0..1 + random.below(4) {
                let stamp = if random.below(2) == 0 { EARLY } else { LATE };
                let point = point(&mut random, &key, moment, stamp);
                points.push((key.clone(), point, some(&mut random)));
            }
            if random.below(3) == 0 {
                deletes.insert(key, some(&mut random));
            }
        }
        let (shard, later) = (shard.clone(), Mutex::default());
        Self(Arc::new(State { shard, seed, points, deletes, later }))
    }

    /// The shard that it is about.
    pub fn shard(&self) -> &ShardId {
        &self.0.shard
    }

    fn later(&self) -> MutexGuard<'_, Vec<Write>> {
        self.0.later.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what a node holds in the beginning, durably.
    ///
    /// # Panics
    ///
    /// If the node has no block store, or its disk does not take it.
    pub async fn fill(&self, node: &SimNode) {
        let State { shard, points, deletes, .. } = &*self.0;
        let store = node.blocks().expect("it keeps its shards in a block store");
        let fine = |result: Result<(), BlockError>| {
            result.unwrap_or_else(|error| panic!("{} cannot be filled: {error}", node.id));
        };
        fine(store.create(shard).await);
        for (key, point, _) in points.iter().filter(|(_, _, having)| having.contains(&node.id)) {
            fine(store.write(shard, key, &payload(point)).await);
        }
        for (key, _) in deletes.iter().filter(|(_, heard)| heard.contains(&node.id)) {
            fine(store.delete(shard, key, DELETED).await);
        }
        fine(store.flush(shard).await);
    }

    /// Writes to a node's shard so many times, whichever of its lives it is in. What a node that is down does
    /// not take is left out.
    pub async fn write_meanwhile(&self, world: &SimWorld, node: &NodeId, every: Duration, times: u64) {
        let label = node.as_str().bytes().fold(HISTORY + 1, |sum, byte| 31 * sum + u64::from(byte));
        let mut random = Random::fork(self.0.seed, label);
        for number in 0..times {
            tokio::time::sleep(every).await;
            let Some(node) = world.node(node).filter(SimNode::is_running) else { continue };
            let Some(store) = node.blocks() else { return };
            let key = block_key(random.draw() as u32);
            let point = point(&mut random, &key, 100 + number, MEANWHILE);
            let place = {
                let mut later = self.later();
                let (node, key, point) = (node.id.clone(), key.clone(), point.clone());
                later.push(Write { node, key, point, durable: None });
                later.len() - 1
            };
            let shard = self.shard();
            let write = async {
                store.write(shard, &key, &payload(&point)).await?;
                store.flush(shard).await
            };
            let written = tokio::select! {
                biased;
                () = node.process.life.over() => continue,
                written = write => written,
            };
            if written.is_ok() {
                self.later()[place].durable = Some(Instant::now());
            }
        }
    }

    /// What is wrong with the blocks of a node, if anything is.
    pub(crate) fn wrong(
        &self,
        node: &NodeId,
        blocks: &BTreeMap<BlockKey, Block>,
        demands: &Demands,
    ) -> Option<String> {
        let has = points_of(blocks);
        self.made_up(&has).or_else(|| self.lost(node, &has, demands)).or_else(|| self.revived(&has, demands))
    }

    /// Something is there that nobody wrote.
    fn made_up(&self, has: &BTreeMap<BlockKey, Vec<Point>>) -> Option<String> {
        let later = self.later();
        for (key, points) in has {
            let known = |one: &(BlockKey, Point, BTreeSet<NodeId>)| one.0 == *key;
            if !self.0.points.iter().any(known) && !later.iter().any(|write| write.key == *key) {
                return Some(format!("nobody wrote to {key:?}, with these tags"));
            }
            let is_written = |point: &Point| {
                self.0.points.iter().any(|(of, known, _)| of == key && known == point)
                    || later.iter().any(|write| write.key == *key && write.point == *point)
            };
            if let Some(point) = points.iter().find(|point| !is_written(point)) {
                return Some(format!("nobody wrote {point:?} to {key:?}"));
            }
        }
        None
    }

    /// Something is missing that has to be there.
    fn lost(&self, node: &NodeId, has: &BTreeMap<BlockKey, Vec<Point>>, demands: &Demands) -> Option<String> {
        let is_there =
            |key: &BlockKey, point: &Point| has.get(key).is_some_and(|points| points.contains(point));
        for (key, point, having) in &self.0.points {
            let is_covered = point.stamp <= DELETED && self.0.deletes.contains_key(key);
            let must = !is_covered && demands.cannot_miss(having.len());
            if must && !is_there(key, point) {
                let had: Vec<&str> = having.iter().map(NodeId::as_str).collect();
                return Some(format!("{point:?} of {key:?} is not there, and {} had it", had.join(", ")));
            }
        }
        let later = self.later();
        let own = later.iter().filter(|write| write.node == *node);
        let mut durable = own.filter(|write| write.durable.is_some_and(|since| since < demands.before));
        let lost = durable.find(|write| !is_there(&write.key, &write.point))?;
        Some(format!("{:?} of {:?} is not there, and its host had made it durable", lost.point, lost.key))
    }

    /// Something is there that was deleted.
    fn revived(&self, has: &BTreeMap<BlockKey, Vec<Point>>, demands: &Demands) -> Option<String> {
        let mut sure = self.0.deletes.iter().filter(|(_, heard)| demands.cannot_miss(heard.len()));
        sure.find_map(|(key, _)| {
            let revived = has.get(key)?.iter().find(|point| point.stamp <= DELETED)?;
            Some(format!("{revived:?} of {key:?} is back, and was deleted at {DELETED}"))
        })
    }
}

impl Demands {
    /// Whether a recovery has heard one of so many replicas at the least.
    fn cannot_miss(&self, having: usize) -> bool {
        self.heard.is_some_and(|(required, others)| having as u64 + u64::from(required) > u64::from(others))
    }
}

fn points_of(blocks: &BTreeMap<BlockKey, Block>) -> BTreeMap<BlockKey, Vec<Point>> {
    let points = |block: &Block| SeriesUnion::decode(block.payload.as_ref()?).ok();
    blocks.iter().filter_map(|(key, block)| Some((key.clone(), points(block)?))).collect()
}

fn point(random: &mut Random, key: &BlockKey, moment: u64, stamp: Stamp) -> Point {
    let len = 1 + random.below(VALUE_LEN_MAX);
    let value = random.bytes(usize::try_from(len).expect("a value is short")).into();
    Point { at_ms: key.start_ms() + moment as i64, stamp, value }
}

fn payload(point: &Point) -> bytes::Bytes {
    SeriesUnion::encode(std::slice::from_ref(point)).expect("a point is a payload")
}
