//! The demo's page: a server's own, on loopback, for as long as the demo goes on.

use crate::config::{Identified, Web};
use crate::describe::Failed;
use crate::serve::asked;
use crate::serve::door::WebPort;
use crate::system::System;
use std::io::Read;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use tokio::sync::{oneshot, watch};

/// Easy to find again, where nobody else has it; the server's own is 4321.
const PORT: u16 = 7070;

/// The page, which is served.
pub(super) struct Page {
    web: WebPort,
    token: PathBuf,
}

impl Page {
    /// Makes a token of its own in the data folder, for nobody else.
    pub(super) async fn open(system: &System, data: &Path) -> Result<Page, Failed> {
        let at = |port: u16| Web {
            listen: (Ipv4Addr::LOCALHOST, port).into(),
            names: Vec::new(),
            tls: None,
            operator_token: true,
            oidc: None,
        };
        let mut web = match WebPort::bind(at(PORT)).await {
            Ok(bound) => bound,
            Err(_) => WebPort::bind(at(0)).await?,
        };
        web.read(data)?;
        let named = watch::Sender::new(Vec::new()).subscribe();
        web.open(named.clone(), watch::Sender::new(Identified::new()).subscribe());
        web.start(asked::api(system, named));
        let token = web.token_path(data).unwrap_or_default();
        Ok(Page { web, token })
    }

    /// Where it is.
    pub(super) fn url(&self) -> String {
        self.web.url()
    }

    /// The file of the token that signs in there.
    pub(super) fn token(&self) -> &Path {
        &self.token
    }

    /// Ends it. The token opens nothing any more, and goes.
    pub(super) async fn close(mut self) {
        self.web.stop().await;
        // One that is left opens the pages of the next demo in this folder, for whoever may read it now.
        let _ = std::fs::remove_file(&self.token);
    }
}

/// Waits until somebody presses Enter or Ctrl-C, or standard input ends.
pub(super) async fn enter() {
    let (pressed, waits) = oneshot::channel();
    // In a thread that nobody waits for: reading cannot be broken off.
    std::thread::spawn(move || {
        let line = std::io::stdin().lock().bytes().take_while(|byte| byte.as_ref().is_ok_and(|byte| *byte != b'\n'));
        line.for_each(drop);
        let _ = pressed.send(());
    });
    tokio::select! {
        _ = waits => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
