use super::*;

const TINY: Bounds = Bounds { names: 2, key_sets: 1, resources: 1 };

/// What is found missing and changed between what was sent and what came out.
fn check(bounds: Bounds, sent: (&[&str], &[(&str, &[u8])]), out: (&[&str], &[(&str, &[u8])]), expected: &str) {
    let mut words = Vocabulary::new(Keyed([7; 16]), bounds);
    let [sent_attributes, out_attributes] =
        [sent.0, out.0].map(|keys| keys.iter().map(|key| (*key, &b""[..])).collect::<Vec<_>>());
    let (sent_keys, sent_resource) = (words.keys(&sent_attributes, None), words.resource(sent.1, None));
    let out_keys = words.keys(&out_attributes, Some(sent_keys));
    let out_resource = words.resource(out.1, Some(sent_resource));
    let mut found = Vec::new();
    words.missing_keys(sent_keys, out_keys, |key| found.push(format!("-{key}")));
    words.changed_attributes(sent_resource, out_resource, |key| found.push(format!("~{key}")));
    assert_eq!(found.join(" "), expected);
}

#[test]
fn missing_keys_are_named_and_extra_keys_are_fine() {
    check(Bounds::FULL, (&["a", "b", "c"], &[]), (&["a", "b", "c"], &[]), "");
    check(Bounds::FULL, (&["a", "b", "c"], &[]), (&["b", "d"], &[]), "-a -c");
    check(Bounds::FULL, (&["a"], &[]), (&["a", "b"], &[]), "");
}

#[test]
fn changed_added_and_removed_attributes_are_named() {
    check(Bounds::FULL, (&[], &[("h", b"1"), ("s", b"2")]), (&[], &[("h", b"1"), ("s", b"2")]), "");
    check(Bounds::FULL, (&[], &[("h", b"1"), ("s", b"2")]), (&[], &[("h", b"3"), ("s", b"2")]), "~h");
    check(Bounds::FULL, (&[], &[("h", b"1")]), (&[], &[("s", b"1")]), "~h ~s");
}

#[test]
fn what_does_not_fit_is_judged_by_hash() {
    check(TINY, (&["a", "b", "c"], &[("h", b"1")]), (&["a", "b", "c"], &[("h", b"1")]), "");
    check(TINY, (&["a", "b", "c"], &[("h", b"1")]), (&["a"], &[("h", b"2")]), "-(other) ~(other)");
    check(TINY, (&["a"], &[]), (&["a", "b", "c"], &[]), "");
    let none = Bounds { names: 0, key_sets: 0, resources: 0 };
    check(none, (&["a", "b"], &[("h", b"1")]), (&["a", "b"], &[("h", b"1")]), "");
    check(none, (&["a", "b"], &[("h", b"1")]), (&["b"], &[("h", b"2")]), "-(other) ~(other)");
}

#[test]
fn long_names_end_between_characters() {
    let mut words = Vocabulary::new(Keyed([7; 16]), Bounds::FULL);
    let long = format!("{}é", "a".repeat(MAX_NAME_BYTES - 1));
    let name = words.name(&long);
    assert_eq!(words.name_of(name), "a".repeat(MAX_NAME_BYTES - 1));
}

#[test]
fn a_sweep_makes_room_and_keeps_what_is_in_use() {
    let mut words = Vocabulary::new(Keyed([7; 16]), TINY);
    let (a, b) = (words.name("a"), words.name("b"));
    let c = words.name("c");
    assert_eq!(words.name_of(c), OTHER);
    assert_eq!(words.not_kept(), 1);
    assert!(words.wants_sweep());
    let mut used = words.nothing_in_use();
    used.name(b);
    words.sweep(&used);
    assert!(!words.wants_sweep());
    let c = words.name("c");
    assert_eq!((words.name_of(b), words.name_of(c)), ("b", "c"));
    assert_eq!(a, c, "the place that was freed is used again");
}

#[test]
fn oversized_sets_are_not_kept() {
    let mut words = Vocabulary::new(Keyed([7; 16]), Bounds::FULL);
    let long = "k".repeat(MAX_ENTRY_BYTES + 1);
    let keys = words.keys(&[(&long, b"")], None);
    assert_eq!((words.keys(&[(&long, b"")], None), words.not_kept()), (keys, 2));
}
