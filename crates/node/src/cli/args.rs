//! What may stand on the command line. The comments here are its help.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use peerstream_quic::ca::VALID_DAYS_MAX;
use peerstream_select::Level;
use peerstream_types::{ClusterName, NodeId};

use crate::config::Overrides;

/// The recovery plane of sharded, replicated stores: brings replicas up from their peers
#[derive(Debug, Parser)]
#[command(name = "peerstream", version, max_term_width = 100)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a node
    Node(NodeArgs),
    /// Bring a shard, or all shards of a dataset, to the node, and wait until it is published
    Bootstrap(BootstrapArgs),
    /// Bring a shard of the node to a peer, and wait until it is published there
    Push(PushArgs),
    /// Show what the node holds, whom it talks to, and how its plans stand
    Status(StatusArgs),
    /// Call a plan off; what is verified stays staged
    Abort(AbortArgs),
    /// Hold nothing against a peer any more that was a bad source: its disk was replaced, say
    Forgive(ForgiveArgs),
    /// Show or change how many replicas have to agree
    #[command(subcommand)]
    Consistency(ConsistencyCommand),
    /// Load certificates, access rules, peers and levels afresh (like SIGHUP)
    Reload(ReloadArgs),
    /// Make certificates for a development cluster
    #[command(subcommand)]
    Ca(CaCommand),
    /// Check a config file and show it with all its defaults
    CheckConfig(CheckConfigArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct NodeArgs {
    /// The config file
    #[arg(long, env = "PEERSTREAM_CONFIG", value_name = "FILE")]
    pub(super) config: PathBuf,
    #[command(flatten)]
    pub(super) overrides: Overrides,
}

/// Which node a command talks to.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct TargetArgs {
    /// The node's admin socket
    #[arg(long, env = "PEERSTREAM_SOCKET", value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    /// The node's config file, which names the socket
    #[arg(long, env = "PEERSTREAM_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct OutputArgs {
    /// How the answer is written
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(super) output: Format,
}

#[derive(Debug, clap::Args)]
pub(super) struct BootstrapArgs {
    /// What: dataset, dataset@version or dataset@version/index
    #[arg(value_name = "SHARD|DATASET")]
    pub(super) what: String,
    /// Whom to ask, in this order, instead of the configured peers
    #[arg(long, value_name = "NODE,...", value_delimiter = ',')]
    pub(super) from: Vec<NodeId>,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct PushArgs {
    /// Which shard: dataset@version/index
    pub(super) shard: String,
    /// The peer that is to have it
    #[arg(long, value_name = "NODE")]
    pub(super) to: NodeId,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

/// How a plan is started and followed.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// Start it and do not wait; exit code 0 then says that it was started
    #[arg(long)]
    pub(super) detach: bool,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct AbortArgs {
    /// The plan, as `status` lists it
    pub(super) plan: String,
    /// Why, for those who look at it later
    #[arg(long, value_name = "TEXT", default_value = "called off by the operator")]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct ForgiveArgs {
    /// The peer, as `status` names it
    pub(super) node: NodeId,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConsistencyCommand {
    /// Show the level that counts, and all that is configured or set
    Get(ConsistencyGetArgs),
    /// Set a level, also for recoveries that run; it stays set when the node is restarted
    Set(ConsistencySetArgs),
}

/// What a level is for; nothing means the node.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct LevelOfArgs {
    /// Only for this dataset
    #[arg(long, value_name = "DATASET")]
    pub(super) dataset: Option<String>,
    /// Only for this shard of the dataset; name it dataset@version if it has several versions
    #[arg(long, value_name = "INDEX", requires = "dataset")]
    pub(super) shard: Option<u32>,
    /// Only for the recovery of that shard by this plan, as long as it runs
    #[arg(long, value_name = "PLAN", requires = "shard")]
    pub(super) plan: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ConsistencyGetArgs {
    #[command(flatten)]
    pub(super) of: LevelOfArgs,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct ConsistencySetArgs {
    /// none, one, unstrict_majority, majority, unstrict_all or all
    #[arg(required_unless_present = "unset")]
    pub(super) level: Option<Level>,
    /// Take back what was set: the config counts again
    #[arg(long, conflicts_with = "level")]
    pub(super) unset: bool,
    #[command(flatten)]
    pub(super) of: LevelOfArgs,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum CaCommand {
    /// Make a CA for a cluster: ca.crt and ca.key
    Init(CaInitArgs),
    /// Issue the certificate of a node: <id>.crt and <id>.key
    Issue(CaIssueArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct CaInitArgs {
    /// Where the CA is kept; made if it is missing
    #[arg(long, value_name = "DIR")]
    pub(super) dir: PathBuf,
    /// The cluster that it vouches for
    #[arg(long, value_name = "NAME")]
    pub(super) cluster: ClusterName,
    /// How long its certificate is valid
    #[arg(long, value_name = "DAYS", default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=i64::from(VALID_DAYS_MAX)))]
    pub(super) days: u32,
    /// Replace a CA that is already there
    #[arg(long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct CaIssueArgs {
    /// Where the CA is
    #[arg(long, value_name = "DIR")]
    pub(super) dir: PathBuf,
    /// The node's id
    #[arg(long, value_name = "ID")]
    pub(super) node: NodeId,
    /// Where the files go, with a copy of ca.crt [default: the CA's directory]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// How long the certificate is valid
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=i64::from(VALID_DAYS_MAX)))]
    pub(super) days: u32,
    /// Replace files that are already there
    #[arg(long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct CheckConfigArgs {
    /// The config file
    #[arg(long, env = "PEERSTREAM_CONFIG", value_name = "FILE")]
    pub(super) config: PathBuf,
    #[command(flatten)]
    pub(super) overrides: Overrides,
    /// toml is what a config file could say, json is for programs
    #[arg(long, value_name = "FORMAT", default_value = "toml")]
    pub(super) output: ConfigFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ConfigFormat {
    /// As a config file
    Toml,
    /// For programs
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    /// F-15: a level that is none is refused before the node is asked, with those that there are.
    #[test]
    fn a_level_is_named_or_taken_back() {
        let parse = |args: &[&str]| {
            Args::try_parse_from(["peerstream", "consistency", "set"].iter().chain(args)).map(|_| ())
        };
        assert!(parse(&["unstrict_all", "--dataset", "m", "--shard", "3"]).is_ok());
        assert!(parse(&["--unset"]).is_ok());
        let refused = parse(&["quorum"]).unwrap_err().to_string();
        assert!(refused.contains("unstrict_majority, majority, unstrict_all and all"), "{refused}");
        for bad in [&[][..], &["one", "--unset"], &["one", "--shard", "3"]] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn several_sources_are_named_with_commas() {
        let args = Args::try_parse_from(["peerstream", "bootstrap", "metrics", "--from", "b,a"]).unwrap();
        let Command::Bootstrap(args) = args.command else { panic!("another command") };
        assert_eq!(args.from, ["b", "a"].map(|id| NodeId::new(id).unwrap()));
    }
}
