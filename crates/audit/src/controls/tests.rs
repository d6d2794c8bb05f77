use super::*;
use std::collections::BTreeSet;

/// The document is written by hand but for its tables, which are these.
#[test]
fn the_document_has_these_tables() {
    let document = include_str!("../../../../docs/controls.md");
    for expected in [records_markdown(), controls_markdown()] {
        assert!(document.contains(&expected), "docs/controls.md: expected these tables:\n{expected}");
    }
}

#[test]
fn controls_are_tokens_as_oscal_has_them_and_stand_once() {
    let mut seen = BTreeSet::new();
    let of_controls = CONTROLS.iter().flat_map(|control| control.tokens).copied();
    for token in of_controls.chain(Framework::ALL.map(Framework::token)) {
        let mut characters = token.chars();
        assert!(characters.next().is_some_and(|first| first.is_ascii_lowercase()), "{token}");
        assert!(characters.all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || "-.".contains(it)), "{token}");
        assert!(seen.insert(token), "{token} stands twice");
    }
    for control in CONTROLS {
        assert!(!control.tokens.is_empty() && control.records.is_sorted(), "{control:?}");
    }
}

/// "Supports evidence for" is all that is said.
#[test]
fn nobody_is_said_to_be_compliant() {
    let text = controls_markdown().to_lowercase();
    for word in ["compliant", "compliance", "satisf", "certif", "conform"] {
        assert!(!text.contains(word), "{word}");
    }
}
