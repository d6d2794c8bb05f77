//! Sockets that a service manager made and passes on at the start: sd_listen_fds(3).

use crate::config::Config;
use crate::describe::Failed;
use gateway::{PortRole, Socket};
use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;
use std::net::TcpListener;

/// Sockets by the names that they were given.
#[derive(Debug, Default)]
pub struct Passed(Vec<(String, TcpListener)>);

impl Passed {
    /// Takes them out of the environment, so that no process that this one starts takes them for its own. Must be called
    /// before there are threads.
    pub fn take() -> Result<Passed, Failed> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut passed = ListenFd::from_env();
        let mut names = names.split(':');
        let mut sockets = Vec::new();
        for index in 0..passed.len() {
            let name = names.next().unwrap_or_default().to_owned();
            let refused = |why: String| Failed::usage(format!("socket {name:?} of the service manager: {why}"));
            let socket = match passed.take_tcp_listener(index) {
                Ok(Some(socket)) => socket,
                Ok(None) => continue,
                Err(error) => return Err(refused(format!("{error}; expected ListenStream= with an address and port"))),
            };
            if !socket_acceptconn(&socket).is_ok_and(|listens| listens) {
                return Err(refused("it does not listen; expected Accept=no".to_owned()));
            }
            sockets.push((name, socket));
        }
        Ok(Passed(sockets))
    }

    /// They take the place of the addresses in the configuration.
    pub fn sockets(self, config: &Config) -> Result<Vec<Socket>, Failed> {
        let expected: Vec<PortRole> = config.ports().into_iter().map(|(role, _)| role).collect();
        let mut sockets: Vec<Socket> = Vec::new();
        for (name, listener) in self.0 {
            let role = expected.iter().find(|role| role.name() == name).cloned();
            let Some(role) = role else {
                let names: Vec<String> = expected.iter().map(PortRole::name).collect();
                return Err(Failed::usage(format!(
                    "the service manager passes a socket named {name:?}; expected one of {}: set FileDescriptorName= \
                     in its socket unit",
                    names.join(", ")
                )));
            };
            if sockets.iter().any(|socket| socket.role == role) {
                return Err(Failed::usage(format!(
                    "the service manager passes two sockets named {name:?}; expected one address for each name"
                )));
            }
            sockets.push(Socket { role, fixed: true, listener });
        }
        Ok(sockets)
    }
}
