//! `peerstream forgive`: holds nothing against a peer any more.

use super::Ended;
use super::args::{ForgiveArgs, Format};
use super::output::{say, say_json};
use super::target::{block_on, client};
use crate::failure::Result;

pub(super) fn run(args: &ForgiveArgs) -> Result<Ended> {
    let client = client(&args.target)?;
    let forgiven = block_on(async { Ok(client.forgive(&args.node).await?) })?;
    let node = &args.node;
    match args.output.output {
        Format::Json => say_json(&forgiven)?,
        Format::Table if forgiven.was_blamed => {
            say(&format!("nothing is held against {node} any more"));
        }
        Format::Table => say(&format!("nothing was held against {node}")),
    }
    Ok(Ended::Done)
}
