//! What differs between a span as it was sent and as it came out, beside its place in the tree.

use crate::digest::ATTRIBUTE_PLACES;
use crate::finding::Key;
use crate::trace::Span;
use crate::transformation::Part;
use crate::vocabulary::Vocabulary;
use model::Check;

/// Calls `note` for each difference. `is_skewed`: the span is outside its parent by having been moved.
pub(crate) fn differences(span: &Span, is_skewed: bool, words: &Vocabulary, mut note: impl FnMut(Check, Key)) {
    let (sent, out) = (span.sent().keys, span.came_out().keys);
    words.missing_keys(sent, out, |key| note(Check::MissingAttribute, Key::Attribute(key.into())));
    words.missing_keys(out, sent, |key| note(Check::AddedAttribute, Key::Attribute(key.into())));
    words.changed_types(sent, out, |key| note(Check::ChangedType, Key::Attribute(key.into())));
    words.changed_attributes(span.sent().resource, span.came_out().resource, |key| {
        note(Check::ChangedResource, Key::Attribute(key.into()));
    });
    if span.differences().times() {
        note(if is_skewed { Check::ClockSkew } else { Check::ChangedTime }, Key::None);
    }
    for (part, name) in [
        (Part::Name, "span name"),
        (Part::Status, "status"),
        (Part::Events, "events and links"),
        (Part::Scope, "instrumentation scope"),
    ] {
        if span.differences().part(part) {
            note(Check::ChangedValue, Key::Part(name));
        }
    }
    if span.differences().part(Part::Context) {
        note(Check::ChangedContext, Key::None);
    }
    changed_values(span, words, |key| note(Check::ChangedValue, key));
}

/// Calls `each` for the attributes that both sides have with values of one type, and that differ.
fn changed_values(span: &Span, words: &Vocabulary, mut each: impl FnMut(Key)) {
    if !span.differences().any_attribute() {
        return;
    }
    let (first, second) = match span.out_first {
        true => (span.came_out().keys, span.sent().keys),
        false => (span.sent().keys, span.came_out().keys),
    };
    let (Some(first), Some(second)) = (words.attributes_of(first), words.attributes_of(second)) else { return };
    let mut same_type = |at: usize| {
        let (key, kind) = &first[at];
        second.binary_search_by(|known| known.0.cmp(key)).is_ok_and(|at| second[at].1 == *kind)
    };
    for place in 0..ATTRIBUTE_PLACES {
        if !span.differences().attribute(place) {
            continue;
        }
        let keys = || (place..first.len()).step_by(ATTRIBUTE_PLACES);
        // A value of another type is a difference that is told already.
        if !keys().all(&mut same_type) {
            continue;
        }
        let mut keys = keys().map(|at| first[at].0.clone());
        match (keys.next(), keys.next()) {
            (Some(key), None) => each(Key::Attribute(key)),
            (Some(key), Some(other)) => each(Key::OneOf([key, other].into_iter().chain(keys).collect())),
            (None, _) => {}
        }
    }
}
