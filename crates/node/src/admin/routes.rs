//! What answers which request.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::Stream;
use peerstream_engine::PlanError;
use peerstream_types::{NodeId, PlanId};

use super::consistency::routes as consistency;
use super::model::{AbortRequest, ForgivenView, NodeView, PlanRequest, PlanView};
use super::problem::Problem;
use super::views;
use crate::failure::Failure;
use crate::node::{Node, ReloadReport, request};

/// How often a watcher of a plan hears of it: smooth for the eye, and nothing against the transfer.
const EVENT_INTERVAL: Duration = Duration::from_millis(100);

type Shared = State<Arc<Node>>;

pub(super) fn router(node: Arc<Node>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/v1/status", get(status))
        .route("/v1/plans", post(start))
        .route("/v1/plans/{id}", get(plan))
        .route("/v1/plans/{id}/events", get(events))
        .route("/v1/plans/{id}/abort", post(abort))
        .route("/v1/consistency", get(consistency::get).put(consistency::put))
        .route("/v1/peers/{node}/forgive", post(forgive))
        .route("/v1/reload", post(reload))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, Failure::new("no such request")) })
        .with_state(node)
}

async fn ready(State(node): Shared) -> impl IntoResponse {
    if node.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    }
}

async fn status(State(node): Shared) -> Result<Json<NodeView>, Problem> {
    let failed = |error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Failure::new(error));
    views::node(&node).await.map(Json).map_err(failed)
}

async fn start(
    State(node): Shared,
    Json(asked): Json<PlanRequest>,
) -> Result<(StatusCode, Json<PlanView>), Problem> {
    let plan = request::plan(&asked, node.config()).map_err(Problem::bad_request)?;
    let state = node.execute(plan).map_err(refused)?;
    Ok((StatusCode::CREATED, Json(views::plan(&state))))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an open enum; what it adds is the request's fault")]
fn refused(error: PlanError) -> Problem {
    let (status, hint) = match &error {
        PlanError::NoSink(_) => (
            StatusCode::CONFLICT,
            Some("its [[dataset]] says `serve`; without that, shards are received into data_dir"),
        ),
        PlanError::NoSource(_) => (StatusCode::CONFLICT, None),
        PlanError::ShuttingDown | PlanError::TooManyPlans(_) => (StatusCode::SERVICE_UNAVAILABLE, None),
        _ => (StatusCode::BAD_REQUEST, None),
    };
    let failure = Failure::new(error);
    Problem::new(
        status,
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        },
    )
}

async fn plan(State(node): Shared, Path(id): Path<String>) -> Result<Json<PlanView>, Problem> {
    find(&node, &id).map(Json)
}

/// The plan as it moves, the last event with its result.
async fn events(
    State(node): Shared,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    find(&node, &id)?;
    let ticks = tokio::time::interval(EVENT_INTERVAL);
    let states = futures_util::stream::unfold(Some((node, id, ticks)), |watch| async move {
        let (node, id, mut ticks) = watch?;
        ticks.tick().await;
        // A plan that was forgotten meanwhile has ended longer ago than anybody cared.
        let view = find(&node, &id).ok()?;
        let event = Event::default().json_data(&view).ok()?;
        let next = (!view.is_ended()).then_some((node, id, ticks));
        Some((Ok(event), next))
    });
    Ok(Sse::new(states))
}

async fn abort(
    State(node): Shared,
    Path(id): Path<String>,
    Json(asked): Json<AbortRequest>,
) -> Result<StatusCode, Problem> {
    let found = find(&node, &id)?;
    if node.engine().abort(parse(&id)?, &asked.reason) {
        tracing::info!(plan = %id, reason = %asked.reason, "plan called off over the admin socket");
        return Ok(StatusCode::ACCEPTED);
    }
    let result = if found.is_completed() { "completed" } else { "not completed" };
    Err(Problem::new(StatusCode::CONFLICT, Failure::new(format!("plan {id} has ended already: {result}"))))
}

async fn forgive(State(node): Shared, Path(peer): Path<String>) -> Result<Json<ForgivenView>, Problem> {
    let peer = NodeId::new(&peer).map_err(|error| Problem::bad_request(Failure::new(error)))?;
    let was_blamed = node.engine().penalties().iter().any(|(blamed, _)| *blamed == peer);
    node.engine().forgive(&peer);
    tracing::info!(%peer, was_blamed, "peer forgiven over the admin socket");
    Ok(Json(ForgivenView { node: peer.to_string(), was_blamed }))
}

async fn reload(State(node): Shared) -> Result<Json<ReloadReport>, Problem> {
    let outcome = tokio::task::spawn_blocking(move || node.reload()).await;
    match outcome {
        Ok(Ok(report)) => Ok(Json(report)),
        Ok(Err(failure)) => {
            tracing::error!(error = failure.what(), "reload refused, the old configuration stays in force");
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, failure))
        }
        Err(_) => {
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Failure::new("the reload did not finish")))
        }
    }
}

fn parse(id: &str) -> Result<PlanId, Problem> {
    let bad = |_| {
        let shown: String = id.chars().take(40).collect();
        Problem::bad_request(
            Failure::new(format!("{shown:?} is not a plan id")).hint("`peerstream status` lists the plans"),
        )
    };
    id.parse().map_err(bad)
}

fn find(node: &Node, id: &str) -> Result<PlanView, Problem> {
    let state = node.plan(parse(id)?).ok_or_else(|| {
        let what = format!("no plan {id} is running or remembered");
        Problem::new(
            StatusCode::NOT_FOUND,
            Failure::new(what).hint("`peerstream status` lists the plans; see limits.plans_remembered"),
        )
    })?;
    Ok(views::plan(&state))
}
