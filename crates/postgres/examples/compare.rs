//! How long it takes to compare N rows on each side, and what crosses the wire: ours beside both tables copied out and
//! compared line by line, in one run.
//!
//! `cargo run --release -p postgres --example compare -- 10000000`

// Made for tests, where what fails may panic.
#[allow(dead_code, clippy::unwrap_used)]
#[path = "../tests/support/server.rs"]
mod server;

use migration::{Checks, Table};
use model::{ClientTls, PerEnvironment};
use postgres::{Database, Source};
use server::Server;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(3_600);
const COPY: &str = "COPY (SELECT * FROM orders ORDER BY id) TO STDOUT";

#[tokio::main]
async fn main() {
    let rows: u64 = std::env::args().nth(1).map_or(1_000_000, |text| text.parse().expect("a number of rows"));
    let server = Server::start(&["shared_buffers=512MB", "max_wal_size=8GB", "autovacuum=off"]);
    let names = PerEnvironment { blue: server.database(), green: server.database() };
    let setup = format!(
        "CREATE UNLOGGED TABLE orders (id bigint, customer text, total numeric(12,2), at timestamptz, key uuid, paid boolean); \
         INSERT INTO orders SELECT g, 'customer ' || g % 100000, (g % 1000000) / 100.0, '2026-01-01Z'::timestamptz + g * interval '1 second', \
         md5(g::text)::uuid, g % 3 = 0 FROM generate_series(1, {rows}) g; ALTER TABLE orders ADD PRIMARY KEY (id)"
    );
    for name in [&names.blue, &names.green] {
        server.sql(name, &setup);
        server.sql(name, "VACUUM ANALYZE orders");
    }
    println!(
        "{rows} rows a side, {} a side",
        server.sql(&names.blue, "SELECT pg_size_pretty(pg_table_size('orders'))")
    );

    let folder = tempfile::tempdir().expect("a temporary folder");
    let databases = names.clone().map(|name| {
        let path = folder.path().join(&name);
        let mut file =
            std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).expect("a new file");
        let dsn = format!("host={} port={} user=postgres dbname={name}", server.folder().display(), server.port);
        file.write_all(dsn.as_bytes()).expect("a short file");
        Database { source: Source::File(path), tls: ClientTls::default() }
    });
    let checks = Checks { tables: vec![Table::new("orders")], ..Checks::default() };
    ours("ours, nothing differs", &databases, &checks).await;
    server.sql(&names.green, &format!("UPDATE orders SET total = total + 1 WHERE id = {}", rows / 3));
    server.sql(&names.green, &format!("DELETE FROM orders WHERE id = {}", rows * 2 / 3));
    ours("ours, one row changed and one lost", &databases, &checks).await;
    peer(&server, &names);
}

async fn ours(what: &str, databases: &PerEnvironment<Database>, checks: &Checks) {
    let begun = Instant::now();
    let answer = postgres::run(databases, checks, LIMIT, [0; 32]).await;
    let (seconds, bytes) = (begun.elapsed().as_secs_f64(), answer.bytes);
    println!(
        "{what}: {seconds:.1} s, {} questions, {} bytes received and {} sent; {:?}",
        answer.questions,
        bytes.blue.received + bytes.green.received,
        bytes.blue.sent + bytes.green.sent,
        answer.result.verdict
    );
    for reason in answer.result.reasons {
        println!("  {reason}");
    }
}

/// Both tables by `COPY` through `psql`, joined by the key as they come.
fn peer(server: &Server, names: &PerEnvironment<String>) {
    let begun = Instant::now();
    let (mut children, mut streams) = (Vec::new(), Vec::new());
    for name in [&names.blue, &names.green] {
        let mut child = copy(server, name);
        streams.push(Lines::new(child.stdout.take().expect("a pipe")));
        children.push(child);
    }
    let [blue, green] = &mut streams[..] else { unreachable!("two sides") };
    let (mut lost, mut added, mut changed) = (0_u64, 0_u64, 0_u64);
    loop {
        match (blue.key, green.key) {
            (None, None) => break,
            (Some(left), right) if right.is_none_or(|right| left < right) => {
                lost += 1;
                blue.advance();
            }
            (left, Some(right)) if left.is_none_or(|left| right < left) => {
                added += 1;
                green.advance();
            }
            _ => {
                changed += u64::from(blue.line != green.line);
                blue.advance();
                green.advance();
            }
        }
    }
    let bytes = blue.bytes + green.bytes;
    for mut child in children {
        assert!(child.wait().expect("psql ends").success());
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "psql COPY of both, joined line by line: {seconds:.1} s, {bytes} bytes; {lost} lost, {added} added, {changed} changed"
    );
}

fn copy(server: &Server, name: &str) -> Child {
    let port = server.port.to_string();
    let mut command = Command::new(server.programs().join("psql"));
    command.arg("-h").arg(server.folder()).args(["-p", &port, "-U", "postgres", "-d", name, "-qc", COPY]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("psql starts")
}

/// The lines of a copy, one at a time.
struct Lines {
    from: BufReader<ChildStdout>,
    line: Vec<u8>,
    key: Option<u64>,
    bytes: u64,
}

impl Lines {
    fn new(from: ChildStdout) -> Lines {
        let mut lines = Lines { from: BufReader::with_capacity(1 << 20, from), line: Vec::new(), key: None, bytes: 0 };
        lines.advance();
        lines
    }

    fn advance(&mut self) {
        self.line.clear();
        self.bytes += self.from.read_until(b'\n', &mut self.line).expect("the copy can be read") as u64;
        let key = self.line.split(|byte| *byte == b'\t').next().unwrap_or_default();
        self.key = std::str::from_utf8(key).ok().and_then(|key| key.parse().ok());
    }
}
