//! A PostgreSQL server for tests: found, made in a temporary folder, stopped when nobody needs it.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A running server. It listens on a Unix socket in its folder (no password) and on 127.0.0.1 (SCRAM, TLS).
pub struct Server {
    folder: tempfile::TempDir,
    programs: PathBuf,
    user: Option<User>,
    pub port: u16,
    databases: AtomicU32,
}

/// Whom the server runs as, where we are root: it refuses that.
#[derive(Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());

impl Server {
    /// The one that other tests use now, or a new one.
    pub fn shared() -> Arc<Server> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Server::start(&[]));
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// One of its own, with more settings.
    pub fn start(settings: &[&str]) -> Server {
        let programs = programs();
        let user = user();
        let folder = tempfile::tempdir().unwrap();
        let (data, authority) = (folder.path().join("data"), certs::Authority::new("databases"));
        std::fs::create_dir(&data).unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        authority.write(folder.path(), "ca.pem");
        let (cert, key) = authority.server(&["localhost"], certs::Validity::Long).write(folder.path(), "server");
        std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        if let Some(user) = user {
            for path in [folder.path(), &data, &cert, &key] {
                chown(path, Some(user.uid), Some(user.gid)).unwrap();
            }
        }
        let mut server = Server { folder, programs, user, port: 0, databases: AtomicU32::new(0) };
        let shown = |path: &Path| path.to_str().unwrap().to_owned();
        server.run(
            "initdb",
            &["-D", &shown(&data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        );
        let access = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\nhostnossl all all 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(data.join("pg_hba.conf"), access).unwrap();
        // Somebody else may take a free port before the server does.
        for attempt in 0.. {
            server.port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let sockets = shown(server.folder.path());
            let mut options = format!(
                "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={sockets} -c fsync=off -c log_statement=all \
                 -c log_line_prefix=%u/%d/%a: -c max_connections=200 -c ssl=on -c ssl_cert_file={} -c ssl_key_file={}",
                server.port,
                shown(&cert),
                shown(&key)
            );
            for setting in settings {
                options.push_str(&format!(" -c {setting}"));
            }
            let log = shown(&server.log());
            let (ok, said) =
                server.try_run("pg_ctl", &["start", "-w", "-D", &shown(&data), "-l", &log, "-o", &options]);
            if ok {
                break;
            }
            assert!(
                attempt < 5,
                "PostgreSQL does not start: {said}\n{}",
                std::fs::read_to_string(server.log()).unwrap_or_default()
            );
        }
        server
    }

    /// Where its sockets are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder with `psql`.
    #[allow(dead_code)]
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// The authority of its certificate.
    pub fn authority(&self) -> String {
        self.folder.path().join("ca.pem").to_str().unwrap().to_owned()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What this role and database had logged so far: every statement.
    pub fn logged(&self, role: &str, database: &str) -> Vec<String> {
        let start = format!("{role}/{database}/");
        let log = std::fs::read_to_string(self.log()).unwrap();
        log.lines().filter(|line| line.starts_with(&start)).map(str::to_owned).collect()
    }

    /// A new, empty database.
    pub fn database(&self) -> String {
        let name = format!("db{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0"));
        name
    }

    /// Runs statements, and gives what `psql -At` prints.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let (folder, port) = (self.folder.path().to_str().unwrap(), self.port.to_string());
        self.run(
            "psql",
            &["-h", folder, "-p", &port, "-U", "postgres", "-d", database, "-Atqv", "ON_ERROR_STOP=1", "-c", sql],
        )
    }

    /// Stops it at once, as if it had crashed.
    pub fn stop(&self) {
        let data = self.folder.path().join("data");
        self.try_run("pg_ctl", &["stop", "-w", "-m", "immediate", "-D", data.to_str().unwrap()]);
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let (ok, said) = self.try_run(program, arguments);
        assert!(ok, "{program} failed: {said}");
        said.trim_end().to_owned()
    }

    fn try_run(&self, program: &str, arguments: &[&str]) -> (bool, String) {
        let program = self.programs.join(program);
        let mut command = match self.user {
            Some(User { uid, gid }) => {
                let mut command = Command::new("setpriv");
                command
                    .args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".into()])
                    .arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(arguments).env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
        // The server inherits a pipe and keeps it open: its output goes to files.
        let out = tempfile::tempfile().unwrap();
        let status = command.stdout(out.try_clone().unwrap()).stderr(out.try_clone().unwrap()).status().unwrap();
        let mut said = String::new();
        use std::io::{Read, Seek};
        let mut out = out;
        out.rewind().unwrap();
        out.read_to_string(&mut said).unwrap();
        (status.success(), said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The folder with `postgres`, `initdb`, `pg_ctl` and `psql`.
fn programs() -> PathBuf {
    let given = std::env::var_os("VERDIGRIS_E2E_POSTGRES").map(PathBuf::from);
    let given = given.iter().flat_map(|folder| [folder.join("bin"), folder.clone()]);
    // This test is TARGET/debug/deps/NAME, an example TARGET/debug/examples/NAME.
    let own = std::env::current_exe().ok();
    let target = own.as_deref().and_then(|own| own.ancestors().nth(3));
    let unpacked = target.map(|target| target.join("e2e/postgres/usr/lib/postgresql/15/bin"));
    let places: Vec<PathBuf> = given.chain(["/usr/lib/postgresql/15/bin".into()]).chain(unpacked).collect();
    places.iter().find(|folder| folder.join("initdb").exists()).cloned().unwrap_or_else(|| {
        panic!(
            "no PostgreSQL 15 in {places:?}: run `cargo xtask e2e-setup` or `apt-get install postgresql-15`, or set VERDIGRIS_E2E_POSTGRES to its folder"
        )
    })
}

fn user() -> Option<User> {
    let id = |arguments: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    let other = ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| Some(User { uid: id(&["-u", name])?, gid: id(&["-g", name])? }));
    Some(other.expect("as root, a user `postgres` or `nobody` is needed, for PostgreSQL does not run as root"))
}
