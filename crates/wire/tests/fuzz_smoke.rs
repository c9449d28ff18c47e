//! The checks of the fuzz targets on stable: some hundred thousand seeded inputs, in seconds.
#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

#[path = "../../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is the root of a crate of its own")]
mod checks;
#[path = "common/pinned.rs"]
mod pinned;

/// Random and mutated inputs of one target each.
const INPUTS: usize = 40_000;
/// At least one input of so many must be valid, or the test would prove little.
const VALID_ONE_IN: usize = 50;

/// SplitMix64: enough chance for a smoke test, the same on every machine.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// Bytes from nothing, or a seed with a few bytes changed, added, dropped or repeated.
    fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        if self.below(5) == 0 {
            let len = self.below(64);
            return self.bytes(len);
        }
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..self.below(4) {
            self.mutate(&mut input);
        }
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len());
        match self.below(6) {
            0 if !input.is_empty() => input[at] = self.next() as u8,
            1 if !input.is_empty() => input[at] ^= 1 << self.below(8),
            2 if !input.is_empty() => input[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
            3 => input.insert(at, self.next() as u8),
            4 => input.truncate(at),
            _ => {
                let end = at + self.below(input.len() - at);
                input.extend_from_within(at..end);
            }
        }
    }
}

/// Golden bytes whose name begins with one of `names`, without their first `skip` bytes.
fn seeds(names: &[&str], skip: usize) -> Vec<Vec<u8>> {
    let named = |name: &String| names.iter().any(|begin| name.starts_with(begin));
    let pinned = pinned::load().into_iter().filter(|(name, _)| named(name));
    let seeds: Vec<_> = pinned.map(|(_, bytes)| bytes[skip..].to_vec()).collect();
    assert!(!seeds.is_empty(), "no golden bytes of {names:?}");
    seeds
}

const HELLOS: [&str; 3] = ["Hello/", "Welcome/", "Unwelcome/"];
const MESSAGES: [&str; 19] = [
    "Init/",
    "InitAck/",
    "Refuse/",
    "Prepare/",
    "PrepareAck/",
    "InventoryRequest/",
    "OutlineRequest/",
    "Fetch/",
    "FetchFailed/",
    "Received/",
    "Release/",
    "Have/",
    "Complete/",
    "KeepAlive/",
    "Throttle/",
    "GoAway/",
    "Abort/",
    "TreeRequest/",
    "RunRequest/",
];

fn feed(seed: u64, check: fn(&[u8]) -> bool, seeds: &[Vec<u8>]) {
    assert!(seeds.iter().all(|seed| check(seed)), "a seed is not valid");
    let mut chance = Chance(seed);
    let valid = (0..INPUTS).filter(|_| check(&chance.input(seeds))).count();
    assert!((INPUTS / VALID_ONE_IN..INPUTS).contains(&valid), "{valid} of {INPUTS} inputs were valid");
}

/// P-11: no bytes make the decoder of control messages panic or accept what it cannot send.
#[test]
fn control_messages_withstand_any_bytes() {
    feed(1, checks::message, &seeds(&MESSAGES, 4));
}

/// P-11
#[test]
fn hello_messages_withstand_any_bytes() {
    feed(2, checks::hello, &seeds(&HELLOS, 4));
}

/// P-11
#[test]
fn inventory_pages_withstand_any_bytes() {
    feed(3, checks::inventory_page, &seeds(&["InventoryPage/"], 4));
}

/// P-11
#[test]
fn runs_and_trees_withstand_any_bytes() {
    feed(6, checks::inventory_run, &seeds(&["InventoryRun/"], 4));
    feed(7, checks::tree_nodes, &seeds(&["TreeNodes/"], 4));
}

/// P-11
#[test]
fn data_streams_withstand_any_bytes() {
    let headers = seeds(&["DataHeader/"], 0);
    let failed = [seeds(&["RecordHeader/failed"], 0).concat(), b"it is gon".to_vec()].concat();
    let streams = headers.iter().flat_map(|header| {
        [header.clone(), [&header[..], &failed].concat(), [&header[..], &failed, &failed].concat()]
    });
    feed(4, checks::data_stream, &streams.collect::<Vec<_>>());
}

/// P-09, P-11: cut anywhere, streams of frames give the same frames and the same end.
#[test]
fn streams_of_frames_withstand_any_bytes_in_any_parts() {
    let (messages, hellos) = (seeds(&MESSAGES, 0), seeds(&HELLOS, 0));
    let cut = |plan: u8, cuts: &[u8], frames: &[Vec<u8>]| [&[plan], cuts, &frames.concat()].concat();
    let mut streams: Vec<_> = messages.windows(3).map(|frames| cut(3 << 1, &[1, 20, 60], frames)).collect();
    streams.extend(messages.iter().map(|frame| cut(1 << 1, &[4], std::slice::from_ref(frame))));
    streams.push(cut(2 << 1 | 1, &[5, 9], &hellos));
    feed(5, checks::frame_decoder, &streams);
}
