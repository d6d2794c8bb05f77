//! Reads the configuration of an environment: files and folders, a git revision, what a server answers, what a program
//! prints. What is in it goes to whoever compares it, and into a digest that an approval binds to; never into an error.

pub(crate) mod files;
mod git;
pub(crate) mod program;

use crate::server::{Question, Server, ServerError};
use http::Method;
use model::ClientTls;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::time::Duration;

/// Files of one environment that are read at most, how large each may be, and all together: 4,096 files of 16 KiB on
/// average, which is ten times what a manifest has.
pub const MAX_FILES: usize = 4_096;
/// Bytes of one file.
pub const MAX_FILE_BYTES: usize = 4 << 20;
/// Bytes of one environment.
pub const MAX_BYTES: usize = 64 << 20;
/// How long one source may take; a gate as a whole has 120 s.
const SOURCE_LIMIT: Duration = Duration::from_secs(30);

/// Files by their names: relative to the folder that they were found under.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Where a part of a configuration is read from. Paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file or a folder.
    Files(PathBuf),
    /// A revision of a git repository.
    Git {
        /// The repository's folder.
        repository: PathBuf,
        /// A branch, a tag or a commit; begins with no `-`.
        revision: String,
        /// The file or folder in it; `None` for all.
        path: Option<String>,
    },
    /// What a server answers to a GET.
    Http {
        /// Where.
        url: String,
        /// What the document is called.
        name: String,
        /// What TLS needs beyond the defaults.
        tls: ClientTls,
        /// The file of the token that the server is shown.
        token_file: Option<PathBuf>,
    },
    /// What a program prints.
    Command {
        /// The program, by its whole path, and its arguments.
        run: Vec<String>,
        /// What the document is called.
        name: String,
    },
}

/// Why a configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// The file system refused.
    #[error("{}: cannot be read: {source}; expected a file or folder of configuration", path.display())]
    Read {
        /// Which path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A bound is passed.
    #[error("{place}: {what}")]
    TooLarge {
        /// Where.
        place: String,
        /// Which bound.
        what: String,
    },
    /// Two sources have a file of one name.
    #[error("{name} comes from two sources, so that it is not known which of them runs; expected each name once")]
    Twice {
        /// Which.
        name: String,
    },
    /// A program is not among those that the server may run.
    #[error(
        "{program} is not among the programs that the server may run ({allowed}); add it to `gates.commands` in \
         verdigris.yaml if it shall"
    )]
    NotAllowed {
        /// Which program.
        program: String,
        /// Those that it may.
        allowed: String,
    },
    /// A program came to nothing. What it printed is not shown: it may hold secrets.
    #[error("`{command}` {what}; run it by hand to see what it says")]
    Program {
        /// The program and its first argument.
        command: String,
        /// What became of it.
        what: String,
    },
    /// The output of git is not an archive.
    #[error("git's archive of {revision} cannot be read: {source}")]
    Archive {
        /// Of which revision.
        revision: String,
        /// Why.
        source: std::io::Error,
    },
    /// The server did not answer as it should.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The server answered with something else.
    #[error("{url} answered with the status {status}; expected 200 with the configuration")]
    Status {
        /// The URL.
        url: String,
        /// The status.
        status: u16,
    },
    /// It took too long.
    #[error("{place} was not read within {} s", SOURCE_LIMIT.as_secs())]
    Timeout {
        /// Where.
        place: String,
    },
}

/// Reads all sources of one environment. Programs other than those that are allowed are not run. Dropped, it ends what
/// it started.
pub async fn read(sources: &[Source], allowed: &[PathBuf]) -> Result<Files, ConfigurationError> {
    let mut all = Files::new();
    let mut bytes = 0;
    for source in sources {
        let place = || source.place();
        let reading = tokio::time::timeout(SOURCE_LIMIT, read_one(source, allowed));
        let files = reading.await.map_err(|_| ConfigurationError::Timeout { place: place() })??;
        bytes += files.values().map(Vec::len).sum::<usize>();
        if bytes > MAX_BYTES {
            let what = format!("more than {} MiB of configuration", MAX_BYTES >> 20);
            return Err(ConfigurationError::TooLarge { place: place(), what });
        }
        for (name, content) in files {
            match all.entry(name) {
                Entry::Vacant(free) => free.insert(content),
                Entry::Occupied(taken) => return Err(ConfigurationError::Twice { name: taken.key().clone() }),
            };
        }
    }
    if all.len() > MAX_FILES {
        let place = sources.last().map(Source::place).unwrap_or_default();
        return Err(ConfigurationError::TooLarge { place, what: format!("more than {MAX_FILES} files") });
    }
    Ok(all)
}

impl Source {
    /// As errors name it.
    fn place(&self) -> String {
        match self {
            Source::Files(path) => path.display().to_string(),
            Source::Git { repository, revision, .. } => format!("{} at {revision}", repository.display()),
            Source::Http { url, .. } => url.clone(),
            Source::Command { run, .. } => format!("`{}`", program::shown(run)),
        }
    }
}

async fn read_one(source: &Source, allowed: &[PathBuf]) -> Result<Files, ConfigurationError> {
    match source {
        Source::Files(path) => {
            let root = path.clone();
            let given_up = |_| ConfigurationError::Timeout { place: path.display().to_string() };
            tokio::task::spawn_blocking(move || files::read(&root, MAX_FILE_BYTES)).await.map_err(given_up)?
        }
        Source::Git { repository, revision, path } => git::read(repository, revision, path.as_deref()).await,
        Source::Http { url, name, tls, token_file } => {
            let server = Server::new("a server of configuration", url, tls, token_file.clone())?;
            let question = Question {
                method: Method::GET,
                path: String::new(),
                body: None,
                max_answer_bytes: MAX_FILE_BYTES,
                expected: "a configuration",
            };
            match server.ask(&question).await? {
                (200, body) => Ok(Files::from([(name.clone(), body.to_vec())])),
                (status, _) => Err(ConfigurationError::Status { url: server.url().to_owned(), status }),
            }
        }
        Source::Command { run, name } => {
            program::check(run, allowed)?;
            Ok(Files::from([(name.clone(), program::output(run, MAX_FILE_BYTES).await?)]))
        }
    }
}

/// `sha256:` and the hexadecimal SHA-256 over each file in the order of its name: the name's length in bytes (8, big
/// endian), the name, and the SHA-256 of what is in it. Whatever changes is another configuration.
pub fn digest(files: &Files) -> String {
    let mut all = Sha256::new();
    for (name, content) in files {
        let length = u64::try_from(name.len()).unwrap_or(u64::MAX);
        all.update(length.to_be_bytes());
        all.update(name.as_bytes());
        all.update(Sha256::digest(content));
    }
    all.finalize().iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests;
