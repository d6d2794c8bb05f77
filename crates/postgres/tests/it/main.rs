//! Against a real PostgreSQL server.

#![allow(clippy::unwrap_used)] // In a test what fails may panic; clippy knows tests by their functions alone.

#[path = "../support/server.rs"]
mod server;

mod queries;
mod rows;
mod safety;
mod schema;
mod types;

use migration::{Checks, Table};
use model::{ClientTls, GateVerdict, PerEnvironment};
use postgres::{Answer, Database, Source};
use server::Server;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;

/// Longer than any test takes: only what is tested ends earlier.
const LIMIT: Duration = Duration::from_secs(120);
const SECRET: [u8; 32] = [7; 32];

/// Two databases on one server.
struct Pair {
    server: Arc<Server>,
    names: PerEnvironment<String>,
    /// Holds the files with the DSNs.
    folder: tempfile::TempDir,
}

impl Pair {
    /// Both made by `setup`; then green alone is changed.
    fn new(setup: &str, change: &str) -> Pair {
        Pair::on(Server::shared(), setup, change)
    }

    fn on(server: Arc<Server>, setup: &str, change: &str) -> Pair {
        let names = PerEnvironment { blue: server.database(), green: server.database() };
        server.sql(&names.blue, setup);
        server.sql(&names.green, setup);
        if !change.is_empty() {
            server.sql(&names.green, change);
        }
        Pair { server, names, folder: tempfile::tempdir().unwrap() }
    }

    /// Both as the superuser, by the Unix socket.
    fn databases(&self) -> PerEnvironment<Database> {
        self.by("postgres", "")
    }

    fn by(&self, role: &str, more: &str) -> PerEnvironment<Database> {
        let (folder, port) = (self.server.folder().display().to_string(), self.server.port);
        self.names.clone().map(|name| {
            let dsn = format!("host={folder} port={port} user={role} dbname={name} {more}");
            self.database(&name, &dsn, ClientTls::default())
        })
    }

    fn database(&self, name: &str, dsn: &str, tls: ClientTls) -> Database {
        let path = self.folder.path().join(name);
        _ = std::fs::remove_file(&path);
        let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).unwrap();
        file.write_all(dsn.as_bytes()).unwrap();
        Database { source: Source::File(path), tls }
    }

    async fn run(&self, checks: &Checks) -> Answer {
        postgres::run(&self.databases(), checks, LIMIT, SECRET).await
    }
}

fn tables(names: &[&str]) -> Checks {
    Checks { tables: names.iter().map(|name| Table::new(name)).collect(), ..Checks::default() }
}

/// `setup` on both sides, `change` on green; the verdict, and exactly these reasons.
async fn check(setup: &str, change: &str, checks: &Checks, verdict: GateVerdict, reasons: &[&str]) -> Answer {
    let answer = Pair::new(setup, change).run(checks).await;
    assert_eq!(
        (answer.result.verdict, &answer.result.reasons[..]),
        (verdict, &reasons.iter().map(|reason| (*reason).to_owned()).collect::<Vec<_>>()[..]),
        "{change}"
    );
    answer
}
