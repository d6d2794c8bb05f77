//! A process that a benchmark started: pinned to a core, watched through /proc, and gone when it is dropped.

use crate::process;
use anyhow::{Context, Result, anyhow, ensure};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// Lines of output that are kept until they are read: the processes say one line for each that they are asked for. A
/// peer that says more loses it, and does not wait.
const MAX_UNREAD_LINES: usize = 64;

/// How much of a log an error shows, from its end.
const SHOWN_LOG_BYTES: usize = 2_000;

/// How processes are started: words that come before the program and its arguments.
pub struct Launcher {
    proxy: Vec<String>,
    load: Vec<String>,
    /// The unit of CPU times in /proc.
    ticks_per_s: f64,
    /// Where they run, for people.
    pub words: String,
}

/// What the scheduler gave a process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CpuTime {
    pub user_s: f64,
    pub system_s: f64,
}

impl CpuTime {
    pub fn total_s(self) -> f64 {
        self.user_s + self.system_s
    }

    pub fn since(self, before: CpuTime) -> CpuTime {
        CpuTime { user_s: self.user_s - before.user_s, system_s: self.system_s - before.system_s }
    }
}

/// A process is idle that had less than a fifth of a core for this long, which is ten of the kernel's ticks.
const IDLE_WINDOW: Duration = Duration::from_millis(100);
const IDLE_S: f64 = 0.02;
/// What has more to do after its last request is not waited for longer. Our verification may have 16 MiB of views to
/// read, 32,000 spans.
const IDLE_LIMIT: Duration = Duration::from_secs(5);

/// Which side a process is on.
#[derive(Clone, Copy)]
pub enum Side {
    Proxy,
    Load,
}

/// How the kernel counts CPU time.
fn ticks_per_s() -> Result<f64> {
    Ok(process::read(Command::new("getconf").arg("CLK_TCK"))?.trim().parse()?)
}

impl Launcher {
    /// The proxy gets one core and the load another one, where there are two and taskset. Where setpriv is, the kernel
    /// kills what we started if we are killed ourselves.
    pub fn find() -> Result<Launcher> {
        let ticks_per_s = ticks_per_s()?;
        let mut launcher = Launcher { proxy: Vec::new(), load: Vec::new(), ticks_per_s, words: String::new() };
        let cores = allowed_cores(&fs::read_to_string("/proc/self/status").context("the benchmark needs Linux")?);
        match cores[..] {
            [proxy, load, ..] if available(&["taskset", "--version"]) => {
                let pinned = |core: u32| ["taskset", "--cpu-list", &core.to_string()].map(str::to_owned).to_vec();
                (launcher.proxy, launcher.load) = (pinned(proxy), pinned(load));
                launcher.words = format!("the proxy on core {proxy} alone, generator and sink on core {load}");
            }
            [] | [_] => "nothing is pinned, for there are no two cores".clone_into(&mut launcher.words),
            [_, _, ..] => "nothing is pinned, for there is no taskset (util-linux)".clone_into(&mut launcher.words),
        }
        launcher.proxy.extend(with_us());
        launcher.load.extend(with_us());
        Ok(launcher)
    }

    /// Nothing is pinned: threads meet as they do in service.
    pub fn unpinned() -> Result<Launcher> {
        let words = "nothing is pinned".to_owned();
        Ok(Launcher { proxy: with_us(), load: with_us(), ticks_per_s: ticks_per_s()?, words })
    }

    /// Starts a process. Its standard error goes to `log`.
    pub fn start(&self, side: Side, program: &Path, arguments: &[&str], log: &Path) -> Result<Running> {
        let prefix = match side {
            Side::Proxy => &self.proxy,
            Side::Load => &self.load,
        };
        let mut command = match prefix.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        let errors = fs::File::create(log).with_context(|| format!("cannot make {}", log.display()))?;
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let output = child.stdout.take().context("its standard output is a pipe")?;
        let (sender, lines) = sync_channel(MAX_UNREAD_LINES);
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // What nobody reads is thrown away.
                let _ = sender.try_send(line);
            }
        });
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Running { name, child, lines, log: log.to_owned(), ticks_per_s: self.ticks_per_s })
    }
}

/// What makes the kernel kill a process when we are killed ourselves, where there is setpriv.
fn with_us() -> Vec<String> {
    let with_us = ["setpriv", "--pdeathsig", "KILL"];
    if available(&[&with_us[..], &["true"]].concat()) { with_us.map(str::to_owned).to_vec() } else { Vec::new() }
}

fn available(words: &[&str]) -> bool {
    process::read(Command::new(words[0]).args(&words[1..])).is_ok()
}

/// A process that is killed, by its id, when this is dropped.
pub struct Running {
    name: String,
    child: Child,
    lines: Receiver<String>,
    log: PathBuf,
    ticks_per_s: f64,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its standard output.
    pub fn line(&mut self, limit: Duration) -> Result<String> {
        self.lines.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Timeout => self.failed(&format!("said nothing within {} s", limit.as_secs())),
            RecvTimeoutError::Disconnected => self.failed("ended"),
        })
    }

    /// Writes a line to its standard input.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        let told = self.child.stdin.as_mut().map(|input| writeln!(input, "{line}"));
        told.context("its standard input is a pipe")?.map_err(|error| self.failed(&format!("takes no order: {error}")))
    }

    /// Fails if it has ended.
    pub fn alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(self.failed(&format!("ended ({status})"))),
        }
    }

    /// CPU seconds of all its threads so far.
    pub fn cpu(&self) -> Result<CpuTime> {
        let ticks = cpu_ticks(&self.proc("stat")?).with_context(|| format!("/proc/{}/stat", self.child.id()))?;
        let [user_s, system_s] = ticks.map(|ticks| ticks as f64 / self.ticks_per_s);
        Ok(CpuTime { user_s, system_s })
    }

    /// Its CPU seconds once it has nothing more to do, or [`IDLE_LIMIT`] is over: what it does later for a request that
    /// it has answered is part of what the request costs.
    pub fn cpu_when_idle(&self) -> Result<CpuTime> {
        let mut before = self.cpu()?;
        for _ in 0..IDLE_LIMIT.as_millis() / IDLE_WINDOW.as_millis() {
            pause(IDLE_WINDOW);
            let now = self.cpu()?;
            if now.since(before).total_s() < IDLE_S {
                return Ok(now);
            }
            before = now;
        }
        Ok(before)
    }

    /// The most memory that it had resident so far, in MiB.
    pub fn peak_resident_mib(&self) -> Result<f64> {
        let kibibytes = status_field(&self.proc("status")?, "VmHWM")
            .and_then(|field| field.strip_suffix("kB").and_then(|number| number.trim().parse::<f64>().ok()));
        Ok(kibibytes.with_context(|| format!("no VmHWM in /proc/{}/status", self.child.id()))? / 1024.0)
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        ensure!(!text.is_empty(), "{path} is empty: {} has ended", self.name);
        Ok(text)
    }

    /// An error with the end of its log.
    pub fn failed(&self, what: &str) -> anyhow::Error {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let shown = log.char_indices().rev().nth(SHOWN_LOG_BYTES).map_or(&log[..], |(at, _)| &log[at..]);
        anyhow!("{} {what}; its log ends with:\n{shown}", self.name)
    }
}

/// `utime` and `stime` of /proc/PID/stat (proc(5), fields 14 and 15). The name before them may hold spaces and
/// parentheses, so fields are counted from the last one.
fn cpu_ticks(stat: &str) -> Option<[u64; 2]> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut from_utime = fields.split_ascii_whitespace().skip(11);
    Some([from_utime.next()?.parse().ok()?, from_utime.next()?.parse().ok()?])
}

/// A field of /proc/PID/status.
fn status_field<'s>(status: &'s str, name: &str) -> Option<&'s str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// The first two cores on which we may run, from `Cpus_allowed_list`, such as `0-3,7`.
fn allowed_cores(status: &str) -> Vec<u32> {
    let list = status_field(status, "Cpus_allowed_list").unwrap_or_default();
    let ranges = list.split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?)
    });
    ranges.flatten().take(2).collect()
}

/// Another program tells nobody when its port opens, its table applies, or its work is done.
#[expect(clippy::disallowed_methods, reason = "what is waited for is in another process, which gives no event")]
pub fn pause(duration: Duration) {
    thread::sleep(duration);
}

#[cfg(test)]
mod tests;
