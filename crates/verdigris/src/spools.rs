//! The gateway's spools, one an environment: opened at the start, or as soon as the process before has let go of them.

use crate::clock;
use anyhow::Context;
use gateway::Spools;
use model::Environment;
use spool::{Limits, OpenError, Recovered, Spool};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The spools' folder below the data folder.
const SPOOL_DIR: &str = "spool";

/// How often a spool is tried that another process has open. It lets go when it has finished its requests.
const TRY_EVERY: Duration = Duration::from_millis(200);

/// The length of a segment, and what may wait to be written: the largest request that the gateway takes, and room for
/// what is around it.
const SEGMENT_BYTES: u64 = 72 << 20;

/// The least that the spools can have together: two segments each.
pub const MIN_BYTES: u64 = 4 * SEGMENT_BYTES;

/// The most: what 1,000,000 entries of each environment need at 64 KiB.
pub const MAX_BYTES: u64 = 128 << 30;

/// What the spools have together if nothing else is said: at 50 MB/s a collector may be gone for nearly three minutes.
pub const DEFAULT_BYTES: u64 = 8 << 30;

/// Opens both spools below `data`, with half of `max_bytes` each. `is_taken_over` says that another process may still
/// have them: then what cannot be handed over is refused, as without a spool, until it has gone.
pub async fn open(data: &Path, max_bytes: u64, is_taken_over: bool) -> anyhow::Result<Spools> {
    let spools = Spools::default();
    for environment in Environment::BOTH {
        let dir = data.join(SPOOL_DIR).join(environment.name());
        match open_one(dir.clone(), max_bytes / 2).await {
            Ok(spool) => spools.set(environment, spool),
            Err(OpenError::Locked { .. }) if is_taken_over => {
                tokio::spawn(open_later(spools.clone(), environment, dir, max_bytes / 2));
            }
            Err(error) => return Err(error).with_context(|| format!("the spool of {environment} cannot be used")),
        }
    }
    Ok(spools)
}

async fn open_later(spools: Spools, environment: Environment, dir: PathBuf, max_bytes: u64) {
    loop {
        tokio::time::sleep(TRY_EVERY).await;
        match open_one(dir.clone(), max_bytes).await {
            Ok(spool) => return spools.set(environment, spool),
            Err(OpenError::Locked { .. }) => {}
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "the spool of {environment} cannot be used, so nothing waits there");
                return;
            }
        }
    }
}

async fn open_one(dir: PathBuf, max_bytes: u64) -> Result<Spool, OpenError> {
    let limits =
        Limits { max_bytes, segment_bytes: SEGMENT_BYTES, max_waiting_bytes: SEGMENT_BYTES, ..Limits::default() };
    let folder = dir.clone();
    let opening = tokio::task::spawn_blocking(move || Spool::open(&folder, limits));
    let (spool, recovered) = opening.await.expect("opening does not panic, and is not aborted")?;
    tell(&dir, &recovered, &spool);
    Ok(spool)
}

fn tell(dir: &Path, recovered: &Recovered, spool: &Spool) {
    let Recovered { entries, lost_entries, lost_bytes, torn_bytes, foreign } = recovered;
    let dir = dir.display();
    if *entries > 0 {
        let oldest_s = spool.stats().oldest_ms.map_or(0, |oldest| clock::now().0.saturating_sub(oldest) / 1_000);
        tracing::info!("{dir} holds {entries} requests to be delivered, the oldest {oldest_s} s old");
    }
    if *lost_entries > 0 {
        tracing::error!("{dir}: {lost_entries} acknowledged requests are lost, {lost_bytes} bytes cannot be read");
    }
    if *torn_bytes > 0 {
        tracing::warn!("{dir}: {torn_bytes} bytes of a request that was never acknowledged were cut off");
    }
    if !foreign.is_empty() {
        tracing::warn!("{dir} has files that are not the spool's, which are left alone: {}", foreign.join(", "));
    }
}
