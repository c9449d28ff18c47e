//! `peerstream abort`: calls a plan off.

use super::Ended;
use super::args::{AbortArgs, Format};
use super::output::{say, say_json};
use super::target::{block_on, client};
use crate::failure::Result;

pub(super) fn run(args: &AbortArgs) -> Result<Ended> {
    let client = client(&args.target)?;
    block_on(async {
        client.abort(&args.plan, &args.reason).await?;
        match args.output.output {
            Format::Json => say_json(&client.plan(&args.plan).await?),
            Format::Table => {
                say(&format!("plan {} was called off; what is verified stays staged", args.plan));
                Ok(())
            }
        }
    })?;
    Ok(Ended::Done)
}
