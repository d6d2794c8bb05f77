//! Where a database is, without ever saying so: a DSN holds a password.

use model::ClientTls;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tokio_postgres::Config;
use zeroize::Zeroizing;

/// Bytes of a DSN: a host, a name and a password each of some hundred bytes.
const MAX_DSN_BYTES: usize = 8 * 1024;

/// One side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Where its DSN is.
    pub source: Source,
    /// How a server on the network is verified. A Unix socket has no TLS.
    pub tls: ClientTls,
}

/// Where a DSN is: `postgresql://USER:PASSWORD@HOST:PORT/NAME`, or `host=… user=…` (libpq, "Connection Strings").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The first line of a file that only its owner may read. The path is absolute.
    File(PathBuf),
    /// An environment variable of this process.
    Variable(String),
}

/// Why there is no DSN. Never says what was read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file system refused.
    #[error("{path}: cannot be read: {source}; expected a file with a DSN", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read the password.
    #[error("{path}: its mode is {mode:04o}, so others may read the password; expected 0600 (chmod 600)", path = path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The variable is not there.
    #[error("the environment variable {name} is not set, or is not UTF-8; expected a DSN in it")]
    Variable {
        /// Its name.
        name: String,
    },
    /// What is there is no DSN.
    #[error(
        "{place}: no DSN: expected postgresql://USER:PASSWORD@HOST:PORT/NAME or host=… user=…, of at most {MAX_DSN_BYTES} bytes"
    )]
    Dsn {
        /// The file or the variable.
        place: String,
    },
}

impl Source {
    /// Reads and parses. Blocking.
    pub(crate) fn read(&self) -> Result<Config, SourceError> {
        let (text, place) = match self {
            Source::File(path) => {
                let failed = |source| SourceError::Read { path: path.clone(), source };
                let file = std::fs::File::open(path).map_err(failed)?;
                let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
                if mode & 0o077 != 0 {
                    return Err(SourceError::Mode { path: path.clone(), mode });
                }
                let mut text = Zeroizing::new(String::with_capacity(MAX_DSN_BYTES + 1));
                file.take(MAX_DSN_BYTES as u64 + 1).read_to_string(&mut text).map_err(failed)?;
                (text, path.display().to_string())
            }
            Source::Variable(name) => {
                let read = std::env::var(name).map_err(|_| SourceError::Variable { name: name.clone() })?;
                (Zeroizing::new(read), name.clone())
            }
        };
        let line = text.lines().next().unwrap_or_default().trim();
        if line.is_empty() || text.len() > MAX_DSN_BYTES {
            return Err(SourceError::Dsn { place });
        }
        // The parser's own error quotes what it read.
        line.parse().map_err(|_| SourceError::Dsn { place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;

    fn check(text: &str, mode: u32, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dsn");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let words = match Source::File(path).read() {
            Ok(config) => format!("{:?} as {}", config.get_hosts(), config.get_user().unwrap_or_default()),
            Err(error) => error.to_string(),
        };
        assert!(words.contains(expected), "{words}");
        assert!(!words.contains("geheim"), "the password is in {words}");
    }

    #[test]
    fn a_dsn_is_read_and_never_shown() {
        check("postgresql://anna:geheim@db.example:5432/shop\n", 0o600, "[Tcp(\"db.example\")] as anna");
        check("host=/run/pg user=anna password=geheim", 0o400, "[Unix(\"/run/pg\")] as anna");
        check("postgresql://anna:geheim@db.example/shop", 0o640, "its mode is 0640");
        check("geheim", 0o600, "no DSN");
        check("", 0o600, "no DSN");
        check(&format!("host={} password=geheim", "a".repeat(MAX_DSN_BYTES)), 0o600, "no DSN");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let words = |source: Source| source.read().unwrap_err().to_string();
        assert!(words(Source::File("/nowhere/dsn".into())).starts_with("/nowhere/dsn: cannot be read"));
        assert!(words(Source::Variable("VERDIGRIS_NO_SUCH_DSN".into())).contains("VERDIGRIS_NO_SUCH_DSN is not set"));
    }
}
