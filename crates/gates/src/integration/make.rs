//! Makes calls, one after the other, and tells how each attempt ended.
//!
//! Round by round: what is slow for a moment is slow for one attempt of each call, and not for all of one. Nothing is made
//! twice, and nothing is tried again.

use super::attempt::{LATE, Prepared};
use super::{Clock, Stopwatch};
use integrations::{Address, Attempt, Call, Calls, Failure, Why};
use model::{ClientTls, quoted};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long all calls of one environment may take. What is not made by then is not in the outcomes, and the verdict says so.
pub const MAKING_LIMIT: Duration = Duration::from_secs(60);
/// Attempts of a call that time out one after the other before it is given up: with the longest timeout, half a minute.
const MAX_TIMEOUTS_IN_A_ROW: usize = 3;

/// Where calls may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// To these alone. A metadata address only if it is among them as an address: a name that leads there is not enough.
    Only(Vec<Address>),
    /// Anywhere but to metadata addresses.
    AnythingButMetadata,
}

/// Who makes calls.
#[derive(Clone)]
pub struct Maker {
    /// Where they may go.
    pub allowed: Allowed,
    /// What TLS needs beyond the defaults.
    pub tls: ClientTls,
    /// How long they take.
    pub stopwatch: Stopwatch,
    /// What time it is.
    pub clock: Clock,
}

impl Maker {
    /// Makes all calls as often as each of them says, or until [`MAKING_LIMIT`] is over.
    pub async fn make(&self, calls: &Calls) -> BTreeMap<String, Vec<Attempt>> {
        let end = Instant::now() + MAKING_LIMIT;
        let mut made: Vec<(&Call, Prepared, Vec<Attempt>)> =
            calls.iter().map(|call| (call, Prepared::new(call, self), Vec::new())).collect();
        let rounds = calls.iter().map(|call| call.repetitions).max().unwrap_or(0);
        'rounds: for round in 0..rounds {
            for (call, prepared, attempts) in &mut made {
                if round >= call.repetitions || is_given_up(attempts) {
                    continue;
                }
                let left = end.saturating_duration_since(Instant::now());
                let limit = Duration::from_millis(call.timeout_ms.into());
                // An attempt that would be cut off by the end says nothing of the call.
                if left < limit {
                    break 'rounds;
                }
                let begin = (self.stopwatch)();
                let result = timeout(limit, prepared.attempt(self)).await;
                let took_us = (self.stopwatch)().saturating_sub(begin);
                let failed = match result {
                    Ok(Ok(())) => None,
                    Ok(Err(failure)) => Some(Failure { words: quoted(&failure.words), ..failure }),
                    Err(_) => Some(Failure { why: Why::Timeout, words: late(limit) }),
                };
                attempts.push(Attempt { took_us, failed });
            }
        }
        made.into_iter().map(|(call, _, attempts)| (call.name.clone(), attempts)).collect()
    }
}

fn late(limit: Duration) -> String {
    format!("{LATE} within {} ms", limit.as_millis())
}

/// Whether it is known how all further attempts will end.
fn is_given_up(attempts: &[Attempt]) -> bool {
    let is = |attempt: &Attempt, why: Why| attempt.failed.as_ref().is_some_and(|failure| failure.why == why);
    let is_late = |attempt: &&Attempt| is(attempt, Why::Timeout);
    attempts.last().is_some_and(|last| is(last, Why::NotMade))
        || attempts.iter().rev().take_while(is_late).count() >= MAX_TIMEOUTS_IN_A_ROW
}

impl Allowed {
    /// Whether a name may be resolved and connected to.
    pub(super) fn check(&self, address: &Address, is_name_alone: bool) -> Result<(), Failure> {
        let Allowed::Only(list) = self else { return Ok(()) };
        let is_it = |allowed: &Address| allowed.host == address.host && (is_name_alone || allowed.port == address.port);
        if list.iter().any(is_it) {
            return Ok(());
        }
        let shown = if is_name_alone { address.host.clone() } else { address.to_string() };
        Err(not_allowed(format!("{shown} is not among the destinations that the agent may call (--allow)")))
    }

    /// Whether an address that a name led to may be connected to: whoever has a name may let it lead anywhere.
    pub(super) fn check_ip(&self, named: &Address, ip: IpAddr) -> Result<(), Failure> {
        if !is_metadata(ip) {
            return Ok(());
        }
        let is_named = |allowed: &Address| allowed.port == named.port && allowed.ip().is_some_and(|it| it == ip);
        match self {
            Allowed::Only(list) if list.iter().any(is_named) => Ok(()),
            Allowed::Only(_) | Allowed::AnythingButMetadata => {
                let words = "leads to a link-local address or a cloud's metadata service";
                Err(not_allowed(format!("{named} {words}, which is not called unless its address is allowed itself")))
            }
        }
    }
}

fn not_allowed(words: String) -> Failure {
    Failure { why: Why::NotMade, words }
}

/// Where clouds give credentials to whoever asks from inside: link-local addresses (RFC 3927, RFC 4291), and those of AWS
/// over IPv6, of Azure and of Alibaba.
fn is_metadata(ip: IpAddr) -> bool {
    const AWS: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    const AZURE: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
    const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local() || v4 == AZURE || v4 == ALIBABA,
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6 == AWS,
    }
}
