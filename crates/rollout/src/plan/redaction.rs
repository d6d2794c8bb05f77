//! What is replaced in the copies that the candidate gets.

use super::problems::{Place, Problems};
use super::raw::{RawRedaction, Section};
use super::typed::word;
use redact::{Action, Class, Policy};
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

/// `redaction`; without it copies go as they are.
pub(super) fn redaction(
    problems: &mut Problems,
    parent: &Place,
    raw: &Section<RawRedaction>,
) -> Option<Option<Policy>> {
    let Some(section) = raw else { return Some(None) };
    let (at, raw) = (parent.key("redaction", section), &section.value);
    let (classes, keys) = (entries(problems, &at, "classes", &raw.classes), entries(problems, &at, "keys", &raw.keys));
    let mut policy = Policy::default();
    let mut known = classes.is_some() && keys.is_some();
    for (name, place, action) in classes.unwrap_or_default() {
        match word(name, &Class::ALL.map(|class| (class.name(), class))) {
            Ok(class) => policy = policy.with(class, action),
            Err(expected) => {
                problems.refuse(&place, format!("the class {name}"), expected);
                known = false;
            }
        }
    }
    for (name, place, action) in keys.unwrap_or_default() {
        match policy.clone().with_key(name, action) {
            Ok(with) => policy = with,
            Err(error) => {
                problems.refuse(&place, format!("`{name}`"), error.to_string());
                return None;
            }
        }
    }
    known.then_some(Some(policy))
}

/// Names with their actions, and where each stands.
fn entries<'raw>(
    problems: &mut Problems,
    parent: &Place,
    key: &str,
    raw: &'raw Section<BTreeMap<String, Spanned<String>>>,
) -> Option<Vec<(&'raw str, Place, Action)>> {
    let Some(section) = raw else { return Some(Vec::new()) };
    let at = parent.key(key, section);
    let words = [Action::Keep, Action::Mask, Action::Drop, Action::Hash].map(|action| (action_name(action), action));
    let read = section.value.iter().map(|(name, action)| {
        let place = at.key(name, action);
        match word(&action.value, &words) {
            Ok(action) => Some((name.as_str(), place, action)),
            Err(expected) => {
                problems.refuse(&place, super::error::quoted(&action.value), expected);
                None
            }
        }
    });
    // Every entry is read, so that each mistake is noted.
    read.collect::<Vec<_>>().into_iter().collect()
}

/// As the plan writes it.
fn action_name(action: Action) -> &'static str {
    match action {
        Action::Keep => "keep",
        Action::Mask => "mask",
        Action::Drop => "drop",
        Action::Hash => "hash",
    }
}

/// As people read it: what is replaced, and what is kept.
pub(super) fn in_words(policy: &Policy) -> String {
    let of = |action: Action| -> Option<String> {
        let classes: Vec<&str> =
            Class::ALL.into_iter().filter(|class| policy.action(*class) == action).map(Class::name).collect();
        (!classes.is_empty()).then(|| format!("{} {}", action_name(action), classes.join(", ")))
    };
    [Action::Mask, Action::Hash, Action::Drop, Action::Keep].into_iter().filter_map(of).collect::<Vec<_>>().join("; ")
}
