//! Serves the admin API on its socket.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::routes::router;
use super::socket::SocketFile;
use crate::failure::Result;
use crate::node::Node;

/// How long requests under way may take to end once the node has shut down. By then all plans have
/// ended, and with them what watchers wait for.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// A bound socket: clients may connect, and are answered once the node is there.
#[derive(Debug)]
pub(crate) struct AdminServer {
    file: SocketFile,
    listener: UnixListener,
}

/// The API while it is served.
#[derive(Debug)]
pub(crate) struct Serving {
    _file: SocketFile,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl AdminServer {
    pub(crate) async fn bind(path: &Path) -> Result<Self> {
        let (file, listener) = SocketFile::bind(path).await?;
        Ok(Self { file, listener })
    }

    pub(crate) fn serve(self, node: Arc<Node>) -> Serving {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let stopped = async {
                stopped.await.ok();
            };
            let served = axum::serve(self.listener, router(node)).with_graceful_shutdown(stopped).await;
            if let Err(error) = served {
                tracing::error!(%error, "the admin API stopped");
            }
        });
        Serving { _file: self.file, stop, task }
    }
}

impl Serving {
    /// Takes no more requests and ends those under way.
    pub(crate) async fn close(self) {
        self.stop.send(()).ok();
        let aborted = self.task.abort_handle();
        if tokio::time::timeout(CLOSE_WAIT, self.task).await.is_err() {
            aborted.abort();
        }
    }
}
