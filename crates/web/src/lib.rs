//! The HTTP API, on a Unix socket that only its owner may open.
//!
//! Who asks is the user at the other end of the socket, as the kernel says (SO_PEERCRED): a name that cannot be forged,
//! and no secret to keep.

mod problem;

mod routes;

pub use problem::{PlanProblem, Problem};
pub use routes::StartRequest;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use control::Handle;
use control::rollout::Principal;
use std::future::Future;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::UnixListener;

/// What a server says of itself, as JSON: addresses, ledger, counters.
pub type Status = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

/// From a user id of the operating system to the one canonical principal that it is.
pub type Principals = Arc<dyn Fn(u32) -> Principal + Send + Sync>;

/// Everything that a request may need.
#[derive(Clone)]
pub struct Api {
    /// The controller.
    pub handle: Handle,
    /// What the server says of itself.
    pub status: Status,
    /// Who is who.
    pub principals: Principals,
}

/// Why the API does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another server is there.
    #[error(
        "{path}: another server answers on this socket; stop it, or name another `socket` in verdigris.yaml",
        path = path.display()
    )]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{path}: the socket cannot be made: {source}", path = path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// A socket that listens and that nobody but its owner may open.
pub struct Listening {
    listener: UnixListener,
    path: PathBuf,
}

impl Listening {
    /// Takes the place of a socket that a killed server left, but never of one that answers.
    pub async fn on(path: &Path) -> Result<Listening, ListenError> {
        let refused = |source| ListenError::Io { path: path.to_owned(), source };
        if path.exists() {
            if tokio::net::UnixStream::connect(path).await.is_ok() {
                return Err(ListenError::InUse { path: path.to_owned() });
            }
            std::fs::remove_file(path).map_err(refused)?;
        }
        // It is made in a folder of its own that nobody else enters, and moved when its mode is set: bound in place, it
        // would be open to others for a moment.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let private = path.with_file_name(format!(".{name}.new"));
        match std::fs::remove_dir_all(&private) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(refused(error)),
            Ok(()) | Err(_) => {}
        }
        std::fs::DirBuilder::new().mode(0o700).create(&private).map_err(refused)?;
        let listener = UnixListener::bind(private.join("s")).map_err(refused)?;
        std::fs::set_permissions(private.join("s"), std::fs::Permissions::from_mode(0o600)).map_err(refused)?;
        std::fs::rename(private.join("s"), path).map_err(refused)?;
        std::fs::remove_dir(&private).map_err(refused)?;
        Ok(Listening { listener, path: path.to_owned() })
    }

    /// Answers until `stop` is done; then the socket goes away.
    pub async fn serve(self, api: Api, stop: impl Future<Output = ()> + Send + 'static) {
        let service = routes::router(api).into_make_service_with_connect_info::<Peer>();
        if let Err(error) = axum::serve(self.listener, service).with_graceful_shutdown(stop).await {
            tracing::error!("the API stopped: {error}");
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The user at the other end, if the kernel says who it is.
#[derive(Clone, Debug)]
pub(crate) struct Peer(pub(crate) Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Peer {
        Peer(stream.io().peer_cred().ok().map(|credentials| credentials.uid()))
    }
}
