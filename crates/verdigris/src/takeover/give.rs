//! The old process: what it passes on, and when.

use super::wire::{FromNew, FromOld, MAX_DESCRIPTORS, PROTOCOL, PassedPort, Wire, WireError};
use anyhow::{Context, bail};
use gateway::Socket;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixListener;
use web::{Hidden, Listening};

/// A new process answers at once, but for the ports that it binds and the ledger that it replays.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long a new process may take from the ledger's release until it serves: it replays some 10,000 records a second.
/// For so long at most nothing is decided.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(60);
/// After a failed accept: out of file descriptors, it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The socket's name in the data folder.
pub(super) const DOOR: &str = "takeover.sock";

/// Where a new process asks to take over.
pub struct Door {
    /// `None` if it could not be made.
    listener: Option<UnixListener>,
    path: PathBuf,
}

/// A door that nobody finds yet.
pub struct HiddenDoor {
    socket: Hidden,
    path: PathBuf,
}

impl HiddenDoor {
    /// Takes the place of the old process's. It is too late to fail: without it this process can be stopped and started.
    pub fn show(self) -> Door {
        let listener = self.socket.show().map_err(anyhow::Error::from);
        let listener = listener.and_then(|listener| Ok(UnixListener::from_std(listener)?));
        if let Err(error) = &listener {
            tracing::error!("no process can take over from this one: {error:#}");
        }
        Door { listener: listener.ok(), path: self.path }
    }
}

impl Door {
    /// Opens it, in the place of one that a process before left. The ledger must be open: its lock says that no other
    /// process serves from this folder.
    pub fn open(data: &Path) -> anyhow::Result<Door> {
        let HiddenDoor { socket, path } = Door::prepare(data)?;
        Ok(Door { listener: Some(UnixListener::from_std(socket.show()?)?), path })
    }

    /// Makes everything that can fail, while another process still serves from this folder.
    pub fn prepare(data: &Path) -> anyhow::Result<HiddenDoor> {
        let path = data.join(DOOR);
        Ok(HiddenDoor { socket: Hidden::make(&path)?, path })
    }

    /// The next process that asks.
    pub async fn knock(&self) -> Wire {
        let Some(listener) = &self.listener else { return std::future::pending().await };
        loop {
            match listener.accept().await {
                Ok((stream, _)) => match stream.peer_cred() {
                    Ok(peer) if may_take_over(peer.uid(), rustix::process::geteuid().as_raw()) => {
                        return Wire::new(stream);
                    }
                    Ok(peer) => tracing::warn!("user {} asked to take over, and was turned away", peer.uid()),
                    Err(error) => tracing::warn!("somebody asked to take over; who, the system does not say: {error}"),
                },
                Err(error) => {
                    tracing::warn!("{}: {error}", self.path.display());
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Takes the socket away.
    pub fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The user that this process runs as, and root, who can do all of it anyway.
fn may_take_over(user: u32, own: u32) -> bool {
    user == own || user == 0
}

/// A process that wants to take over.
pub struct Applicant {
    wire: Wire,
    /// Its version.
    pub program: String,
    /// Whether it answers on the API's socket that it was passed.
    pub keeps_api: bool,
}

impl Applicant {
    /// Passes the sockets on, and waits until it has all that it needs but the ledger. Nothing changes here by that.
    pub async fn meet(mut wire: Wire, ports: Vec<Socket>, api: &Listening) -> anyhow::Result<Applicant> {
        let program = match wire.receive(ANSWER_LIMIT).await?.0 {
            FromNew::Hello { protocol: PROTOCOL, program } => program,
            FromNew::Hello { protocol, program } => {
                let reason = format!(
                    "verdigris {} speaks version {PROTOCOL} of the takeover, verdigris {program} version {protocol}: stop \
                     the one and start the other",
                    env!("CARGO_PKG_VERSION")
                );
                refuse(&mut wire, &reason).await;
                bail!(reason);
            }
            other => bail!("it began with {other:?}"),
        };
        if ports.len() >= MAX_DESCRIPTORS {
            let reason = format!("{} ports are more than the {MAX_DESCRIPTORS} that can be passed on", ports.len());
            refuse(&mut wire, &reason).await;
            bail!(reason);
        }
        let passed = ports.iter().map(|port| PassedPort { name: port.role.name(), fixed: port.fixed }).collect();
        let api_socket = api.socket().context("the API's socket")?;
        let mut descriptors = vec![api_socket.as_fd()];
        descriptors.extend(ports.iter().map(|port| port.listener.as_fd()));
        let api = std::path::absolute(api.path())?;
        let sockets = FromOld::Sockets { program: env!("CARGO_PKG_VERSION").to_owned(), api, ports: passed };
        wire.send(&sockets, &descriptors).await?;
        match wire.receive(ANSWER_LIMIT).await?.0 {
            FromNew::Release { keeps_api } => Ok(Applicant { wire, program, keeps_api }),
            other => bail!("it was passed the sockets and said {other:?}"),
        }
    }

    /// The ledger is closed. Ends when the new process serves; from then on it is the one that decides.
    pub async fn follow(&mut self, pins: Option<File>) -> anyhow::Result<()> {
        let descriptors: Vec<_> = pins.iter().map(AsFd::as_fd).collect();
        self.wire.send(&FromOld::Released { pins: pins.is_some() }, &descriptors).await?;
        match self.wire.receive(TAKEOVER_LIMIT).await?.0 {
            FromNew::Accepting => {}
            other => bail!("it was given the ledger and said {other:?}"),
        }
        if let Err(error) = self.wire.send(&FromOld::Leaving, &[]).await {
            tracing::warn!("the new process may not know that it is alone: {error}");
        }
        Ok(())
    }

    /// The process, if the kernel says which.
    pub fn process(&self) -> Option<u32> {
        self.wire.peer()
    }

    /// Says that this process goes on.
    pub async fn refuse(mut self, reason: &str) {
        refuse(&mut self.wire, reason).await;
    }

    /// Says that this process has finished everything.
    pub async fn gone(mut self) {
        if let Err(error) = self.wire.send(&FromOld::Gone, &[]).await {
            tracing::debug!("the new process cannot be told of the end: {error}");
        }
    }
}

async fn refuse(wire: &mut Wire, reason: &str) {
    let sent: Result<(), WireError> = wire.send(&FromOld::Refused { reason: reason.to_owned() }, &[]).await;
    if let Err(error) = sent {
        tracing::debug!("whoever wanted to take over cannot be told: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::may_take_over;

    #[test]
    fn only_the_same_user_and_root_may_take_over() {
        assert!(may_take_over(1_000, 1_000) && may_take_over(0, 1_000) && may_take_over(0, 0));
        assert!(!may_take_over(1_001, 1_000) && !may_take_over(1_000, 0));
    }
}
