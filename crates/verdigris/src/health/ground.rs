//! What a server stands on: its ports, its folder, the disk, the clock, and the ledger that is there.

use super::Finding;
use crate::clock::{self as clocks, random};
use crate::config::Config;
use crate::system::{LEDGER_DIR, PUBLIC_KEY_FILE};
use model::{ShortDuration, with_causes};
use std::fs::{File, OpenOptions, remove_file};
use std::io::{ErrorKind, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use store::Reader;

/// Below this the spool, evidence and a year of records do not fit beside each other for long: 2 GiB.
const LITTLE_ROOM: u64 = 2 << 30;
/// A decision waits for one sync: with 50 ms, twenty a second.
const SLOW_SYNC_US: u64 = 50_000;
/// A clock before this program was written is not set: 2026-01-01.
const WRITTEN_MS: u64 = 1_767_225_600_000;
/// A ledger whose last record is of the future was written by another clock. An hour is the most that a clock is set back by.
const FUTURE_MS: u64 = 3_600_000;

/// Whether each port is free, or this configuration's server has it. Blocking.
pub fn ports(config: &Config) -> Vec<Finding> {
    let answers = UnixStream::connect(&config.socket).is_ok();
    let mut found = vec![match answers {
        true => Finding::ok(format!("socket {}", config.socket.display()), "a server answers"),
        false => Finding::ok(format!("socket {}", config.socket.display()), "no server runs with this configuration"),
    }];
    let ports = config.ports().into_iter().map(|(role, address)| (role.name(), address));
    for (name, address) in ports.chain(config.web.iter().map(|web| ("web".to_owned(), web.listen))) {
        let what = format!("port {address} ({name})");
        found.push(match TcpListener::bind(address) {
            Ok(_) if answers && address.port() != 0 => {
                let does = match name.as_str() {
                    "web" => "the server runs with another address, or its log says why the port is gone: restart it",
                    _ => "the server runs with another address: send it SIGHUP to have the file read again",
                };
                Finding::warning(what, "is free, although a server runs", does)
            }
            Ok(_) => Finding::ok(what, "is free"),
            Err(error) if error.kind() == ErrorKind::AddrInUse && answers => {
                Finding::ok(what, "is in use, as far as can be told by the server that runs")
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                let does =
                    format!("see who has it with `ss -ltnp 'sport = :{}'`, or choose another port", address.port());
                Finding::trouble(what, "is in use by somebody else", does)
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                Finding::trouble(what, error.to_string(), "choose a port above 1023, or have systemd pass the socket")
            }
            Err(error) => Finding::trouble(what, error.to_string(), "name an address of this machine"),
        });
    }
    found
}

/// Whose the data folder is, and who may look into it. Blocking.
pub fn data_folder(config: &Config) -> Vec<Finding> {
    let what = format!("data folder {}", config.data.display());
    let metadata = match std::fs::metadata(&config.data) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return vec![Finding::ok(what, "is not there: it is made at the first start")];
        }
        Err(error) => {
            return vec![Finding::trouble(what, error.to_string(), "run this as the user that the server runs as")];
        }
    };
    let (mode, own) = (metadata.permissions().mode() & 0o777, rustix::process::geteuid().as_raw());
    vec![if metadata.uid() != own {
        let says = format!("belongs to uid {}, and this is uid {own}", metadata.uid());
        Finding::warning(what, says, "run this as the user that the server runs as")
    } else if mode & 0o077 != 0 {
        Finding::trouble(what, format!("is open to others (mode {mode:03o})"), "chmod 700")
    } else {
        Finding::ok(what, format!("mode {mode:03o}, of this user"))
    }]
}

/// Room, and how long a sync takes: a file of a few bytes in the data folder, removed at once. Blocking.
pub fn disk(config: &Config) -> Vec<Finding> {
    // Before the first start the folder above it says the same.
    let Some(folder) = config.data.ancestors().find(|folder| folder.is_dir()) else { return Vec::new() };
    let what = format!("disk of {}", folder.display());
    let mut found = Vec::new();
    match rustix::fs::statvfs(folder) {
        Ok(room) => {
            let free = room.f_bavail.saturating_mul(room.f_frsize);
            let says = format!("{} MiB and {} files free", free >> 20, room.f_favail);
            let needed = LITTLE_ROOM.max(config.spool_bytes.unwrap_or(0));
            let does = format!(
                "make room: the spool alone may need {} MiB; on a full disk nothing is promoted, rollbacks still work",
                config.spool_bytes.unwrap_or(0) >> 20
            );
            found.push(if free < needed { Finding::warning(&what, says, does) } else { Finding::ok(&what, says) });
        }
        Err(error) => found.push(Finding::trouble(&what, error.to_string(), "look at the file system")),
    }
    found.push(match sync_us(folder) {
        Ok(us) if us > SLOW_SYNC_US => Finding::warning(
            what,
            format!("a sync takes {} ms", us / 1_000),
            "use a disk with a write cache that survives a loss of power: each decision waits for a sync",
        ),
        Ok(us) => Finding::ok(what, format!("a sync takes {}.{} ms", us / 1_000, us / 100 % 10)),
        Err(error) => {
            Finding::trouble(what, format!("cannot be written: {error}"), "run this as the server's user, or mend it")
        }
    });
    found
}

/// The median of five. The file's name cannot be anybody else's.
fn sync_us(folder: &Path) -> std::io::Result<u64> {
    let path = folder.join(format!(".verdigris-doctor-{:016x}", u64::from_le_bytes(random())));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let measured = measure(&mut file);
    remove_file(&path)?;
    measured
}

fn measure(file: &mut File) -> std::io::Result<u64> {
    let mut times = [0; 5];
    for time in &mut times {
        let began = clocks::now_us();
        file.write_all(&[0; 512])?;
        file.sync_data()?;
        *time = clocks::now_us().saturating_sub(began);
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// Whether the clock is set, as far as files say. Blocking.
pub fn clock() -> Vec<Finding> {
    let now = clocks::now();
    if now.0 < WRITTEN_MS {
        let says = format!("says {}", crate::describe::timestamp(now));
        return vec![Finding::trouble("clock", says, "set it: records, certificates and approvals hang on it")];
    }
    // Made by systemd-timesyncd once it has set the clock (systemd-timesyncd.service(8)).
    vec![if Path::new("/run/systemd/timesync/synchronized").exists() {
        Finding::ok("clock", "systemd-timesyncd has synchronised it")
    } else if ["/run/chrony/chronyd.pid", "/run/chronyd.pid", "/run/ntpd.pid"]
        .iter()
        .any(|file| Path::new(file).exists())
    {
        Finding::ok("clock", "a time server's client runs; ask it how far it is (`chronyc tracking`)")
    } else {
        Finding::warning(
            "clock",
            "nothing is seen that keeps it",
            "run systemd-timesyncd or chrony, if the host does not",
        )
    }]
}

/// Whether the ledger opens, read only, and its checkpoint is signed by the key beside it. Blocking.
pub fn ledger(config: &Config) -> Vec<Finding> {
    let dir = config.data.join(LEDGER_DIR);
    let what = format!("ledger {}", dir.display());
    if !dir.exists() {
        return vec![Finding::ok(what, "is not there: it is made at the first start")];
    }
    let does = "restore the ledger from its backup; `verdigris ledger verify` says more";
    vec![match look(config, &dir) {
        Ok((size, Some(last))) if last.0 > clocks::now().0 + FUTURE_MS => Finding::trouble(
            what,
            format!(
                "{size} entries; the last is from {} ahead of this clock",
                ShortDuration(last.since_ms(clocks::now()))
            ),
            "set the clock: it was another one when that was written",
        ),
        Ok((size, _)) => Finding::ok(what, format!("{size} entries under a signed checkpoint")),
        Err(error) => Finding::trouble(what, error, does),
    }]
}

/// How many entries there are, and when the last was made.
fn look(config: &Config, dir: &Path) -> Result<(u64, Option<model::UnixMillis>), String> {
    let public = config.data.join(PUBLIC_KEY_FILE);
    let key = crate::describe::read_text(&public, 1_024).map_err(|failed| failed.to_string())?;
    let key = key.trim().parse().map_err(|error| format!("{}: {error}", public.display()))?;
    let reader = Reader::open(dir).map_err(|error| with_causes(&error))?;
    let checkpoint = reader.checkpoint(&key).map_err(|error| with_causes(&error))?;
    let size = checkpoint.size();
    let last = size.saturating_sub(1);
    let mut entries = reader.entries(&checkpoint, last..size).map_err(|error| with_causes(&error))?;
    let entry = entries.next().transpose().map_err(|error| with_causes(&error))?;
    let at = entry.map(|entry| control::decode(last, &entry)).transpose().map_err(|error| with_causes(&error))?;
    Ok((size, at.map(|record| record.at)))
}
