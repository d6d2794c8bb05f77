//! Processes with their output in files, so that no pipe fills up; they end with the test, whatever happens.

use crate::wait::{eventually, seconds};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longer than any command of ours takes that waits for nothing.
const COMMAND_LIMIT: Duration = seconds(60);
/// Lines of a process's log that a failing test shows.
const SHOWN_LINES: usize = 40;

/// A process. Dropped, it is killed.
pub(crate) struct Process {
    name: String,
    child: Child,
    /// Whether somebody waited for its end, and so has what it printed.
    waited_for: bool,
    folder: tempfile::TempDir,
}

/// A process that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; -1 if a signal ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program under test.
pub(crate) fn verdigris() -> Command {
    let binary = std::env::var_os("VERDIGRIS_BIN").map(PathBuf::from);
    let mut command = Command::new(binary.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_verdigris"))));
    // What the developer's shell says must not reach the tests.
    command.env_remove("VERDIGRIS_SOCKET").env_remove("VERDIGRIS_LOG");
    command
}

/// Runs a command of the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Ran {
    run_within(arguments, COMMAND_LIMIT)
}

/// The same, for one that takes its time.
pub(crate) fn run_within(arguments: &[&str], limit: Duration) -> Ran {
    let mut command = verdigris();
    command.args(arguments);
    Process::start(&format!("verdigris {}", arguments.join(" ")), &mut command).wait(limit)
}

/// The root of the repository, where e2e/ and target/ are.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the crate lies in the repository")
}

impl Process {
    pub(crate) fn start(name: &str, command: &mut Command) -> Process {
        Process::reading(name, command, Stdio::null())
    }

    /// One that somebody sits before: what it reads stays open until they press Enter.
    pub(crate) fn before_somebody(name: &str, command: &mut Command) -> Process {
        Process::reading(name, command, Stdio::piped())
    }

    /// For one that was started so.
    pub(crate) fn press_enter(&mut self) {
        let keyboard = self.child.stdin.as_mut().expect("somebody sits before it");
        keyboard.write_all(b"\n").expect("it still reads");
    }

    fn reading(name: &str, command: &mut Command, stdin: Stdio) -> Process {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| File::create(folder.path().join(name)).expect("a file in a new folder");
        let child = command.stdin(stdin).stdout(file("stdout")).stderr(file("stderr")).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name}: {:?} does not start: {error}", command.get_program()));
        Process { name: name.to_owned(), child, waited_for: false, folder }
    }

    pub(crate) fn stdout(&self) -> String {
        self.output("stdout")
    }

    pub(crate) fn stderr(&self) -> String {
        self.output("stderr")
    }

    fn output(&self, name: &str) -> String {
        let bytes = fs::read(self.folder.path().join(name)).expect("the file was made at the start");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The first line that it prints, or what it ended with instead.
    pub(crate) fn first_line(&mut self, limit: Duration) -> Result<String, Ran> {
        let what = format!("the first line of {}", self.name);
        eventually(&what, limit, || {
            let stdout = self.stdout();
            match stdout.split_once('\n') {
                Some((line, _)) => Some(Ok(line.to_owned())),
                None => self.ended().map(Err),
            }
        })
    }

    /// What it left, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<Ran> {
        let status = self.child.try_wait().expect("it is our child")?;
        Some(Ran { code: status.code().unwrap_or(-1), stdout: self.stdout(), stderr: self.stderr() })
    }

    pub(crate) fn wait(mut self, limit: Duration) -> Ran {
        let what = format!("the end of {}", self.name);
        let ran = eventually(&what, limit, || self.ended());
        self.waited_for = true;
        ran
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a signal to our own child");
        self.child.wait().expect("it is our child");
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM; does not wait.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// A signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "a signal to our own child");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.child.kill();
        let status = self.child.wait();
        if std::thread::panicking() && !self.waited_for {
            for name in ["stdout", "stderr"] {
                let output = self.output(name);
                let lines: Vec<&str> = output.lines().collect();
                let shown = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
                eprintln!("--- {} ({status:?}), end of its {name}:\n{shown}", self.name);
            }
        }
    }
}
