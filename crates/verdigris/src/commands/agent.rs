//! `verdigris agent`: makes calls inside of an environment, for a server that asks.

use crate::cli::Agent;
use crate::clock;
use crate::describe::{Exit, Failed, say};
use gates::integration::{Clock, agent, stopwatch};
use model::ClientTls;
use std::path::Path;
use std::sync::Arc;
use tls::{Server, ServerFiles};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Serves until SIGTERM or SIGINT.
pub async fn run(command: Agent) -> Result<Exit, Failed> {
    let Agent { listen, token_file, allow, cert, key, ca } = command;
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let server = match (cert, key) {
        (Some(cert), Some(key)) => {
            let server = Server::open(ServerFiles { cert, key, client_ca: None });
            Some(Arc::new(server.map_err(|error| Failed::usage(error.to_string()))?))
        }
        _ if listen.ip().is_loopback() => None,
        _ => {
            let words = format!(
                "--listen {listen} is not on loopback: its token could be read on the way; add --cert and --key"
            );
            return Err(Failed::usage(words));
        }
    };
    let tls = ClientTls { ca: ca.as_deref().map(path), ..ClientTls::default() };
    let listener = TcpListener::bind(listen).await.map_err(|error| anyhow::anyhow!("{listen}: {error}"))?;
    let address = listener.local_addr().map_err(|error| anyhow::anyhow!("{listen}: {error}"))?;
    let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    say(format_args!("makes calls for whoever shows the token, at {address}"));
    let clock = Arc::new(clock::now) as Clock;
    let config = agent::Config { token_file, allow, tls, server, stopwatch: stopwatch(), clock };
    tokio::select! {
        ended = agent::serve(listener, config) => match ended {
            Ok(never) => match never {},
            Err(error) => Err(Failed::usage(error.to_string())),
        },
        _ = terminated.recv() => Ok(Exit::Done),
        _ = interrupted.recv() => Ok(Exit::Done),
    }
}
