//! CPU time of one thread, because the machine is rarely ours alone.

use anyhow::{Context, Result};
use std::time::Duration;

/// What the scheduler gave this thread so far. The kernel brings it up to date at every tick, some milliseconds apart.
pub fn thread_cpu() -> Result<Duration> {
    const SCHEDSTAT: &str = "/proc/thread-self/schedstat";
    let text = std::fs::read_to_string(SCHEDSTAT).with_context(|| format!("{SCHEDSTAT} (Linux alone has it)"))?;
    let nanoseconds = text.split(' ').next().and_then(|field| field.parse().ok());
    Ok(Duration::from_nanos(nanoseconds.with_context(|| format!("{SCHEDSTAT} begins with no number: {text:?}"))?))
}

/// The middle one of several times.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
