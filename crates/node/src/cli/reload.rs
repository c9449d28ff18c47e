//! `peerstream reload`: the configuration afresh, without a restart.

use super::Ended;
use super::args::{Format, ReloadArgs};
use super::output::{say, say_json};
use super::target::{block_on, client};
use crate::failure::Result;

pub(super) fn run(args: &ReloadArgs) -> Result<Ended> {
    let client = client(&args.target)?;
    let report = block_on(async { Ok(client.reload().await?) })?;
    match args.output.output {
        Format::Json => say_json(&report)?,
        Format::Table => {
            say(&format!("taken afresh: {}", report.changed.join(", ")));
            if !report.needs_restart.is_empty() {
                say(&format!("changed in the file, takes a restart: {}", report.needs_restart.join(", ")));
            }
        }
    }
    Ok(Ended::Done)
}
