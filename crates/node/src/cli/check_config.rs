//! `peerstream check-config`: whether a node could start with a file, and what it would take from it.

use super::Ended;
use super::args::{CheckConfigArgs, ConfigFormat};
use super::output::{say, say_json};
use crate::config::{self, Config, Dataset};
use crate::failure::{Failure, Result};
use crate::node::placement::Placed;
use crate::node::{check_directory, credentials};

pub(super) fn run(args: &CheckConfigArgs) -> Result<Ended> {
    let config = config::load(&args.config, &args.overrides)?;
    match args.output {
        ConfigFormat::Json => say_json(&config)?,
        ConfigFormat::Toml => say(&toml::to_string_pretty(&config).map_err(Failure::new)?),
    }
    check_files(&config)?;
    Ok(Ended::Done)
}

/// What the file names has to be there.
fn check_files(config: &Config) -> Result<()> {
    credentials(config)?;
    Placed::of(config)?;
    for (shard, path) in config.datasets.iter().flat_map(Dataset::served) {
        check_directory(&shard, &path)?;
    }
    Ok(())
}
