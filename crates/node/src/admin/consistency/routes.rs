//! What answers questions about levels, and changes them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use peerstream_engine::{ShardProgress, TaskDirection};
use peerstream_select::policy::{InForce, LevelScope, LevelSettings, LevelSource};
use peerstream_select::{Level, LevelPolicy};
use peerstream_types::{PlanId, ShardId};
use serde::Deserialize;

use super::{ConcernedView, ConsistencyChange, ConsistencyRequest, ConsistencyView, LevelView};
use crate::admin::problem::Problem;
use crate::failure::Failure;
use crate::node::{Node, request};

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Asked {
    dataset: Option<String>,
    shard: Option<u32>,
    plan: Option<String>,
}

pub(in crate::admin) async fn get(
    State(node): State<Arc<Node>>,
    Query(asked): Query<Asked>,
) -> Result<Json<ConsistencyView>, Problem> {
    let scope = scope(&node, asked.dataset.as_deref(), asked.shard, asked.plan.as_deref())?;
    let policy = node.consistency().levels().policy();
    let mut view = view(&scope, &policy);
    if let LevelScope::Recovery(plan, shard) = &scope
        && let Some(state) = node.plan(*plan)
    {
        // Where it is the default, that depends on the operation.
        view.in_force.level = policy.level_of(*plan, state.operation, shard).to_string();
    }
    Ok(Json(view))
}

pub(in crate::admin) async fn put(
    State(node): State<Arc<Node>>,
    Json(asked): Json<ConsistencyRequest>,
) -> Result<Json<ConsistencyChange>, Problem> {
    let scope = scope(&node, asked.dataset.as_deref(), asked.shard, asked.plan.as_deref())?;
    let level: Option<Level> = asked
        .level
        .map(|name| name.parse())
        .transpose()
        .map_err(|error| Problem::bad_request(Failure::new(error)))?;
    if level.is_some() {
        request::check_level(&scope, node.config()).map_err(Problem::bad_request)?;
    }
    let failed = |failure| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, failure);
    // A file is written, and to its end also if whoever asked goes away.
    let consistency = node.consistency().clone();
    let changed = tokio::task::spawn_blocking(move || consistency.change(scope, level)).await;
    let changed = changed.map_err(|_| failed(Failure::new("the change did not finish")))?.map_err(failed)?;
    let (before, now) = (changed.before.at(&changed.scope), changed.now.at(&changed.scope));
    tracing::info!(of = %changed.scope, before = %before.level, now = %now.level, "a consistency level was set");
    let concerned = changed.concerned(&node.engine().plans()).into_iter().map(|one| ConcernedView {
        plan: one.plan.to_string(),
        shard: one.shard.to_string(),
        before: one.before.to_string(),
        now: one.now.to_string(),
    });
    let (of, recoveries) = (changed.scope.to_string(), concerned.collect());
    Ok(Json(ConsistencyChange { of, before: in_force(before), now: in_force(now), recoveries }))
}

/// What is meant, if it is here.
fn scope(
    node: &Node,
    dataset: Option<&str>,
    shard: Option<u32>,
    plan: Option<&str>,
) -> Result<LevelScope, Problem> {
    let scope = request::scope(dataset, shard, plan, node.config()).map_err(Problem::bad_request)?;
    if let LevelScope::Recovery(plan, shard) = &scope
        && !is_recovering(node, *plan, shard)
    {
        let failure = Failure::new(format!("no plan {plan} is running that brings {shard} up"));
        let hint = "`peerstream status` lists the plans; a level of a shard counts for its next recovery";
        return Err(Problem::new(StatusCode::NOT_FOUND, failure.hint(hint)));
    }
    Ok(scope)
}

fn is_recovering(node: &Node, plan: PlanId, shard: &ShardId) -> bool {
    let running = node.plan(plan).filter(|state| state.result.is_none());
    let is_it = |one: &ShardProgress| {
        one.shard == *shard && one.direction == TaskDirection::Receive && one.outcome.is_none()
    };
    running.is_some_and(|state| state.shards.iter().any(is_it))
}

fn view(scope: &LevelScope, policy: &LevelPolicy) -> ConsistencyView {
    let from = |settings: &LevelSettings, source: LevelSource| -> Vec<InForce> {
        settings.iter().map(|(scope, level)| InForce { level, scope, source }).collect()
    };
    let mut settings = from(policy.configured(), LevelSource::Configured);
    settings.extend(from(policy.settings(), LevelSource::Set));
    settings.sort_by(|a, b| (&a.scope, a.source).cmp(&(&b.scope, b.source)));
    ConsistencyView {
        of: scope.to_string(),
        in_force: in_force(policy.at(scope)),
        settings: settings.into_iter().map(in_force).collect(),
    }
}

fn in_force(found: InForce) -> LevelView {
    LevelView {
        level: found.level.to_string(),
        set_for: found.scope.to_string(),
        source: found.source.name().to_owned(),
    }
}
