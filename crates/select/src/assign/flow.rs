//! The flow from shards to sources, raised level by level.

/// Not reached by a search.
const FAR: u32 = u32::MAX;
/// Of the levels up to the lowest one that could be enough, one in so many is skipped at a time: a
/// source that is far from enough need not be looked at shard by shard.
const LEVELS_SKIPPED: u64 = 8;
/// How often the shards are gone through to even out what skipped levels left uneven. Few are enough.
const EVENING_ROUNDS_MAX: u32 = 8;

/// Shards and sources by their indexes. Every level allows each source a larger part of its capacity,
/// and the flow of a level is the largest there is: found by searches that lay shortest paths from all
/// shards without a source at once (Dinic). A path never takes a shard's place away, so what lower
/// levels placed stays placed, and no level is left before it is known not to be enough.
#[derive(Debug)]
pub(super) struct Flow {
    capacities: Vec<u32>,
    largest: u32,
    /// By shard: sources in ascending order, all of them with some capacity.
    candidates: Vec<Vec<usize>>,
    /// By shard.
    placed: Vec<Option<usize>>,
    loads: Vec<u32>,
    /// By source: how many shards the level allows.
    allowed: Vec<u32>,
}

/// What one search found.
struct Search {
    /// By source: the length of the shortest path to it.
    distance: Vec<u32>,
    /// By source: the shards placed there when the search began.
    held: Vec<Vec<usize>>,
    /// By source: how many of them were tried.
    tried: Vec<usize>,
    /// Whether a source with room was reached.
    room: bool,
}

impl Flow {
    pub(super) fn new(capacities: Vec<u32>, mut candidates: Vec<Vec<usize>>) -> Self {
        for sources in &mut candidates {
            sources.retain(|source| capacities[*source] > 0);
        }
        let largest = capacities.iter().copied().max().unwrap_or(0);
        let (loads, allowed) = (vec![0; capacities.len()], vec![0; capacities.len()]);
        let placed = vec![None; candidates.len()];
        Self { capacities, largest, candidates, placed, loads, allowed }
    }

    pub(super) fn source_of(&self, shard: usize) -> Option<usize> {
        self.placed[shard]
    }

    /// Whether any source that takes shards at all could serve it.
    pub(super) fn has_sources(&self, shard: usize) -> bool {
        !self.candidates[shard].is_empty()
    }

    pub(super) fn load(&self, source: usize) -> u32 {
        self.loads[source]
    }

    /// Places as many shards as can be.
    pub(super) fn solve(&mut self) {
        let mut waiting: Vec<usize> =
            (0..self.placed.len()).filter(|shard| self.has_sources(*shard)).collect();
        loop {
            let mut search = self.search(&waiting);
            if search.room {
                waiting.retain(|shard| !self.lay(*shard, &mut search));
            } else if !self.raise(&search, waiting.len()) {
                break;
            }
        }
        self.even_out();
    }

    /// Goes on to a level where a source that was reached is allowed more; says whether there is one.
    fn raise(&mut self, search: &Search, waiting: usize) -> bool {
        let reached: Vec<usize> =
            (0..self.loads.len()).filter(|source| search.distance[*source] != FAR).collect();
        let growing = reached.iter().filter(|source| self.loads[**source] < self.capacities[**source]);
        let first_that_allows = |source: &usize| {
            u64::from(self.loads[*source]) * u64::from(self.largest) / u64::from(self.capacities[*source]) + 1
        };
        let Some(next) = growing.map(first_that_allows).min() else { return false };
        // What waits can go to those that were reached only, so no level below `needed` is enough. Levels
        // far below it are skipped, those close to it are not, where they decide who is the fullest.
        let needed = self.needed(&reached, waiting);
        let level = next + needed.saturating_sub(next) / LEVELS_SKIPPED;
        for source in 0..self.allowed.len() {
            self.allowed[source] = self.allowance(source, level);
        }
        true
    }

    /// The lowest level that allows these sources as many more shards as wait.
    fn needed(&self, reached: &[usize], waiting: usize) -> u64 {
        let taken: u64 = reached.iter().map(|source| u64::from(self.loads[*source])).sum();
        let wanted = taken + waiting as u64;
        let (mut low, mut high) = (0, u64::from(self.largest));
        while low < high {
            let level = low + (high - low) / 2;
            let allowed: u64 = reached.iter().map(|source| u64::from(self.allowance(*source, level))).sum();
            if allowed < wanted { low = level + 1 } else { high = level }
        }
        low
    }

    fn allowance(&self, source: usize, level: u64) -> u32 {
        let capacity = self.capacities[source];
        let share = (u128::from(capacity) * u128::from(level)).div_ceil(u128::from(self.largest.max(1)));
        u32::try_from(share).unwrap_or(u32::MAX).min(capacity)
    }

    /// Moves single shards to sources with less of their capacity in use, where skipped levels left
    /// that to do. Makes no source fuller than one that it makes emptier was.
    fn even_out(&mut self) {
        for _ in 0..EVENING_ROUNDS_MAX {
            let mut moved = false;
            for shard in 0..self.placed.len() {
                let Some(from) = self.placed[shard] else { continue };
                let better = self.candidates[shard].iter().copied().filter(|to| self.is_fuller(from, *to));
                if let Some(to) = better.min_by_key(|to| self.share(*to, self.loads[*to])) {
                    self.placed[shard] = Some(to);
                    self.loads[from] -= 1;
                    self.loads[to] += 1;
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Whether one source would still be fuller if a shard of it went to the other.
    fn is_fuller(&self, from: usize, to: usize) -> bool {
        self.loads[to] < self.capacities[to]
            && self.share(from, self.loads[from]) > self.share(to, self.loads[to] + 1)
    }

    /// How much of its capacity a source has in use with so many shards, in parts of 2^32.
    fn share(&self, source: usize, load: u32) -> u64 {
        (u64::from(load) << 32) / u64::from(self.capacities[source].max(1))
    }

    /// How far every source is from the shards that wait.
    fn search(&self, waiting: &[usize]) -> Search {
        let sources = self.capacities.len();
        let mut held: Vec<Vec<usize>> = vec![Vec::new(); sources];
        for (shard, source) in self.placed.iter().enumerate() {
            if let Some(source) = source {
                held[*source].push(shard);
            }
        }
        let mut distance = vec![FAR; sources];
        let mut room = false;
        let mut near: Vec<usize> = Vec::new();
        for source in waiting.iter().flat_map(|shard| &self.candidates[*shard]) {
            if distance[*source] == FAR {
                distance[*source] = 0;
                near.push(*source);
            }
        }
        let mut step = 0;
        while !near.is_empty() && !room {
            room = near.iter().any(|source| self.loads[*source] < self.allowed[*source]);
            step += 1;
            let mut next = Vec::new();
            for shard in near.iter().flat_map(|source| &held[*source]) {
                for to in &self.candidates[*shard] {
                    if distance[*to] == FAR {
                        distance[*to] = step;
                        next.push(*to);
                    }
                }
            }
            near = next;
        }
        Search { distance, held, tried: vec![0; sources], room }
    }

    /// Lays a path from a shard that waits; says whether there was one.
    fn lay(&mut self, shard: usize, search: &mut Search) -> bool {
        for index in 0..self.candidates[shard].len() {
            let source = self.candidates[shard][index];
            if self.make_room(source, search) {
                self.placed[shard] = Some(source);
                return true;
            }
        }
        false
    }

    /// Makes room for one shard at a source: by what is left of its allowance, or by moving another one
    /// a step further. As deep as there are sources at the most.
    fn make_room(&mut self, source: usize, search: &mut Search) -> bool {
        if self.loads[source] < self.allowed[source] {
            self.loads[source] += 1;
            return true;
        }
        while let Some(shard) = search.held[source].get(search.tried[source]).copied() {
            search.tried[source] += 1;
            for index in 0..self.candidates[shard].len() {
                let to = self.candidates[shard][index];
                if search.distance[to] == search.distance[source] + 1 && self.make_room(to, search) {
                    self.placed[shard] = Some(to);
                    return true;
                }
            }
        }
        false
    }
}
