//! The soak test's clock, its waits, and its ports: what belongs to this machine.

use anyhow::{Context, Result};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often is looked whether something happened that tells nobody.
pub const POLL: Duration = Duration::from_millis(50);

/// Below Linux's ephemeral ports (32,768 on): nobody's outgoing connection takes the port of a process that is down.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;

/// A moment in time.
#[derive(Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    pub fn after(wait: Duration) -> Deadline {
        Deadline(now() + wait)
    }

    pub fn is_over(self) -> bool {
        now() >= self.0
    }
}

/// Since when.
#[derive(Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn start() -> Stopwatch {
        Stopwatch(now())
    }

    pub fn ms(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Unix milliseconds, as the ledger and the books of `bench soak-load` have them.
pub fn unix_ms() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "books of several processes are compared by it")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

pub fn pause() {
    #[expect(
        clippy::disallowed_methods,
        reason = "a schedule waits for its time, and a process tells nobody its state"
    )]
    thread::sleep(POLL);
}

#[expect(clippy::disallowed_methods, reason = "a schedule is of real time")]
fn now() -> Instant {
    Instant::now()
}

/// A port that nobody has now, and that this process did not name before.
pub fn free_port() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two runs at once begin at different places.
    let begin = std::process::id().wrapping_mul(97) % u32::from(PORTS);
    for _ in 0..PORTS {
        let step = u32::from(NEXT.fetch_add(1, Relaxed));
        let port = FIRST_PORT + ((begin + step) % u32::from(PORTS)) as u16;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    None.with_context(|| format!("no free port from {FIRST_PORT} on"))
}
