//! Real `peerstream` processes with development certificates, for chores and multi-process tests.
//!
//! A [`Cluster`] is a directory with a CA. [`Cluster::start`] issues a node's certificate, writes its
//! config and runs it; a [`Running`] node is killed when it is dropped. Ports are chosen by the
//! system and told by the nodes, and whoever waits, waits for a line of a log: nothing here guesses
//! or sleeps.
//!
//! # Example
//!
//! ```no_run
//! use devcluster::{Cluster, SERVE_EVERYTHING};
//!
//! # fn main() -> Result<(), devcluster::Error> {
//! let cluster = Cluster::init("target/debug/peerstream", "target/try-it")?;
//! let donor = cluster.start("donor", &format!("{SERVE_EVERYTHING}[[dataset]]\nname = 'd'\nserve = '/data'"))?;
//! let empty = cluster.start("empty", &format!("[[dataset]]\nname = 'd'\n{}", donor.as_peer()))?;
//! let status = empty.command("bootstrap").arg("d").status();
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`cluster`] | [`Cluster`]: the CA, and where nodes live |
//! | [`running`] | [`Running`]: a node's process |
//! | [`mod@finish`] | [`finish()`]: runs a command to its end, if it ends in time |
//! | [`link`] | [`CappedLink`]: a way to a node that carries so many bytes a second |
//! | [`log`] | [`Log`]: what it says on standard error |
//! | [`tree`] | [`tree::files`], [`tree::difference`]: whether two directories are equal |

pub mod cluster;
pub mod finish;
pub mod link;
pub mod log;
pub mod running;
pub mod tree;

pub use cluster::{Cluster, NodeDir, SERVE_EVERYTHING};
pub use finish::finish;
pub use link::CappedLink;
pub use log::Log;
pub use running::{Running, interrupt};

/// What went wrong, in words: this is for people who run chores and read test output.
#[derive(Debug)]
pub struct Error(String);

/// The result of something that a chore does.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Says what went wrong.
    pub fn new(what: impl std::fmt::Display) -> Self {
        Self(what.to_string())
    }

    fn at(what: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self(format!("{what}: {error}"))
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
