//! How often somebody may try to show who they are. Pure: time is an argument.
//!
//! An attempt is taken before it is looked at, and given back if it was good: so many at once are no way around it, and
//! whoever shows a good token is never slowed down.

use model::UnixMillis;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// One source: ten at once, and then one in 6 s. 256 bits are not guessed, but a list of leaked tokens could be tried.
const EACH: Rate = Rate { burst: 10, refill_ms: 6_000 };
/// All sources together: 5 a second. An OIDC token costs a signature's check, 0.2 ms at the most (RSA, 4,096 bits).
const ALL: Rate = Rate { burst: 100, refill_ms: 200 };
/// Sources that are remembered, at some 60 bytes: 250 KB. If there are more, all are forgotten, and [`ALL`] still holds.
const MAX_SOURCES: usize = 4_096;

#[derive(Clone, Copy)]
struct Rate {
    burst: u64,
    refill_ms: u64,
}

/// A bucket as one number, the time at which it is full again (GCRA).
#[derive(Clone, Copy, Default)]
struct Bucket {
    full_at_ms: u64,
}

impl Bucket {
    fn wait_ms(self, rate: Rate, now: u64) -> u64 {
        let after = self.full_at_ms.max(now) + rate.refill_ms;
        after.saturating_sub(now + rate.burst * rate.refill_ms)
    }

    fn take(&mut self, rate: Rate, now: u64) {
        self.full_at_ms = self.full_at_ms.max(now) + rate.refill_ms;
    }

    fn give_back(&mut self, rate: Rate) {
        self.full_at_ms = self.full_at_ms.saturating_sub(rate.refill_ms);
    }
}

/// Attempts of everybody.
#[derive(Default)]
pub(super) struct Attempts {
    all: Bucket,
    each: BTreeMap<IpAddr, Bucket>,
}

/// A network of IPv6 is one source: whoever has one address of it has them all.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

impl Attempts {
    /// Takes one, or says in how many seconds there is one again.
    pub(super) fn take(&mut self, from: IpAddr, now: UnixMillis) -> Result<(), u64> {
        let (from, now) = (source(from), now.0);
        if self.each.len() >= MAX_SOURCES && !self.each.contains_key(&from) {
            self.each.retain(|_, bucket| bucket.full_at_ms > now);
            if self.each.len() >= MAX_SOURCES {
                self.each.clear();
            }
        }
        let each = self.each.entry(from).or_default();
        let wait_ms = each.wait_ms(EACH, now).max(self.all.wait_ms(ALL, now));
        if wait_ms > 0 {
            return Err(wait_ms.div_ceil(1_000));
        }
        each.take(EACH, now);
        self.all.take(ALL, now);
        Ok(())
    }

    /// It was a good one.
    pub(super) fn give_back(&mut self, from: IpAddr) {
        if let Some(each) = self.each.get_mut(&source(from)) {
            each.give_back(EACH);
        }
        self.all.give_back(ALL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attempts: &mut Attempts, from: &str, at_ms: u64, expected: Result<(), u64>) {
        assert_eq!(attempts.take(from.parse().unwrap(), UnixMillis(at_ms)), expected, "{from} at {at_ms} ms");
    }

    #[test]
    fn a_source_has_ten_attempts_and_then_one_in_six_seconds() {
        let mut attempts = Attempts::default();
        (0..10).for_each(|_| check(&mut attempts, "192.0.2.1", 1_000_000, Ok(())));
        check(&mut attempts, "192.0.2.1", 1_000_000, Err(6));
        check(&mut attempts, "::ffff:192.0.2.1", 1_000_000, Err(6));
        check(&mut attempts, "192.0.2.2", 1_000_000, Ok(()));
        check(&mut attempts, "192.0.2.1", 1_005_999, Err(1));
        check(&mut attempts, "192.0.2.1", 1_006_000, Ok(()));
        check(&mut attempts, "192.0.2.1", 1_006_000, Err(6));
    }

    #[test]
    fn a_good_attempt_costs_nothing() {
        let mut attempts = Attempts::default();
        for _ in 0..1_000 {
            check(&mut attempts, "192.0.2.1", 0, Ok(()));
            attempts.give_back("192.0.2.1".parse().unwrap());
        }
    }

    #[test]
    fn a_network_is_one_source_and_all_sources_have_a_bound() {
        let mut attempts = Attempts::default();
        (0..10).for_each(|n| check(&mut attempts, &format!("2001:db8::{n:x}"), 0, Ok(())));
        check(&mut attempts, "2001:db8::ffff", 0, Err(6));
        (10..100).for_each(|n| check(&mut attempts, &format!("192.0.2.{n}"), 0, Ok(())));
        check(&mut attempts, "192.0.2.200", 0, Err(1));
        check(&mut attempts, "192.0.2.200", 200, Ok(()));
    }

    #[test]
    fn sources_are_forgotten_before_they_are_too_many() {
        let mut attempts = Attempts::default();
        for n in 0..3 * MAX_SOURCES as u32 {
            let _ = attempts.take(IpAddr::from(n.to_be_bytes()), UnixMillis(u64::from(n)));
            assert!(attempts.each.len() <= MAX_SOURCES);
        }
    }
}
