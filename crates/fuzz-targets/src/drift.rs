//! Configurations: any bytes under any name are read or refused, and what is refused is refused in short, printable
//! words; what is read equals itself, and differs in printable words from what one byte more makes of it.

use ::drift::tracing::{Environments, rules};
use ::drift::{MAX_DIFFERENCES, MAX_SHOWN, SecretKey, Tree, compare};
use std::collections::BTreeMap;

/// One name of each format, and one of none.
const NAMES: [&str; 7] = ["a.yaml", "a.json", "a.toml", ".env", "a.properties", "compose.yaml", "a"];
/// A file's name, a position and a sentence.
const MAX_WORDS: usize = 400;
/// Two values of [`MAX_SHOWN`] characters, each escaped as ten at most, and the words around them.
const MAX_CHANGE: usize = 2 * 10 * MAX_SHOWN + 200;

/// The target: the first byte says the name, the rest is the file.
pub(crate) fn run(bytes: &[u8]) {
    let Some((choice, file)) = bytes.split_first() else { return };
    let name = NAMES[usize::from(*choice) % NAMES.len()];
    let Some(tree) = read(name, file) else { return };
    if name.ends_with(".json") {
        let text = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
        assert!(serde_json::from_slice::<serde_json::Value>(text).is_ok(), "no JSON");
    }
    let environments = Environments { blue: vec!["http://a:1".to_owned()], green: vec!["b".to_owned()] };
    let drift = compare(&tree, &tree);
    assert!(drift.differences.is_empty(), "a tree differs from itself: {}", drift.differences[0]);
    let Some(other) = read(name, &[file, b" "].concat()) else { return };
    let drift = compare(&tree, &other);
    assert!(drift.differences.len() <= MAX_DIFFERENCES, "{} differences", drift.differences.len());
    for difference in &drift.differences {
        let change = difference.change.to_string();
        // An order shows as many names as a pipeline has.
        assert!(change.len() <= 32 * MAX_CHANGE, "{} bytes", change.len());
        assert!(!difference.to_string().contains(char::is_control), "{difference:?}");
    }
    for finding in rules(&tree, &other, &environments).findings {
        assert!(!finding.message.contains(char::is_control), "{finding:?}");
    }
}

fn read(name: &str, file: &[u8]) -> Option<Tree> {
    let files = BTreeMap::from([(name.to_owned(), file.to_vec())]);
    match Tree::read(&files, &SecretKey::new([0; 32])) {
        Ok(tree) => Some(tree),
        Err(error) => {
            let words = error.to_string();
            assert!(!words.is_empty() && words.len() < MAX_WORDS, "{} bytes", words.len());
            assert!(!words.contains(char::is_control), "{words:?}");
            None
        }
    }
}
