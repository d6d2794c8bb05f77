//! Canaries: synthetic traces with marked secrets that are planted into what both environments get, and what became of
//! them (STATISTICS.md, check 16).
//!
//! A canary is known by its trace id alone, whoever planted it and however long ago: half of the id is a keyed hash of
//! the other half. So no table of planted ids has to be kept for it to be told from the traffic, and a process that
//! takes over or starts again knows those of the one before.

use crate::{PerEnvironment, RouteKey, TraceId, UnixMillis};
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// Characters of a key in which a secret came out, as a record holds it: two environments with 13 secrets each, in keys
/// of 64 characters of six bytes in JSON and 130 bytes besides, are 13,400 bytes of the 64 KiB of a record.
pub const MAX_CANARY_KEY_CHARACTERS: usize = 64;

/// What kind of secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SecretKind {
    /// A card number that passes Luhn's check (ISO/IEC 7812-1, annex B), in a range that is used for tests.
    CardNumber,
    /// What follows `Bearer` in an `Authorization` header (RFC 6750, section 2.1).
    BearerToken,
    /// An e-mail address, of a domain that is reserved for examples (RFC 2606, section 3).
    Email,
}

impl SecretKind {
    /// Several of them, in words.
    pub fn words(self) -> &'static str {
        match self {
            SecretKind::CardNumber => "card numbers",
            SecretKind::BearerToken => "bearer tokens",
            SecretKind::Email => "e-mail addresses",
        }
    }
}

/// Where in a canary a secret is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CanarySite {
    /// A span attribute whose key says that it is one: `payment.card.number`.
    TellingKey,
    /// In the midst of a span attribute whose key says nothing of it: `url.full`.
    Url,
    /// In the text of a span event's attribute.
    Event,
    /// In the text of a status message.
    Status,
    /// In a span's name.
    Name,
}

impl CanarySite {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            CanarySite::TellingKey => "an attribute with a telling key",
            CanarySite::Url => "a URL",
            CanarySite::Event => "an event's text",
            CanarySite::Status => "a status message",
            CanarySite::Name => "a span's name",
        }
    }
}

/// One secret of a canary. Each has a value of its own, so that wherever it comes out it is known where it was planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Secret {
    /// What it is.
    pub kind: SecretKind,
    /// Where it is planted.
    pub planted_in: CanarySite,
}

impl Secret {
    /// All that a canary has: each kind at each site, but in a name the e-mail address alone, for every name makes a
    /// series in somebody's metrics.
    pub const ALL: [Secret; 13] = {
        use SecretKind::{BearerToken, CardNumber, Email};
        const fn of(kind: SecretKind, planted_in: CanarySite) -> Secret {
            Secret { kind, planted_in }
        }
        [
            of(CardNumber, CanarySite::TellingKey),
            of(BearerToken, CanarySite::TellingKey),
            of(Email, CanarySite::TellingKey),
            of(CardNumber, CanarySite::Url),
            of(BearerToken, CanarySite::Url),
            of(Email, CanarySite::Url),
            of(CardNumber, CanarySite::Event),
            of(BearerToken, CanarySite::Event),
            of(Email, CanarySite::Event),
            of(CardNumber, CanarySite::Status),
            of(BearerToken, CanarySite::Status),
            of(Email, CanarySite::Status),
            of(Email, CanarySite::Name),
        ]
    };
}

/// Where a secret came out in clear. Keys are cut to [`MAX_CANARY_KEY_CHARACTERS`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum CanaryPlace {
    /// The value of a span's attribute, or inside it.
    Attribute {
        /// The attribute's key.
        key: String,
    },
    /// The value of an event's attribute, or inside it.
    EventAttribute {
        /// The attribute's key.
        key: String,
    },
    /// The value of a link's attribute, or inside it.
    LinkAttribute {
        /// The attribute's key.
        key: String,
    },
    /// The value of a resource's attribute, or inside it.
    ResourceAttribute {
        /// The attribute's key.
        key: String,
    },
    /// A key of any of these.
    Key,
    /// The span's name.
    Name,
    /// An event's name.
    EventName,
    /// The status message.
    Status,
    /// The `tracestate` of the span or of a link.
    TraceState,
    /// The instrumentation scope, or a schema's URL.
    Scope,
    /// Somewhere in a message that cannot be decoded whole.
    Unreadable,
}

impl CanaryPlace {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            CanaryPlace::Attribute { key } => format!("attribute {key}"),
            CanaryPlace::EventAttribute { key } => format!("event attribute {key}"),
            CanaryPlace::LinkAttribute { key } => format!("link attribute {key}"),
            CanaryPlace::ResourceAttribute { key } => format!("resource attribute {key}"),
            CanaryPlace::Key => "an attribute's key".to_owned(),
            CanaryPlace::Name => "the span's name".to_owned(),
            CanaryPlace::EventName => "an event's name".to_owned(),
            CanaryPlace::Status => "the status message".to_owned(),
            CanaryPlace::TraceState => "the tracestate".to_owned(),
            CanaryPlace::Scope => "the scope".to_owned(),
            CanaryPlace::Unreadable => "a message that cannot be decoded".to_owned(),
        }
    }
}

/// A secret that came out in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Leak {
    /// Which.
    pub secret: Secret,
    /// The first place where it was found.
    pub came_out_in: CanaryPlace,
}

/// What became of a canary in one environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum CanaryFate {
    /// The environment did not take it, so it says nothing.
    #[default]
    NotTaken,
    /// It was taken, and nothing of it came out in time.
    NotOut,
    /// Spans of it came out.
    Out {
        /// The secrets that came out in clear, each at most once; the others were masked, or left out.
        leaks: Vec<Leak>,
    },
}

/// One canary that was followed to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Canary {
    /// Its trace, the same in both environments.
    pub trace: TraceId,
    /// When it was planted.
    pub planted_at: UnixMillis,
    /// What became of it.
    pub fates: PerEnvironment<CanaryFate>,
}

impl RouteKey {
    /// The trace id of the load that a gate sends, with this beginning.
    pub fn load(&self, beginning: [u8; 8]) -> TraceId {
        self.marked(b"load", beginning)
    }

    /// Whether a trace is of such a load. One trace of the traffic in 2^64 is taken for one.
    pub fn is_load(&self, trace: TraceId) -> bool {
        let mut beginning = [0; 8];
        beginning.copy_from_slice(&trace.0[..8]);
        self.load(beginning) == trace
    }

    fn marked(&self, label: &[u8], beginning: [u8; 8]) -> TraceId {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(label);
        hasher.write(&beginning);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&beginning);
        id[8..].copy_from_slice(&hasher.finish().to_be_bytes());
        TraceId(id)
    }

    /// The trace id of the canary with this beginning.
    pub fn canary(&self, beginning: [u8; 8]) -> TraceId {
        self.marked(b"canary", beginning)
    }

    /// Whether a trace is a canary of this rollout. One trace of the traffic in 2^64 is taken for one.
    pub fn is_canary(&self, trace: TraceId) -> bool {
        let mut beginning = [0; 8];
        beginning.copy_from_slice(&trace.0[..8]);
        self.canary(beginning) == trace
    }

    /// Bits that make up the `number`-th secret or id of a canary; whoever has not the key cannot tell them from chance.
    pub fn canary_bits(&self, trace: TraceId, number: u8) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(b"secret");
        hasher.write(&trace.0);
        hasher.write(&[number]);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests;
