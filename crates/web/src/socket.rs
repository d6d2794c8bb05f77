//! Where the API listens: a socket in the file system that nobody but its owner may open.

use crate::api::learning::Stops;
use crate::api::problem::Problem;
use crate::{Api, Peer, Principals, site};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;

/// How long requests that are under way hold up a stop. The controller answers within milliseconds.
const FINISH_LIMIT: Duration = Duration::from_secs(5);

/// Why a socket is not there to listen on.
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
        source: io::Error,
    },
}

/// A socket that listens and that nobody but its owner may open.
pub struct Listening {
    listener: UnixListener,
    path: PathBuf,
}

/// A socket of mode 0600 that listens, and that nobody finds yet.
pub struct Hidden {
    listener: UnixListener,
    private: Private,
    path: PathBuf,
}

/// A folder that nobody else enters; it goes away with this.
struct Private(PathBuf);

impl Drop for Private {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Hidden {
    /// It is made in a folder of its own that nobody else enters, and moved when its mode is set: bound in place, it would
    /// be open to others for a moment.
    pub fn make(path: &Path) -> Result<Hidden, ListenError> {
        let refused = |source| ListenError::Io { path: path.to_owned(), source };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let private = Private(path.with_file_name(format!(".{name}.new")));
        match std::fs::remove_dir_all(&private.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(error)),
            Ok(()) | Err(_) => {}
        }
        std::fs::DirBuilder::new().mode(0o700).create(&private.0).map_err(refused)?;
        let socket = private.0.join("s");
        let listener = UnixListener::bind(&socket).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).map_err(refused)?;
        Ok(Hidden { listener, private, path: path.to_owned() })
    }

    /// Takes the place of a socket that is there already.
    pub fn show(self) -> Result<UnixListener, ListenError> {
        let refused = |source| ListenError::Io { path: self.path.clone(), source };
        std::fs::rename(self.private.0.join("s"), &self.path).map_err(refused)?;
        Ok(self.listener)
    }
}

impl Listening {
    /// Takes the place of a socket that a killed server left, but never of one that answers.
    pub async fn on(path: &Path) -> Result<Listening, ListenError> {
        if path.exists() && tokio::net::UnixStream::connect(path).await.is_ok() {
            return Err(ListenError::InUse { path: path.to_owned() });
        }
        Ok(Listening { listener: Hidden::make(path)?.show()?, path: path.to_owned() })
    }

    /// A socket that another process made at this path, and passed on.
    pub fn passed(socket: OwnedFd, path: &Path) -> Listening {
        Listening { listener: socket.into(), path: path.to_owned() }
    }

    /// The socket by another file descriptor: whoever has it answers from the same queue.
    pub fn socket(&self) -> io::Result<OwnedFd> {
        self.listener.try_clone().map(OwnedFd::from)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Answers until `stop` is done, and then what is under way. The socket stays: who asks meanwhile waits for the next
    /// one to answer.
    pub async fn serve(&self, api: Api, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let listener = self.listener.try_clone()?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let (stopping, mut stopped) = watch::channel(false);
        let principals = api.principals.clone();
        let service = site::router(api, Stops(stopped.clone()))
            .layer(middleware::from_fn_with_state(principals, admit))
            .into_make_service_with_connect_info::<Peer>();
        let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
            stop.await;
            stopping.send_replace(true);
        });
        tokio::select! {
            served = serving => served,
            () = async {
                let _ = stopped.wait_for(|stops| *stops).await;
                tokio::time::sleep(FINISH_LIMIT).await;
            } => Ok(()),
        }
    }

    /// Takes the socket away.
    pub fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whoever is at the other end of the socket, as the kernel says.
async fn admit(
    State(principals): State<Principals>,
    ConnectInfo(Peer(uid)): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(uid) = uid else {
        let detail = "the operating system does not say who is asking";
        return Problem::new("unauthenticated", StatusCode::UNAUTHORIZED, detail).into_response();
    };
    request.extensions_mut().insert(principals(uid));
    next.run(request).await
}
