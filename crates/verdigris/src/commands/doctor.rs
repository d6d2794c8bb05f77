//! `verdigris doctor`: everything around a server that can be looked at without changing anything, all of it at once.

use crate::cli::{ConfigAt, Format};
use crate::config::Config;
use crate::describe::{Exit, Failed, say};
use crate::health::{self, Finding, Level};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// For one check that asks the disk; a file system that hangs must not hang this.
const DISK_LIMIT: Duration = Duration::from_secs(10);

/// For all that is reached together: eight endpoints of an environment, 5 s each, one after the other, and some room.
const REACH_LIMIT: Duration = Duration::from_secs(45);

/// A check of files: its name, and what it does.
type Check = (&'static str, fn(&Config) -> Vec<Finding>);

const CHECKS: [Check; 6] = [
    ("ports", health::ports),
    ("data folder", health::data_folder),
    ("disk", health::disk),
    ("clock", |_| health::clock()),
    ("ledger", health::ledger),
    ("files", health::files),
];

/// Runs it: exit code 0 if all is well, 4 with warnings alone, 1 with trouble, 2 if the configuration cannot be read.
pub async fn run(command: &ConfigAt, format: Format) -> Result<Exit, Failed> {
    let config = Arc::new(Config::read(&command.config)?);
    let reaching = tokio::spawn({
        let config = Arc::clone(&config);
        async move { health::reach(&config).await }
    });
    let looking = CHECKS.map(|(name, check)| (name, begin(name, check, Arc::clone(&config))));
    let mut findings = vec![Finding::ok(format!("configuration {}", command.config.display()), "can be read")];
    for (name, answer) in looking {
        match timeout(DISK_LIMIT, answer).await {
            Ok(Ok(found)) => findings.extend(found),
            Ok(Err(_)) => {
                findings.push(Finding::trouble(name, "this check failed itself", "report it, with standard error"))
            }
            Err(_) => {
                let says = format!("did not come to an end within {} s", DISK_LIMIT.as_secs());
                findings.push(Finding::trouble(name, says, "look at the file system: something hangs"));
            }
        }
    }
    match timeout(REACH_LIMIT, reaching).await {
        Ok(found) => findings.extend(found.unwrap_or_default()),
        Err(_) => {
            let says = format!("did not come to an end within {} s", REACH_LIMIT.as_secs());
            findings.push(Finding::trouble("reach", says, "look at the resolver: names may not be answered for"));
        }
    }
    health::print(&findings, json!({ "config": command.config }), format);
    let worst = health::worst(&findings);
    if format == Format::Text {
        let count = |level| findings.iter().filter(|finding| finding.level == level).count();
        let (ok, warnings, trouble) = (count(Level::Ok), count(Level::Warning), count(Level::Trouble));
        say(format_args!("{ok} ok, {warnings} warning(s), {trouble} trouble"));
    }
    Ok(match worst {
        Level::Ok => Exit::Done,
        Level::Warning => Exit::Held,
        Level::Trouble => Exit::Other,
    })
}

/// In a thread that nobody waits for at the end: one that hangs in the file system cannot be stopped, and the runtime's own
/// threads would keep the program from ending.
fn begin(name: &str, check: fn(&Config) -> Vec<Finding>, config: Arc<Config>) -> oneshot::Receiver<Vec<Finding>> {
    let (found, answer) = oneshot::channel();
    let thread = std::thread::Builder::new().name(name.to_owned());
    // Whoever hears nothing says that the check failed; after the limit nobody listens.
    let _ = thread.spawn(move || _ = found.send(check(&config)));
    answer
}
