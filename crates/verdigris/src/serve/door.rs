//! The web port of a server: who is who there, the operator token, and how it is given up and taken back.

use crate::config::{Identified, Web};
use crate::describe::Failed;
use crate::{clock, private_file};
use access::Role;
use anyhow::Context;
use rollout::{KnownPrincipal, Principal};
use std::fs::File;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tls::Names;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use web::{Api, Caller, Doorway, Identities, Identity, Oidc, Port};

/// The operator token's file in the data folder.
pub(crate) const TOKEN_FILE: &str = "operator.token";
/// What whoever shows it is called.
pub(crate) const TOKEN_NAME: &str = "operator-token";
/// 43 letters and a line end; whoever writes one of their own may make it longer.
const TOKEN_BYTES: (usize, usize) = (32, 256);

/// The port before another process may still close, or one that did not come to serve: both do within moments.
const BIND_TRIES: u32 = 40;
const BIND_PAUSE: Duration = Duration::from_millis(250);

/// What whoever asks can show: the operator token's digest, and whose access tokens are taken.
type Shown = (Option<[u8; 32]>, Option<Arc<Oidc>>);

/// The port, when it is bound and when it serves.
pub(crate) struct WebPort {
    config: Web,
    /// With the port that was bound, also where the configuration says 0.
    address: SocketAddr,
    port: Option<Port>,
    /// What tokens are held against, when it was read.
    shown: Option<Shown>,
    way: Option<Doorway>,
    task: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl WebPort {
    /// Binds it.
    pub(crate) async fn bind(web: Web) -> Result<WebPort, Failed> {
        let port = Port::bind(web.listen, web.tls.clone()).await?;
        Ok(WebPort::of(web, port))
    }

    /// The same where another process had the port a moment ago.
    pub(crate) async fn bind_after(web: Web) -> Result<WebPort, Failed> {
        let port = again(web.listen, web.tls.clone()).await?;
        Ok(WebPort::of(web, port))
    }

    fn of(config: Web, port: Port) -> WebPort {
        WebPort { address: port.address(), config, port: Some(port), shown: None, way: None, task: None }
    }

    /// Reads what tokens are held against. Makes the operator token if there is to be one and is none; the data folder is
    /// there by now.
    pub(crate) fn read(&mut self, data: &Path) -> Result<(), Failed> {
        let token = match self.config.operator_token {
            true => Some(web::token_digest(&token(&data.join(TOKEN_FILE))?)),
            false => None,
        };
        let oidc = match &self.config.oidc {
            Some((pinned, at)) => {
                let oidc = Oidc::new(pinned.clone(), at, clock::now()).context("web.oidc.keys")?;
                Some(Arc::new(oidc))
            }
            None => None,
        };
        self.shown = Some((token, oidc));
        Ok(())
    }

    /// Who comes in here.
    pub(crate) fn open(
        &mut self,
        named: watch::Receiver<Vec<KnownPrincipal>>,
        identified: watch::Receiver<Identified>,
    ) {
        let (token, oidc) = self.shown.clone().unwrap_or_default();
        self.way = Some(Doorway {
            names: self.config.names.clone(),
            token,
            oidc,
            identities: identities(named, identified),
            clock: Arc::new(clock::now),
            secrets: Arc::new(clock::random::<32>),
        });
    }

    /// Where a browser goes.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.config.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Where the operator token is, if there is one.
    pub(crate) fn token_path(&self, data: &Path) -> Option<PathBuf> {
        self.config.operator_token.then(|| data.join(TOKEN_FILE))
    }

    /// Serves, also after it has stopped.
    pub(crate) fn start(&mut self, api: Api) {
        let Some(way) = self.way.clone() else { return };
        let (port, address, files) = (self.port.take(), self.address, self.config.tls.clone());
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let port = match port {
                Some(port) => Ok(port),
                None => again(address, files).await,
            };
            let stop = async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            match port {
                Ok(port) => port.serve(way, api, stop).await,
                Err(error) => tracing::error!("the web port is not there any more: {error:#}"),
            }
        });
        self.task = Some((stop, task));
    }

    /// Stops, and lets go of the port.
    pub(crate) async fn stop(&mut self) {
        if let Some((stop, task)) = self.task.take() {
            stop.send_replace(true);
            let _ = task.await;
        }
    }
}

/// Binds a port that may be another one's for a moment more.
async fn again(address: SocketAddr, files: Option<gateway::ServerFiles>) -> anyhow::Result<Port> {
    let mut tried = Port::bind(address, files.clone()).await;
    for _ in 1..BIND_TRIES {
        if tried.is_ok() {
            break;
        }
        tokio::time::sleep(BIND_PAUSE).await;
        tried = Port::bind(address, files.clone()).await;
    }
    Ok(tried?)
}

/// One person is one principal, whatever they show. Whoever has the operator token may what every person may, for they can
/// read the server's files.
fn identities(named: watch::Receiver<Vec<KnownPrincipal>>, identified: watch::Receiver<Identified>) -> Identities {
    Arc::new(move |identity| {
        let from = match identity {
            Identity::OperatorToken => {
                let roles = Role::PEOPLE.iter().map(|role| role.name().to_owned()).collect();
                let principal = Principal::new(TOKEN_NAME, roles);
                return Some(Caller::named(Principal { from: Some("operator token".to_owned()), ..principal }));
            }
            Identity::Oidc { issuer, .. } => format!("token of {issuer}"),
            // A workload's name is no person's; a common name can be, and the principal's name says enough.
            Identity::Certificate(Names::Spiffe(id)) => format!("certificate of {id}"),
            Identity::Certificate(Names::Subject(_) | Names::None) => "certificate".to_owned(),
        };
        let identified = identified.borrow();
        let name = identified.get(identity)?;
        let named = named.borrow();
        let known = named.iter().find(|known| known.name == *name)?;
        Some(Caller::named(Principal { name: known.name.clone(), roles: known.roles.clone(), from: Some(from) }))
    })
}

/// Whether the operator token is there and can be used, for whoever looks without starting a server: none is made.
pub(crate) fn look_at_token(path: &Path) -> anyhow::Result<bool> {
    match File::open(path) {
        Ok(file) => read(file).map(|_| true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The operator token, which is made if it is not there.
fn token(path: &Path) -> anyhow::Result<String> {
    match File::open(path) {
        Ok(file) => read(file).with_context(|| path.display().to_string()),
        Err(error) if error.kind() == ErrorKind::NotFound => make(path).with_context(|| path.display().to_string()),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

fn read(file: File) -> anyhow::Result<String> {
    const ADVICE: &str = "delete it, and a new one is made";
    let (least, most) = TOKEN_BYTES;
    let token = private_file::token(file, TOKEN_BYTES, ADVICE)?;
    token.with_context(|| format!("expected {least} to {most} letters on one line: {ADVICE}"))
}

fn make(path: &Path) -> anyhow::Result<String> {
    let token = web::token_text(clock::random());
    private_file::make(path, format!("{token}\n").as_bytes())?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_made_once_and_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(TOKEN_FILE);
        let first = token(&path).unwrap();
        assert_eq!((token(&path).unwrap().as_str(), first.len()), (first.as_str(), 43));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = format!("{:#}", token(&path).unwrap_err());
        assert!(refused.contains("operator.token: may be read by others (mode 640)"), "{refused}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "short\n").unwrap();
        let refused = format!("{:#}", token(&path).unwrap_err());
        assert!(refused.contains("expected 32 to 256 letters") && !refused.contains("short"), "{refused}");
    }
}
