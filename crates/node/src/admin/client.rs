//! The client of the admin API: what the command line talks to a node with.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use peerstream_types::NodeId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::consistency::{ConsistencyChange, ConsistencyRequest, ConsistencyView};
use super::model::{AbortRequest, ErrorView, ForgivenView, NodeView, PlanRequest, PlanView};
use crate::failure::Failure;
use crate::node::ReloadReport;

/// Largest answer or event that is read: a status with thousands of shards is a few MiB.
const ANSWER_LEN_MAX: usize = 64 << 20;

/// How long a node may take to answer; following a plan has no limit.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a node did not do as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody answers at the socket.
    #[error("no node answers at {}: {error}", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The node answered with an error.
    #[error("{}", .0.error)]
    Refused(ErrorView),
    /// The connection ended early: the node went away.
    #[error("the node went away: {0}")]
    Lost(String),
    /// Not an answer of this API: another version of the node, or no node at all.
    #[error("the node's answer cannot be read: {0}")]
    Unreadable(String),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let failure = Self::new(&error);
        match error {
            ClientError::Unreachable { .. } => failure.hint(
                "is the node running, and may this user open its socket? name it with --socket or --config",
            ),
            ClientError::Refused(ErrorView { hint: Some(hint), .. }) => failure.hint(hint),
            ClientError::Refused(_) | ClientError::Lost(_) | ClientError::Unreadable(_) => failure,
        }
    }
}

impl From<hyper::Error> for ClientError {
    fn from(error: hyper::Error) -> Self {
        Self::Lost(error.to_string())
    }
}

/// Talks to the node behind a socket. Every request has a connection of its own.
#[derive(Debug, Clone)]
pub struct AdminClient {
    socket: PathBuf,
}

type Sender = http1::SendRequest<Full<Bytes>>;

impl AdminClient {
    /// A client of the node at this socket; nothing is sent yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What the node says of itself.
    ///
    /// # Errors
    ///
    /// [`ClientError`], like all requests.
    pub async fn status(&self) -> Result<NodeView, ClientError> {
        self.call(Method::GET, "/v1/status", None::<&()>).await
    }

    /// Starts a plan.
    pub async fn start(&self, plan: &PlanRequest) -> Result<PlanView, ClientError> {
        self.call(Method::POST, "/v1/plans", Some(plan)).await
    }

    /// Where a plan stands.
    pub async fn plan(&self, id: &str) -> Result<PlanView, ClientError> {
        self.call(Method::GET, &format!("/v1/plans/{}", segment(id)), None::<&()>).await
    }

    /// Calls a plan off.
    pub async fn abort(&self, id: &str, reason: &str) -> Result<(), ClientError> {
        let path = format!("/v1/plans/{}/abort", segment(id));
        let asked = AbortRequest { reason: reason.to_owned() };
        let (_sender, response) = self.send(Method::POST, &path, Some(&asked)).await?;
        accepted(response).await.map(drop)
    }

    /// The level that counts for the node, a dataset, a shard of it or the recovery of that by a plan, and
    /// all that is set.
    pub async fn consistency(
        &self,
        dataset: Option<&str>,
        shard: Option<u32>,
        plan: Option<&str>,
    ) -> Result<ConsistencyView, ClientError> {
        let dataset = dataset.map(|dataset| format!("dataset={}", value(dataset)));
        let shard = shard.map(|shard| format!("shard={shard}"));
        let plan = plan.map(|plan| format!("plan={}", segment(plan)));
        let query: Vec<String> = [dataset, shard, plan].into_iter().flatten().collect();
        self.call(Method::GET, &format!("/v1/consistency?{}", query.join("&")), None::<&()>).await
    }

    /// Sets a level, or takes back what was set.
    pub async fn set_consistency(
        &self,
        asked: &ConsistencyRequest,
    ) -> Result<ConsistencyChange, ClientError> {
        self.call(Method::PUT, "/v1/consistency", Some(asked)).await
    }

    /// Holds nothing against a peer any more.
    pub async fn forgive(&self, node: &NodeId) -> Result<ForgivenView, ClientError> {
        self.call(Method::POST, &format!("/v1/peers/{node}/forgive"), None::<&()>).await
    }

    /// Loads certificates, access rules, peers and levels afresh.
    pub async fn reload(&self) -> Result<ReloadReport, ClientError> {
        self.call(Method::POST, "/v1/reload", None::<&()>).await
    }

    /// Follows a plan until it has ended.
    pub async fn watch(&self, id: &str) -> Result<PlanWatch, ClientError> {
        let path = format!("/v1/plans/{}/events", segment(id));
        let (sender, response) = self.send(Method::GET, &path, None::<&()>).await?;
        let body = accepted(response).await?.into_body();
        Ok(PlanWatch { body, unread: Vec::new(), _sender: sender })
    }

    async fn call<A: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        asked: Option<&A>,
    ) -> Result<T, ClientError> {
        let answer = async {
            let (_sender, response) = self.send(method, path, asked).await?;
            read(accepted(response).await?.into_body()).await
        };
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, answer).await;
        let answer =
            answer.map_err(|_| ClientError::Lost(format!("no answer within {ANSWER_TIMEOUT:?}")))??;
        serde_json::from_slice(&answer).map_err(|error| ClientError::Unreadable(error.to_string()))
    }

    /// The sender has to live until the answer was read.
    async fn send<A: Serialize>(
        &self,
        method: Method,
        path: &str,
        asked: Option<&A>,
    ) -> Result<(Sender, Response<Incoming>), ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| ClientError::Unreachable { socket: self.socket.clone(), error })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Its error is the error of the request.
        tokio::spawn(connection);
        let body = match asked {
            Some(asked) => serde_json::to_vec(asked).map_err(|e| ClientError::Unreadable(e.to_string()))?,
            None => Vec::new(),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "peerstream")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| ClientError::Unreadable(error.to_string()))?;
        let response = sender.send_request(request).await?;
        Ok((sender, response))
    }
}

/// Only letters and digits stand in a plan id; whatever else was typed must not change the path.
fn segment(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// Only these stand in names of datasets and their versions; whatever else was typed must not change the
/// query, and names nothing.
fn value(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.@/".contains(c) { c } else { '!' }).collect()
}

async fn accepted(response: Response<Incoming>) -> Result<Response<Incoming>, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let answer = read(response.into_body()).await?;
    let plain =
        || ErrorView { error: format!("{status}: {}", String::from_utf8_lossy(&answer).trim()), hint: None };
    Err(ClientError::Refused(serde_json::from_slice(&answer).unwrap_or_else(|_| plain())))
}

async fn read(body: Incoming) -> Result<Bytes, ClientError> {
    let whole = Limited::new(body, ANSWER_LEN_MAX).collect().await;
    whole.map(http_body_util::Collected::to_bytes).map_err(|error| ClientError::Lost(error.to_string()))
}

/// A plan as it moves.
#[derive(Debug)]
pub struct PlanWatch {
    body: Incoming,
    unread: Vec<u8>,
    _sender: Sender,
}

impl PlanWatch {
    /// Where the plan stands next; `None` after the state with its result. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`ClientError::Lost`] if the node goes away; the plan may go on without a watcher.
    pub async fn next(&mut self) -> Result<Option<PlanView>, ClientError> {
        loop {
            if let Some(event) = self.take_event() {
                if let Some(view) = parse_event(&event)? {
                    return Ok(Some(view));
                }
            } else if self.unread.len() > ANSWER_LEN_MAX {
                return Err(ClientError::Unreadable("an event without an end".to_owned()));
            } else {
                match self.body.frame().await {
                    Some(frame) => self.unread.extend(frame?.data_ref().into_iter().flatten()),
                    None => return Ok(None),
                }
            }
        }
    }

    /// The bytes of the next whole event, which an empty line ends.
    fn take_event(&mut self) -> Option<Vec<u8>> {
        let end = self.unread.windows(2).position(|pair| pair == b"\n\n")?;
        let event = self.unread.drain(..end + 2).collect();
        Some(event)
    }
}

/// The plan in an event; `None` in one that only keeps the connection alive.
fn parse_event(event: &[u8]) -> Result<Option<PlanView>, ClientError> {
    let data: Vec<u8> = event
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.strip_prefix(b"data:"))
        .flatten()
        .copied()
        .collect();
    if data.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&data).map(Some).map_err(|error| ClientError::Unreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_as_a_plan_id_cannot_change_the_request() {
        assert_eq!(segment("01ARZ3NDEKTSV4RRFFQ69G5FAV"), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
        assert_eq!(segment("../reload?x=1\r\n"), "---reload-x-1--");
    }

    #[test]
    fn what_was_typed_as_a_dataset_cannot_change_the_request() {
        assert_eq!(value("metrics@1"), "metrics@1");
        assert_eq!(value("m&shard=1 #\r\n"), "m!shard!1!!!!");
    }

    #[test]
    fn comments_between_events_are_passed_over() {
        assert!(parse_event(b":\n\n").unwrap().is_none());
        assert!(parse_event(b"data: not json\n\n").is_err());
    }
}
