//! What an environment's pipeline is meant to change of the spans. What is declared here is no finding, so it is a claim
//! that people approve: it has a reason, and what would say the same twice, or nothing, is refused.

use super::error::quoted;
use super::problems::{Expected, Place, Problems};
use super::quantity::{line, prose};
use super::raw::{RawAttributeChanges, RawTransformations, Section};
use super::typed::word;
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;
use std::collections::{BTreeMap, BTreeSet};

/// Names in one list. A few dozen are much; with 200 characters each a full list is 40 kB, and the whole plan has its own
/// bound.
const MAX_NAMES: usize = 200;
/// Characters of an attribute's key; those of the semantic conventions have less than 60.
const MAX_KEY_CHARACTERS: usize = 200;
/// Characters of the reason.
const MAX_REASON_CHARACTERS: usize = 500;

/// What a pipeline is meant to change. The default declares nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Transformations {
    /// Why; empty exactly if nothing is declared.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub reason: String,
    /// Of a span's attributes.
    #[serde(skip_serializing_if = "AttributeChanges::is_nothing", default)]
    pub attributes: AttributeChanges,
    /// The resource's identity attributes that are added, removed or changed.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub resource: BTreeSet<String>,
    /// What of a span comes out changed, beside its attributes.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub parts: BTreeSet<SpanPart>,
    /// The finest unit of times that is kept; `None` for all of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub times: Option<TimeUnit>,
    /// Whether whole traces may be left out.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub samples: bool,
}

/// What is meant to change of a span's attributes. A key stands in one of these at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttributeChanges {
    /// Keys that the pipeline adds, or writes over.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub added: BTreeSet<String>,
    /// Keys that do not come out.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub removed: BTreeSet<String>,
    /// Keys under which a value comes out, by those under which it is sent. None is itself, added or removed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub renamed: BTreeMap<String, String>,
    /// Keys whose value, or its type, comes out changed.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub changed: BTreeSet<String>,
}

/// A part of a span that is compared as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SpanPart {
    /// The span's name.
    Name,
    /// Status code and message.
    Status,
    /// Events, links, and how many were dropped.
    Events,
    /// `tracestate` and flags.
    Context,
    /// The instrumentation scope and the schema.
    Scope,
}

/// The finest unit of a time that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TimeUnit {
    /// Microseconds, as Zipkin and Jaeger keep them.
    Us,
    /// Milliseconds.
    Ms,
}

impl SpanPart {
    /// All of them.
    pub const ALL: [SpanPart; 5] =
        [SpanPart::Name, SpanPart::Status, SpanPart::Events, SpanPart::Context, SpanPart::Scope];

    /// As the plan writes it.
    pub fn name(self) -> &'static str {
        match self {
            SpanPart::Name => "name",
            SpanPart::Status => "status",
            SpanPart::Events => "events",
            SpanPart::Context => "context",
            SpanPart::Scope => "scope",
        }
    }
}

impl TimeUnit {
    /// As the plan writes it.
    pub fn name(self) -> &'static str {
        match self {
            TimeUnit::Us => "us",
            TimeUnit::Ms => "ms",
        }
    }
}

impl AttributeChanges {
    /// Whether nothing is declared.
    pub fn is_nothing(&self) -> bool {
        let AttributeChanges { added, removed, renamed, changed } = self;
        added.is_empty() && removed.is_empty() && renamed.is_empty() && changed.is_empty()
    }
}

impl Transformations {
    /// Whether nothing is declared.
    pub fn is_nothing(&self) -> bool {
        let Transformations { reason: _, attributes, resource, parts, times, samples } = self;
        attributes.is_nothing() && resource.is_empty() && parts.is_empty() && times.is_none() && !samples
    }

    /// What is declared, a line each, for whoever approves it.
    pub(super) fn in_words(&self) -> Vec<String> {
        let Transformations { reason, attributes, resource, parts, times, samples } = self;
        let list = |what: &str, names: &mut dyn Iterator<Item = &str>| {
            let names: Vec<&str> = names.collect();
            (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
        };
        let renamed: Vec<String> = attributes.renamed.iter().map(|(from, to)| format!("{from} to {to}")).collect();
        [
            list("attributes added or written over", &mut attributes.added.iter().map(String::as_str)),
            list("attributes removed", &mut attributes.removed.iter().map(String::as_str)),
            list("attributes renamed", &mut renamed.iter().map(String::as_str)),
            list("attributes changed", &mut attributes.changed.iter().map(String::as_str)),
            list("resource attributes changed", &mut resource.iter().map(String::as_str)),
            list("parts changed", &mut parts.iter().map(|part| part.name())),
            times.map(|unit| format!("times cut to {}", unit.name())),
            samples.then(|| "whole traces left out".to_owned()),
            (!self.is_nothing()).then(|| format!("because: {reason}")),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// An environment's `transformations`.
pub(super) fn transformations(
    problems: &mut Problems,
    parent: &Place,
    raw: &Section<RawTransformations>,
) -> Option<Transformations> {
    let Some(section) = raw else { return Some(Transformations::default()) };
    let (at, raw) = (parent.key("transformations", section), &section.value);
    let wanted = "why the pipeline is meant to change them";
    let reason = problems.needed(&at, "reason", &raw.reason, wanted, |text| prose(text, MAX_REASON_CHARACTERS));
    let attributes = attributes(problems, &at, &raw.attributes);
    let resource = names(problems, &at, "resource", &raw.resource, key);
    let parts =
        names(problems, &at, "parts", &raw.parts, |text| word(text, &SpanPart::ALL.map(|part| (part.name(), part))));
    let units = [TimeUnit::Us, TimeUnit::Ms].map(|unit| (unit.name(), unit));
    let times = problems.optional(&at, "times", &raw.times, |text| word(text, &units));
    let samples =
        problems.or(&at, "samples", &raw.samples, false, |text| word(text, &[("true", true), ("false", false)]));
    let (Some(reason), Some(attributes), Some(resource)) = (reason, attributes, resource) else { return None };
    let (Some(parts), Some(times), Some(samples)) = (parts, times, samples) else { return None };
    let declared = Transformations { reason, attributes, resource, parts, times, samples };
    if declared.is_nothing() {
        let expected =
            "at least one of `attributes`, `resource`, `parts`, `times` and `samples`, or no `transformations`";
        problems.refuse(&at, "a reason, and nothing that is meant to change", expected);
        return None;
    }
    Some(declared)
}

fn attributes(problems: &mut Problems, parent: &Place, raw: &Section<RawAttributeChanges>) -> Option<AttributeChanges> {
    let Some(section) = raw else { return Some(AttributeChanges::default()) };
    let (at, raw) = (parent.key("attributes", section), &section.value);
    let added = names(problems, &at, "added", &raw.added, key);
    let removed = names(problems, &at, "removed", &raw.removed, key);
    let changed = names(problems, &at, "changed", &raw.changed, key);
    let renamed = renamed(problems, &at, &raw.renamed);
    let (Some(added), Some(removed), Some(renamed), Some(changed)) = (added, removed, renamed, changed) else {
        return None;
    };
    let changes = AttributeChanges { added, removed, renamed, changed };
    let listed = [("added", &raw.added), ("removed", &raw.removed), ("changed", &raw.changed)];
    let once = stands_once(problems, &at, &listed, &raw.renamed) & targets_are_compared(problems, &at, raw, &changes);
    once.then_some(changes)
}

/// Each key stands in one list, or is renamed: one entry says what becomes of it.
fn stands_once(
    problems: &mut Problems,
    parent: &Place,
    lists: &[(&'static str, &Section<Vec<Spanned<String>>>)],
    renamed: &Section<BTreeMap<String, Spanned<String>>>,
) -> bool {
    let from = renamed.iter().flat_map(|section| section.value.keys());
    let mut known: BTreeMap<&str, &str> = from.map(|key| (key.as_str(), "renamed")).collect();
    let mut once = true;
    for (list, section) in lists {
        let Some(section) = section else { continue };
        let place = parent.key(list, section);
        for (index, name) in section.value.iter().enumerate() {
            if let Some(other) = known.insert(&name.value, list) {
                let found = format!("{}, which is in `{other}` too", quoted(&name.value));
                problems.refuse(&place.item(index, name), found, "each key in one of them: it says what becomes of it");
                once = false;
            }
        }
    }
    once
}

/// What comes out under another key is compared there, so that key is neither added nor removed.
fn targets_are_compared(
    problems: &mut Problems,
    parent: &Place,
    raw: &RawAttributeChanges,
    changes: &AttributeChanges,
) -> bool {
    let Some(section) = &raw.renamed else { return true };
    let place = parent.key("renamed", section);
    let mut compared = true;
    for (from, to) in &*section.value {
        let list = match (changes.added.contains(&to.value), changes.removed.contains(&to.value)) {
            (true, _) => "added",
            (false, true) => "removed",
            (false, false) => continue,
        };
        let found = format!("{}, which is in `{list}` too", quoted(&to.value));
        let help = format!("a key in `{list}` is not compared, so the rename would say nothing");
        problems.refuse_because(&place.key(&quoted(from), to), found, "a key that is only renamed to", help);
        compared = false;
    }
    compared
}

/// A list of different names.
fn names<T: Ord>(
    problems: &mut Problems,
    parent: &Place,
    key: &str,
    raw: &Section<Vec<Spanned<String>>>,
    read: impl Fn(&str) -> Result<T, Expected>,
) -> Option<BTreeSet<T>> {
    let Some(section) = raw else { return Some(BTreeSet::new()) };
    let list = parent.key(key, section);
    if !is_bounded(problems, &list, section.value.len()) {
        return None;
    }
    let (mut known, mut all) = (BTreeSet::new(), true);
    for (index, name) in section.value.iter().enumerate() {
        let at = list.item(index, name);
        match read(&name.value) {
            Ok(value) => {
                if known.insert(value) {
                    continue;
                }
                problems.refuse(&at, format!("{} twice", quoted(&name.value)), "each name once");
            }
            Err(expected) => problems.refuse(&at, quoted(&name.value), expected),
        }
        all = false;
    }
    all.then_some(known)
}

fn renamed(
    problems: &mut Problems,
    parent: &Place,
    raw: &Section<BTreeMap<String, Spanned<String>>>,
) -> Option<BTreeMap<String, String>> {
    let Some(section) = raw else { return Some(BTreeMap::new()) };
    let place = parent.key("renamed", section);
    if !is_bounded(problems, &place, section.value.len()) {
        return None;
    }
    let (mut known, mut all) = (BTreeMap::new(), true);
    for (from, to) in &*section.value {
        let at = place.key(&quoted(from), to);
        match (key(from), key(&to.value)) {
            (Ok(from), Ok(to)) if from == to => {
                problems.refuse(&at, format!("{} renamed to itself", quoted(&to)), "another key");
            }
            (Ok(from), Ok(to)) => {
                known.insert(from, to);
                continue;
            }
            (Err(expected), _) => problems.refuse(&parent.key("renamed", to), quoted(from), expected),
            (Ok(_), Err(expected)) => problems.refuse(&at, quoted(&to.value), expected),
        }
        all = false;
    }
    all.then_some(known)
}

fn is_bounded(problems: &mut Problems, list: &Place, entries: usize) -> bool {
    if entries > MAX_NAMES {
        problems.refuse(list, format!("{entries} entries"), format!("at most {MAX_NAMES}"));
    }
    entries <= MAX_NAMES
}

/// An attribute's key, exactly as it is sent.
fn key(text: &str) -> Result<String, Expected> {
    let expected = || format!("an attribute's key: one printable line of 1 to {MAX_KEY_CHARACTERS} characters");
    line(text, MAX_KEY_CHARACTERS).ok().filter(|known| known.as_str() == text).ok_or_else(expected)
}
