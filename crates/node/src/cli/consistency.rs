//! `peerstream consistency`: how many replicas have to agree, shown and changed.

use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::Ended;
use super::args::{ConsistencyGetArgs, ConsistencySetArgs, Format, LevelOfArgs};
use super::output::{say, say_json};
use super::target::{block_on, client};
use crate::admin::consistency::{ConsistencyChange, ConsistencyRequest, ConsistencyView, LevelView};
use crate::failure::Result;

pub(super) fn get(args: &ConsistencyGetArgs) -> Result<Ended> {
    let client = client(&args.target)?;
    let of = &args.of;
    let view = block_on(async {
        Ok(client.consistency(of.dataset.as_deref(), of.shard, of.plan.as_deref()).await?)
    })?;
    match args.output.output {
        Format::Json => say_json(&view)?,
        Format::Table => say(&table(&view)),
    }
    Ok(Ended::Done)
}

pub(super) fn set(args: &ConsistencySetArgs) -> Result<Ended> {
    let client = client(&args.target)?;
    let level = args.level.map(|level| level.to_string());
    let LevelOfArgs { dataset, shard, plan } = args.of.clone();
    let request = ConsistencyRequest { level, dataset, shard, plan };
    let change = block_on(async { Ok(client.set_consistency(&request).await?) })?;
    match args.output.output {
        Format::Json => say_json(&change)?,
        Format::Table => say(&report(&change)),
    }
    Ok(Ended::Done)
}

fn table(view: &ConsistencyView) -> String {
    let mut text = format!("{}: {}\n", view.of, described(&view.in_force));
    if view.settings.is_empty() {
        return text;
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["for", "level", "who says so"]);
    let row = |one: &LevelView| [one.set_for.clone(), one.level.clone(), one.source.clone()];
    table.add_rows(view.settings.iter().map(row));
    text += &format!("\n{}\n", table.trim_fmt());
    text
}

fn report(change: &ConsistencyChange) -> String {
    let ConsistencyChange { of, before, now, recoveries } = change;
    let mut text = format!("{of}: was {}\n{of}: is {}\n", described(before), described(now));
    match recoveries.len() {
        0 => text += "no running recovery is concerned\n",
        _ => {
            let mut table = Table::new();
            table.load_style(NOTHING).set_header(["recovery", "shard", "was", "is"]);
            let rows = recoveries.iter();
            table.add_rows(rows.map(|one| [&one.plan, &one.shard, &one.before, &one.now]));
            text += &format!("\n{}\n", table.trim_fmt());
        }
    }
    text
}

/// A level with the reason why it counts.
fn described(level: &LevelView) -> String {
    let LevelView { level, set_for, source } = level;
    match source.as_str() {
        "default" => format!("{level} (the default)"),
        _ => format!("{level} ({source} for {set_for})"),
    }
}
