//! Sends one request until it is acknowledged, refused for good, or too old: what every OTLP exporter does.

use super::client::{ExportError, Framed, OtlpClient, Retry};
use super::random::SplitMix64;
use otlp::Signal;
use otlp::reply::PartialSuccess;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// A request is given up after 30 s. With at least [`FIRST_PAUSE_MS`] / 2 between tries that are at most 600 tries;
/// with the doubling, about 25.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(30);
/// Before the second try. Exporters wait a second or more by default, which is long for a demo of two minutes.
const FIRST_PAUSE_MS: u64 = 100;
/// The pause doubles up to this.
const MAX_PAUSE_MS: u64 = 2_000;

/// Why a request was given up.
#[derive(Debug, thiserror::Error)]
pub enum GivenUp {
    /// Refused for good.
    #[error("not sent again, for it would be refused again")]
    Refused(#[source] ExportError),
    /// Some of its items were rejected, and nobody says which; a partial success must not be sent again.
    #[error("{} items were rejected: {}", .0.rejected, .0.message)]
    Rejected(PartialSuccess),
    /// It failed until it was too old. `None` if the first try was still under way.
    #[error("not acknowledged within {} s", GIVE_UP_AFTER.as_secs())]
    TooOld(#[source] Option<ExportError>),
}

/// Delivers the same bytes at least once, if they can be delivered.
pub async fn deliver(
    client: &OtlpClient,
    signal: Signal,
    request: &Framed,
    jitter: &mut SplitMix64,
) -> Result<(), GivenUp> {
    let mut last = None;
    let tries = async {
        let mut pause_ms = FIRST_PAUSE_MS;
        loop {
            let failed = match client.export(signal, request).await {
                Ok(Some(partial)) if partial.rejected > 0 => return Err(GivenUp::Rejected(partial)),
                Ok(_) => return Ok(()),
                Err(failed) => failed,
            };
            let Retry::After { at_least_ms } = failed.retry() else { return Err(GivenUp::Refused(failed)) };
            last = Some(failed);
            let spread_ms = pause_ms / 2 + jitter.below(pause_ms / 2 + 1);
            sleep(Duration::from_millis(spread_ms.max(at_least_ms))).await;
            pause_ms = (pause_ms * 2).min(MAX_PAUSE_MS);
        }
    };
    match timeout(GIVE_UP_AFTER, tries).await {
        Ok(outcome) => outcome,
        Err(_) => Err(GivenUp::TooOld(last)),
    }
}
