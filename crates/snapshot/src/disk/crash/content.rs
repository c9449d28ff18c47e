//! The content of one file: what is seen, what is durable, and what lies between.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::WRITEBACK_CHANGES;
use super::power::{Chance, Survival};

/// Pieces that a crash may tear a write into, in bytes: the sector of a device, or a page.
const PIECES: [usize; 2] = [512, 4096];

/// The content and the mtime of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    seen: Version,
    durable: Version,
    /// What happened since the last sync, oldest first.
    pending: VecDeque<Change>,
}

#[derive(Debug, Clone, Default)]
struct Version {
    /// Shared with forks of the disk until either side changes them: a fork copies no content.
    bytes: Arc<Vec<u8>>,
    modified_ns: i64,
}

#[derive(Debug, Clone)]
struct Change {
    what: What,
    modified_ns: i64,
}

#[derive(Debug, Clone)]
enum What {
    Write { at: usize, bytes: Bytes },
    SetLen(usize),
}

impl What {
    /// The length of a file of `len` bytes afterwards.
    fn len_after(&self, len: usize) -> usize {
        match self {
            Self::Write { at, bytes } => len.max(at + bytes.len()),
            Self::SetLen(to) => *to,
        }
    }

    /// Carries out what concerns the bytes from `start` to `end` of a file that is long enough.
    fn apply(&self, file: &mut [u8], start: usize, end: usize) {
        match self {
            Self::Write { at, bytes } => {
                let (from, to) = (start.max(*at), end.min(at + bytes.len()));
                if from < to {
                    file[from..to].copy_from_slice(&bytes[from - at..to - at]);
                }
            }
            Self::SetLen(to) => file[end.min(start.max(*to))..end].fill(0),
        }
    }

    /// The first byte that is concerned, and the one after the last, in a file of at most `len`.
    fn span(&self, len: usize) -> (usize, usize) {
        match self {
            Self::Write { at, bytes } => (*at, at + bytes.len()),
            Self::SetLen(to) => (*to, len),
        }
    }
}

impl Version {
    fn apply(&mut self, change: &Change) {
        let bytes = Arc::make_mut(&mut self.bytes);
        let len = change.what.len_after(bytes.len());
        bytes.resize(len, 0);
        change.what.apply(bytes, 0, len);
        self.modified_ns = change.modified_ns;
    }
}

impl Content {
    pub(super) fn new(now: i64) -> Self {
        let empty = Version { bytes: Arc::default(), modified_ns: now };
        Self { seen: empty.clone(), durable: empty, pending: VecDeque::new() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.seen.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.seen.bytes.len()
    }

    pub(super) fn modified_ns(&self) -> i64 {
        self.seen.modified_ns
    }

    pub(super) fn write(&mut self, at: usize, bytes: Bytes, now: i64) {
        if !bytes.is_empty() {
            self.change(Change { what: What::Write { at, bytes }, modified_ns: now });
        }
    }

    pub(super) fn set_len(&mut self, len: usize, now: i64) {
        self.change(Change { what: What::SetLen(len), modified_ns: now });
    }

    fn change(&mut self, change: Change) {
        self.seen.apply(&change);
        self.pending.push_back(change);
        if self.pending.len() > WRITEBACK_CHANGES {
            self.write_back();
        }
    }

    /// Makes the oldest change durable.
    fn write_back(&mut self) {
        if let Some(change) = self.pending.pop_front() {
            self.durable.apply(&change);
        }
    }

    pub(super) fn sync(&mut self) {
        while !self.pending.is_empty() {
            self.write_back();
        }
    }

    /// Flips a bit of a byte that exists, where it lies: on the medium, or in what waits for it.
    pub(super) fn flip(&mut self, at: usize, mask: u8) {
        Arc::make_mut(&mut self.seen.bytes)[at] ^= mask;
        let len = self.durable.bytes.len().max(at + 1);
        let waits = self.pending.iter().any(|change| {
            let (start, end) = change.what.span(len);
            (start..end).contains(&at)
        });
        if waits || at >= self.durable.bytes.len() {
            let bytes = Bytes::copy_from_slice(&self.seen.bytes[at..=at]);
            let modified_ns = self.seen.modified_ns;
            self.pending.push_back(Change { what: What::Write { at, bytes }, modified_ns });
        } else {
            Arc::make_mut(&mut self.durable.bytes)[at] ^= mask;
        }
    }

    /// Leaves what survives the loss of power, which is durable then.
    pub(super) fn settle(&mut self, survival: Survival, chance: &mut Chance) {
        match survival {
            Survival::Nothing => {}
            Survival::Everything => self.sync(),
            // Files as a whole as well, or a large one would never be all old or all new.
            Survival::Mixture(_) => match chance.below(4) {
                0 => {}
                1 => self.sync(),
                _ => self.durable = self.mixture(chance),
            },
        }
        self.pending.clear();
        self.seen = self.durable.clone();
    }

    /// Each piece after some of the changes to it, and the length after some of all changes.
    fn mixture(&self, chance: &mut Chance) -> Version {
        let mut lens = vec![(self.durable.bytes.len(), self.durable.modified_ns)];
        for change in &self.pending {
            let (before, _) = lens[lens.len() - 1];
            lens.push((change.what.len_after(before), change.modified_ns));
        }
        let longest = lens.iter().map(|(len, _)| *len).max().unwrap_or_default();
        let (len, modified_ns) = lens[chance.below(lens.len())];
        let piece = PIECES[chance.below(PIECES.len())];
        let mut bytes = self.durable.bytes.to_vec();
        bytes.resize(longest, 0);
        for (place, changes) in self.by_piece(piece, longest) {
            let (start, end) = (place * piece, longest.min((place + 1) * piece));
            let survive = chance.below(changes.len() + 1);
            changes[..survive].iter().for_each(|what| what.apply(&mut bytes, start, end));
        }
        bytes.truncate(len);
        Version { bytes: Arc::new(bytes), modified_ns }
    }

    /// Which changes concern which pieces of a file that was at most `longest` bytes long.
    fn by_piece(&self, piece: usize, longest: usize) -> BTreeMap<usize, Vec<&What>> {
        let mut pieces: BTreeMap<usize, Vec<&What>> = BTreeMap::new();
        for Change { what, .. } in &self.pending {
            let (start, end) = what.span(longest);
            for place in start / piece..end.div_ceil(piece) {
                pieces.entry(place).or_default().push(what);
            }
        }
        pieces
    }
}
