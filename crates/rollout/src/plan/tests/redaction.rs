//! What is replaced in copies.

use super::{accepted, previewed};
use redact::{Action, Class, Policy};

const BEFORE: &str = "  analysis:\n";

fn with(lines: &str) -> String {
    format!("{lines}\n{BEFORE}")
}

#[test]
fn a_policy_begins_with_the_default() {
    assert_eq!(accepted(&[]).redaction, None);
    assert_eq!(accepted(&[(BEFORE, &with("  redaction: {}"))]).redaction, Some(Policy::default()));
    let own = with("  redaction: { classes: { email: hash, ipv4: mask }, keys: { app.note: keep } }");
    let policy = accepted(&[(BEFORE, &own)]).redaction.expect("it is configured");
    let actions = [Class::Email, Class::Ipv4, Class::PaymentCard].map(|class| policy.action(class));
    assert_eq!(actions, [Action::Hash, Action::Mask, Action::Mask]);
    assert_eq!(policy.key_action("app.note"), Some(Action::Keep));
    let shown = previewed(&[(BEFORE, &own)]).to_string();
    assert!(shown.contains("hash email") && shown.contains("keep ipv6"), "{shown}");
}

#[test]
fn unknown_classes_and_actions_are_refused() {
    let plan = super::edited(&[(BEFORE, &with("  redaction: { classes: { emial: hash }, keys: { x: mas } }"))]);
    let refused = crate::plan::parse(&plan).expect_err("it names no class").to_string();
    assert!(refused.contains("spec.redaction.classes.emial: found the class emial"), "{refused}");
    assert!(refused.contains("did you mean `email`?"), "{refused}");
    assert!(refused.contains("spec.redaction.keys.x: found mas"), "{refused}");
    assert!(refused.contains("did you mean `mask`?"), "{refused}");
}
