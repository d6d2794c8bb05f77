//! What is presentation is no difference.

use crate::write::{Style, json, yaml};
use crate::{STRUCTURED, differences, documents, tree};

#[test]
fn every_style_of_writing_is_the_same() {
    let plain = Style { indent: 2, reversed: false, quoted: false, comments: false, anchors: false };
    let styles = [
        ("block", plain),
        ("four spaces", Style { indent: 4, ..plain }),
        ("keys reversed", Style { reversed: true, ..plain }),
        ("quoted", Style { quoted: true, ..plain }),
        ("comments", Style { comments: true, ..plain }),
        ("anchors", Style { anchors: true, ..plain }),
        ("all", Style { indent: 3, reversed: true, quoted: true, comments: true, anchors: true }),
    ];
    for (file, text) in STRUCTURED {
        let blue = tree(file, text);
        let documents = documents(file, text);
        assert_eq!(differences(file, &blue, &json(&documents)), [], "{file} as JSON");
        if file.ends_with(".json") {
            continue;
        }
        for (name, style) in styles {
            assert_eq!(differences(file, &blue, &yaml(&documents, style)), [], "{file}: {name}");
        }
        let windows = text.replace('\n', "\r\n");
        if !windows.contains("|\r\n") {
            assert_eq!(differences(file, &blue, &windows), [], "{file}: line ends");
        }
    }
}

#[test]
fn objects_are_the_same_in_whichever_files_they_stand() {
    use drift::{SecretKey, Tree, compare};
    use std::collections::BTreeMap;
    let key = SecretKey::new([5; 32]);
    let objects = STRUCTURED.iter().filter(|(_, text)| text.contains("apiVersion"));
    let apart: BTreeMap<String, Vec<u8>> =
        objects.clone().map(|(file, text)| (format!("base/{file}"), text.as_bytes().to_vec())).collect();
    let together = objects.map(|(_, text)| *text).collect::<Vec<_>>().join("\n---\n");
    let together = BTreeMap::from([("all.yml".to_owned(), together.into_bytes())]);
    let drift = compare(
        &Tree::read(&apart, &key).expect("it is read and written"),
        &Tree::read(&together, &key).expect("it is read and written"),
    );
    assert_eq!(drift.differences, []);
}
