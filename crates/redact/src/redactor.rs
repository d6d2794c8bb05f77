//! What is found in a text is replaced as the policy says.

use crate::class::{Class, Counts};
use crate::context::Context;
use crate::list;
use crate::percent::Decoded;
use crate::policy::{Action, Key, Policy};
use crate::scan::{Hit, scan};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The tag of a text that is replaced as a whole.
const REDACTED: &str = "redacted";

/// Letters of a hash: four bits each. They are letters alone (`a` to `p`), so that no hash looks like a number or an
/// identifier, to us or to whoever redacts behind us. 64 bits: among a million values two share a tag with 3 in 10^8.
const HASH_LETTERS: usize = 16;

/// The longest tag: `[authorization:` and `[url-password:` with a hash and its bracket are 32 and 31.
const MAX_TAG_LEN: usize = 48;

/// A text is looked at again after it was edited, as often as this: what stood beside a value may be one by itself once that
/// is a tag. Texts of applications are done after the first.
const MAX_PASSES: usize = 4;

/// Finds sensitive values in texts, and replaces them.
///
/// What replaces a value is a tag with the name of its class, `[email]`, or with a keyed hash of the value too,
/// `[email:kdpambfoohgjcnel]`: nothing of the value is in it, not its length and not its last digits. The hash is HMAC-SHA256 over class and
/// value, numbers without their separators, cut to 64 bits. A tag is left alone where it is met, so that redacting twice is
/// redacting once.
#[derive(Clone)]
pub struct Redactor {
    policy: Policy,
    hash: Hmac<Sha256>,
}

impl Redactor {
    /// A redactor with this policy, whose hashes are under this key.
    pub fn new(policy: &Policy, key: &Key) -> Redactor {
        let hash = Hmac::new_from_slice(&key.0).expect("HMAC takes keys of any length");
        Redactor { policy: policy.clone(), hash }
    }

    /// The edited text, and what was replaced added to the counts; `None` if nothing was.
    ///
    /// `key` is the name that the text stands under, as it is written. Under `baggage` and `tracestate` (and headers of these
    /// names) each member's name is the key of its value. Time and memory are linear in the text.
    pub fn text(&self, key: Option<&str>, text: &str, counts: &mut Counts) -> Option<String> {
        if let Some(action) = key.and_then(|key| self.policy.key_action(key)) {
            return self.whole(action, text, counts);
        }
        let context = key.map_or(Context::NONE, |key| Context::of(key.as_bytes()));
        if !context.has(Context::LIST) {
            return self.value(context, text, counts);
        }
        let edited = list::edit(text, |name, value| match self.policy.key_action(name) {
            Some(action) => self.whole(action, value, counts),
            None => self.value(Context::of(name.as_bytes()), value, counts),
        });
        // What is no list is looked at as a text.
        if edited.is_some() || text.contains('=') { edited } else { self.value(context, text, counts) }
    }

    /// The text as a whole, because its key is named.
    fn whole(&self, action: Action, text: &str, counts: &mut Counts) -> Option<String> {
        let is_done = text.is_empty() || tag_end(text.as_bytes(), 0) == Some(text.len());
        let replaced = match action {
            Action::Keep => return None,
            _ if is_done => return None,
            Action::Mask => format!("[{REDACTED}]"),
            Action::Drop => String::new(),
            Action::Hash => {
                let mut tag = String::new();
                self.put_tag(&mut tag, REDACTED, text.bytes());
                tag
            }
        };
        counts.by_key += 1;
        Some(replaced)
    }

    fn value(&self, context: Context, text: &str, counts: &mut Counts) -> Option<String> {
        let mut edited = self.pass(context, text, counts)?;
        for _ in 0..MAX_PASSES {
            match self.pass(context, &edited, counts) {
                Some(again) => edited = again,
                None => return Some(edited),
            }
        }
        // Somebody wrote a chain of values that uncover one another: none of it stays.
        Some(format!("[{REDACTED}]"))
    }

    /// Replaces what one pass finds.
    fn pass(&self, context: Context, text: &str, counts: &mut Counts) -> Option<String> {
        let decoded = Decoded::new(text);
        let mut hits = scan(&decoded.bytes, context).hits;
        hits.retain(|hit| self.policy.action(hit.class) != Action::Keep);
        if hits.is_empty() {
            return None;
        }
        for hit in &hits {
            counts.count(hit.class);
        }
        if hits.iter().any(|hit| self.policy.action(hit.class) == Action::Drop) {
            return Some(String::new());
        }
        Some(self.replace(text, &decoded, &hits))
    }

    fn replace(&self, text: &str, decoded: &Decoded<'_>, hits: &[Hit]) -> String {
        let mut out = String::with_capacity(text.len() + hits.len() * MAX_TAG_LEN);
        let mut copied = 0;
        for hit in hits {
            out.push_str(&text[copied..decoded.written(hit.start)]);
            let value = decoded.bytes[hit.start..hit.end].iter().copied();
            match self.policy.action(hit.class) {
                Action::Hash if hit.class.is_number() => {
                    self.put_tag(&mut out, hit.class.name(), value.filter(u8::is_ascii_alphanumeric));
                }
                Action::Hash => self.put_tag(&mut out, hit.class.name(), value),
                Action::Mask | Action::Keep | Action::Drop => {
                    out.push('[');
                    out.push_str(hit.class.name());
                    out.push(']');
                }
            }
            copied = decoded.written(hit.end);
        }
        out.push_str(&text[copied..]);
        out
    }

    fn put_tag(&self, out: &mut String, name: &str, value: impl Iterator<Item = u8>) {
        let mut hash = self.hash.clone();
        hash.update(name.as_bytes());
        hash.update(&[0]);
        hash.update(&value.collect::<Vec<u8>>());
        let bytes = hash.finalize().into_bytes();
        out.push('[');
        out.push_str(name);
        out.push(':');
        for byte in &bytes[..HASH_LETTERS / 2] {
            out.push(char::from(b'a' + (byte >> 4)));
            out.push(char::from(b'a' + (byte & 15)));
        }
        out.push(']');
    }
}

/// The end of the tag that begins here.
pub(crate) fn tag_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?.strip_prefix(b"[")?;
    let length = rest.iter().take(MAX_TAG_LEN).position(|byte| *byte == b']')?;
    let mut parts = rest[..length].splitn(2, |byte| *byte == b':');
    let name = parts.next()?;
    let is_hash = |hash: &[u8]| hash.len() == HASH_LETTERS && hash.iter().all(|byte| (b'a'..=b'p').contains(byte));
    let is_name = name == REDACTED.as_bytes() || Class::ALL.iter().any(|class| class.name().as_bytes() == name);
    (is_name && parts.next().is_none_or(is_hash)).then_some(at + 1 + length + 1)
}
