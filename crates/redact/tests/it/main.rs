//! Detectors over thousands of values from seeds: what must be found, what must stay, and what hostile texts cost.

mod dice;
mod hostile;
mod identifiers;
mod values;

use redact::{Action, Class, Counts, Key, Policy, Redactor};

/// Masks everything, the addresses too.
fn redactor() -> Redactor {
    let policy = Policy::default().with(Class::Ipv4, Action::Mask).with(Class::Ipv6, Action::Mask);
    Redactor::new(&policy, &Key([7; 32]))
}

fn edit(redactor: &Redactor, key: Option<&str>, text: &str) -> Option<String> {
    redactor.text(key, text, &mut Counts::default())
}
