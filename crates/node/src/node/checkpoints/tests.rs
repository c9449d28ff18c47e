//! Datasets as the config describes them, frozen for real.

use peerstream_snapshot::{BlockingPool, RealDisk, Snapshot, Source, SourceError};
use peerstream_types::{Ordinal, PageToken, Selector};

use super::super::pace::Pace;
use super::*;
use crate::config;

const HEAD: &str =
    "node = \"a\"\ncluster = \"c\"\n[tls]\nca = \"a\"\ncert = \"a\"\nkey = \"a\"\n[[dataset]]\n";

struct World {
    dir: tempfile::TempDir,
    source: Option<CheckpointSource>,
}

impl World {
    /// `{dir}` in the text is a temporary directory with a directory `live` in it.
    async fn new(dataset: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("live")).unwrap();
        std::fs::write(dir.path().join("live/1.sst"), "rows").unwrap();
        std::fs::write(dir.path().join("live/LOCK"), "").unwrap();
        let text = format!("{HEAD}{}", dataset.replace("{dir}", dir.path().to_str().unwrap()));
        let config = config::parse(&text).unwrap();
        let pace = Pace(Arc::new(peerstream_shape::PassThrough::default()));
        let seams = Seams { disk: RealDisk::new(), pool: BlockingPool::new(), pace };
        let work = dir.path().join("work");
        let directory = Arc::new(DirectorySource::new(work, seams.disk.clone(), seams.pool.clone()));
        let made = source(&config.datasets[0], &dir.path().join("checkpoints"), &directory, &seams).await;
        Self { source: made.unwrap(), dir }
    }

    /// A snapshot of which all entries are known.
    async fn open(&self) -> std::result::Result<Arc<dyn Snapshot>, SourceError> {
        let snapshot = self.source.as_ref().unwrap().open(&"m@1/0".parse().unwrap(), &Selector::All).await?;
        snapshot.page(&PageToken::START, 10).await?;
        Ok(snapshot)
    }
}

#[tokio::test]
async fn what_is_served_as_it_is_has_no_checkpoints() {
    assert!(World::new("name = \"m\"\nserve = \"{dir}/live\"").await.source.is_none());
}

#[tokio::test]
async fn a_live_directory_is_frozen_by_its_rules() {
    let world = World::new(
        "name = \"m\"\nserve = \"{dir}/live\"\n[dataset.snapshot]\nmode = \"freeze\"\n\
         immutable = [\"*.sst\"]\nignored = [\"LOCK\"]\n\
         position = [\"sh\", \"-c\", 'echo \"{\\\"log\\\":\\\"wal\\\",\\\"token\\\":\\\"7\\\"}\"']\n",
    )
    .await;
    let snapshot = world.open().await.unwrap();
    std::fs::remove_file(world.dir.path().join("live/1.sst")).unwrap();
    assert_eq!(snapshot.header().counts.entries, 1);
    assert_eq!(snapshot.header().position.unwrap().to_string(), "wal:0:7");
    assert_eq!(snapshot.read(Ordinal(0), 0, 4).await.unwrap(), "rows");
}

#[tokio::test]
async fn a_command_makes_the_checkpoint_and_tells_the_state() {
    let world = World::new(
        "name = \"m\"\n[dataset.snapshot]\nmode = \"command\"\n\
         checkpoint = [\"sh\", \"-c\", 'cp -r {dir}/live $PEERSTREAM_DIR; rm $PEERSTREAM_DIR/LOCK; \
         echo \"{\\\"state\\\":\\\"of $PEERSTREAM_SHARD\\\"}\"']\n",
    )
    .await;
    let snapshot = world.open().await.unwrap();
    assert_eq!((snapshot.header().state, snapshot.header().position), (b"of m@1/0".to_vec(), None));
    assert_eq!(snapshot.read(Ordinal(0), 0, 4).await.unwrap(), "rows");
}

/// What a host says is told to whoever asked for the shard, and to the operator.
#[tokio::test]
async fn a_command_that_fails_is_no_snapshot() {
    let cases = [
        ("echo full >&2; exit 1", "ended with exit status: 1: full"),
        ("echo not json; mkdir $PEERSTREAM_DIR", "what the command `checkpoint` wrote cannot be read"),
        ("true", "the host made no directory"),
    ];
    for (script, why) in cases {
        let text =
            "name = \"m\"\n[dataset.snapshot]\nmode = \"command\"\ncheckpoint = [\"sh\", \"-c\", 'SCRIPT']";
        let error = World::new(&text.replace("SCRIPT", script)).await.open().await.unwrap_err();
        assert!(matches!(error, SourceError::NotReady { .. }) && error.to_string().contains(why), "{error}");
    }
}
