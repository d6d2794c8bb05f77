//! The new process: what it is passed, and what it says to the old one.

use super::give::DOOR;
use super::wire::{FromNew, FromOld, PROTOCOL, Wire, WireError};
use anyhow::{Context, anyhow, bail};
use gateway::{PortRole, Socket};
use std::fs::File;
use std::io::Seek;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// The old process answers at once, but for what its API and its ledger are just at: 5 s and some syncs of the disk.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// The old process finishes its requests within 35 s.
const LEAVE_LIMIT: Duration = Duration::from_secs(60);

/// A running server, on the way to be taken over from.
pub struct Taking {
    wire: Wire,
    /// The ports that it was passed, to be taken out.
    pub ports: Vec<Socket>,
    api: Option<(PathBuf, OwnedFd)>,
}

impl Taking {
    /// Asks the server that runs on this data folder for its sockets. It goes on as ever.
    pub async fn begin(data: &Path) -> anyhow::Result<Taking> {
        let path = data.join(DOOR);
        let stream = UnixStream::connect(&path).await.with_context(|| {
            format!("{}: no server runs there that could be taken over; start without --takeover", path.display())
        })?;
        let mut wire = Wire::new(stream);
        let program = env!("CARGO_PKG_VERSION").to_owned();
        wire.send(&FromNew::Hello { protocol: PROTOCOL, program }, &[]).await?;
        let (answer, descriptors) = wire.receive(ANSWER_LIMIT).await.context("the running server")?;
        let (program, api, passed) = match answer {
            FromOld::Sockets { program, api, ports } => (program, api, ports),
            FromOld::Refused { reason } => bail!("the running server cannot be taken over: {reason}"),
            other => bail!("the running server answered with {other:?}"),
        };
        if descriptors.len() != passed.len() + 1 {
            bail!("the running server named {} sockets and passed {}", passed.len() + 1, descriptors.len());
        }
        tracing::info!("taking over from verdigris {program}, process {}", wire.peer().unwrap_or_default());
        let mut descriptors = descriptors.into_iter();
        let api = descriptors.next().map(|socket| (api, socket));
        let mut ports = Vec::new();
        for (port, descriptor) in passed.into_iter().zip(descriptors) {
            // One that this version has no use for is closed here; the old process still has it.
            if let Some(role) = PortRole::named(&port.name) {
                ports.push(Socket { role, fixed: port.fixed, listener: TcpListener::from(descriptor) });
            }
        }
        Ok(Taking { wire, ports, api })
    }

    /// The API's socket, if it is the one at this path.
    pub fn api(&mut self, path: &Path) -> Option<OwnedFd> {
        let path = std::path::absolute(path).ok()?;
        self.api.take_if(|(passed, _)| *passed == path).map(|(_, socket)| socket)
    }

    /// Has the ledger closed. Gives the pins, if there are any. Until [`Taking::serve`] the old process takes everything
    /// back if this one ends.
    pub async fn release(&mut self, keeps_api: bool) -> anyhow::Result<Option<File>> {
        self.wire.send(&FromNew::Release { keeps_api }, &[]).await?;
        let (answer, mut descriptors) = self.wire.receive(ANSWER_LIMIT).await.context("the running server")?;
        match answer {
            FromOld::Released { pins: true } => {
                let mut pins = File::from(descriptors.pop().ok_or_else(|| anyhow!("the pins are missing"))?);
                pins.rewind()?;
                Ok(Some(pins))
            }
            FromOld::Released { pins: false } => Ok(None),
            FromOld::Refused { reason } => bail!("the running server cannot be taken over: {reason}"),
            other => bail!("the running server answered with {other:?}"),
        }
    }

    /// This process serves; the old one leaves now. An error means that it goes on, and that this one must end.
    pub async fn serve(mut self) -> anyhow::Result<Predecessor> {
        let told = self.wire.send(&FromNew::Accepting, &[]).await;
        let answer = match told {
            Ok(()) => self.wire.receive(ANSWER_LIMIT).await,
            // What it said before it closed the connection can still be read.
            Err(_) => self.wire.receive(Duration::ZERO).await,
        };
        match answer {
            Ok((FromOld::Leaving, _)) => {}
            Ok((FromOld::Refused { reason }, _)) => bail!("the old process goes on: {reason}"),
            Ok((other, _)) => bail!("the old process answered with {other:?}"),
            // It refuses aloud; whoever only falls silent is gone, and the ledger is here.
            Err(error) => tracing::warn!("the old process did not say that it leaves: {error}"),
        }
        Ok(Predecessor { wire: self.wire })
    }
}

/// The process before this one, while it finishes what it took.
pub struct Predecessor {
    wire: Wire,
}

impl Predecessor {
    /// Ends when it has gone.
    pub async fn gone(mut self) {
        match self.wire.receive::<FromOld>(LEAVE_LIMIT).await {
            Ok((FromOld::Gone, _)) => tracing::info!("the old process has finished its requests"),
            Ok((other, _)) => tracing::warn!("the old process said {other:?} at its end"),
            Err(WireError::Ended) => tracing::warn!("the old process ended before it had finished its requests"),
            Err(error) => tracing::warn!("the old process does not end: {error}"),
        }
    }
}
