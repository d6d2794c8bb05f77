//! What was refused of callers whom nobody knows: counted by kind, and told at most once a minute, so that nobody fills
//! the ledger by knocking. Never what they showed. Pure: time is an argument.

use model::UnixMillis;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Between two records.
pub(crate) const TELL_EVERY_MS: u64 = 60_000;

/// Why a request came to nothing before anybody asked what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// It shows nothing.
    Nothing,
    /// A bearer token that is neither the operator's nor one of an issuer.
    Token,
    /// An issuer's token that does not hold.
    Oidc(super::oidc::Fault),
    /// A certificate that no authority of ours signed, or that is over.
    Certificate,
    /// Known, and named by no principal.
    Unnamed,
    /// A cookie's request that another site made, or that has no token of its session.
    CrossSite,
    /// A name that is not this server's.
    Host,
    /// A path that is not in its shortest form.
    Path,
    /// A body that is too large or too slow.
    Body,
    /// Too many attempts.
    TooMany,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Kind::Nothing => "without a credential",
            Kind::Token => "unknown token",
            Kind::Oidc(fault) => fault.words(),
            Kind::Certificate => "certificate not let in",
            Kind::Unnamed => "named by no principal",
            Kind::CrossSite => "cross-site, or without the session's token",
            Kind::Host => "name of another host",
            Kind::Path => "path with relative or empty parts",
            Kind::Body => "body too large or too slow",
            Kind::TooMany => "too many attempts",
        }
    }
}

/// What is not told yet.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    counts: BTreeMap<Kind, u64>,
    from: Option<IpAddr>,
    told_at: Option<UnixMillis>,
}

/// What is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// How many of which kind, in words.
    pub(crate) what: String,
    /// From where the last of them came.
    pub(crate) from: Option<IpAddr>,
}

impl Refused {
    /// One more. What comes back is to be recorded now.
    pub(crate) fn note(&mut self, kind: Kind, from: Option<IpAddr>, now: UnixMillis) -> Option<Told> {
        *self.counts.entry(kind).or_default() += 1;
        self.from = from.or(self.from);
        self.due(now)
    }

    /// What is to be recorded now, if nothing was for a minute.
    pub(crate) fn due(&mut self, now: UnixMillis) -> Option<Told> {
        let is_early = self.told_at.is_some_and(|told| now < told.plus_ms(TELL_EVERY_MS));
        if is_early || self.counts.is_empty() {
            return None;
        }
        self.told_at = Some(now);
        let counts = std::mem::take(&mut self.counts);
        let all: u64 = counts.values().sum();
        let each: Vec<String> = counts.into_iter().map(|(kind, count)| format!("{count} {}", kind.words())).collect();
        Some(Told { what: format!("the web port, {all} times: {}", each.join("; ")), from: self.from.take() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_together() {
        let mut refused = Refused::default();
        let from = Some("192.0.2.1".parse().unwrap());
        let told = refused.note(Kind::Token, from, UnixMillis(0)).unwrap();
        assert_eq!((told.what.as_str(), told.from), ("the web port, 1 times: 1 unknown token", from));
        for at in 1..1_000 {
            assert_eq!(refused.note(Kind::Token, from, UnixMillis(at)), None);
        }
        assert_eq!(refused.note(Kind::Host, None, UnixMillis(1_000)), None);
        let told = refused.due(UnixMillis(TELL_EVERY_MS)).unwrap();
        assert_eq!(told.what, "the web port, 1000 times: 999 unknown token; 1 name of another host");
        assert_eq!(told.from, from);
        assert_eq!(refused.due(UnixMillis(3 * TELL_EVERY_MS)), None);
    }
}
