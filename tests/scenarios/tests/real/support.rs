//! What all scenarios need: a cluster in a directory of its own, content, and answers in words.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use devcluster::{Cluster, Running, finish, tree};
use peerstream_node::admin::AdminClient;
use peerstream_node::admin::model::{NodeView, PlanRequest, PlanView};
use tempfile::TempDir;

/// The longest that a command may take: far above what any of them needs on a slow machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);
/// A mebibyte.
pub(crate) const MIB: usize = 1024 * 1024;
/// The dataset of most scenarios, as a node has it that receives it.
pub(crate) const RECEIVE: &str = "[[dataset]]\nname = \"files\"\n";
/// Its only shard.
pub(crate) const SHARD: &str = "files@1/0";

/// A directory that is removed at the end, and a cluster in it.
pub(crate) struct Scenario {
    pub(crate) cluster: Cluster,
    dir: TempDir,
}

impl Scenario {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let binary = env!("CARGO_BIN_EXE_peerstream-under-test");
        Self { cluster: Cluster::init(binary, dir.path().join("n")).unwrap(), dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A directory of files: `(path, length)`. The same names and lengths give the same content.
    pub(crate) fn content(&self, name: &str, files: &[(&str, usize)]) -> PathBuf {
        let root = self.path(name);
        for (path, len) in files {
            write_content(&root.join(path), *len);
        }
        root
    }

    /// A node that serves a directory as the dataset `files` to every member.
    pub(crate) fn donor(&self, name: &str, content: &Path, more: &str) -> Running {
        self.cluster
            .start(name, &format!("{}{}{more}", serve(content), devcluster::SERVE_EVERYTHING))
            .unwrap()
    }

    /// A node without content that knows these peers.
    pub(crate) fn replica(&self, name: &str, peers: &[&Running], more: &str) -> Running {
        let peers: String = peers.iter().map(|peer| peer.as_peer()).collect();
        self.cluster.start(name, &format!("{RECEIVE}{peers}{more}")).unwrap()
    }
}

/// The piece of config that serves a directory as the dataset `files`.
pub(crate) fn serve(content: &Path) -> String {
    format!("[[dataset]]\nname = \"files\"\nserve = {content:?}\n")
}

/// Bytes that no compression and no coincidence makes equal: a block that differs by path, with its
/// number in it.
fn write_content(path: &Path, len: usize) {
    const BLOCK: usize = 64 * 1024;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut state =
        path.file_name().unwrap().as_encoded_bytes().iter().fold(len as u64, |state, byte| {
            state.wrapping_mul(0x0100_0000_01b3).wrapping_add(u64::from(*byte))
        });
    let mut block: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .take(BLOCK / 8)
    .flatten()
    .collect();
    let mut file = BufWriter::new(File::create(path).unwrap());
    for number in 0..len.div_ceil(BLOCK) {
        block[..8].copy_from_slice(&(number as u64).to_le_bytes());
        file.write_all(&block[..BLOCK.min(len - number * BLOCK)]).unwrap();
    }
    file.flush().unwrap();
}

/// Changes a byte in each of these places as somebody does who writes to the file.
pub(crate) fn write_to(path: &Path, places: impl IntoIterator<Item = u64>) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    for place in places {
        let mut byte = [0];
        file.read_exact_at(&mut byte, place).unwrap();
        file.write_all_at(&[!byte[0]], place).unwrap();
    }
}

/// Changes a byte in each of these places as a bad disk does: nothing but the content tells.
pub(crate) fn rot(path: &Path, places: impl IntoIterator<Item = u64>) {
    let before = path.metadata().unwrap().modified().unwrap();
    write_to(path, places);
    OpenOptions::new().write(true).open(path).unwrap().set_modified(before).unwrap();
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn say(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = finish(command, LIMIT).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// Brings the dataset up at a node; its end as the command reports it.
pub(crate) fn bootstrap(replica: &Running) -> (Said, Option<PlanView>) {
    let said = say(replica.command("bootstrap").args(["files", "--output", "json"]));
    let plan = serde_json::from_str(&said.out).ok();
    (said, plan)
}

/// Brings the dataset up at a node, which has to succeed.
pub(crate) fn bring_up(replica: &Running) -> PlanView {
    match bootstrap(replica) {
        (Said { code: Some(0), .. }, Some(plan)) => plan,
        (said, _) => panic!("not brought up: {said:?}\n{}", replica.log().tail()),
    }
}

pub(crate) fn status(node: &Running) -> NodeView {
    let said = say(node.command("status").args(["--output", "json"]));
    assert_eq!(said.code, Some(0), "{said:?}");
    serde_json::from_str(&said.out).unwrap()
}

pub(crate) fn client(node: &Running) -> AdminClient {
    AdminClient::new(node.dir().socket())
}

/// Starts to bring the dataset up.
pub(crate) async fn start_files(client: &AdminClient) -> PlanView {
    client.start(&PlanRequest::Bootstrap { what: "files".into(), from: vec![] }).await.unwrap()
}

/// Asks again and again until a plan has verified this much or has ended: events come too seldom to
/// catch a moment of a transfer that takes a second.
pub(crate) async fn until_done(client: &AdminClient, plan: &PlanView, done: u64) -> PlanView {
    loop {
        let seen = client.plan(&plan.plan).await.unwrap();
        if seen.bytes_done >= done || seen.is_ended() {
            return seen;
        }
    }
}

/// That many bytes of content, with the headers and the outlines that belong to them.
pub(crate) fn overhead(bytes: u64) -> u64 {
    bytes + bytes / 100
}

/// Whether the published content of a node is that of a directory, byte for byte.
pub(crate) fn assert_published(node: &Running, generation: u64, content: &Path) {
    let published = node.dir().published(SHARD, generation);
    assert_eq!(tree::difference(content, &published).unwrap(), None);
}

/// Runs what has to be watched while it happens.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LIMIT, work).await.expect("it took too long") })
}
