//! Formats of lines: each line is changed, left out, moved and commented on.

use crate::{LINES, differences, tree};

/// Where the value of a line is: the key below its table, and where it begins.
fn place(file: &str, lines: &[&str], at: usize) -> Option<(String, usize)> {
    let line = lines[at];
    let value = line.find('=').or_else(|| line.find(": ")).or_else(|| line.rfind(' '))? + 1;
    if line.trim_start().starts_with(['#', '[']) || line.is_empty() || line.starts_with("  ") {
        return None;
    }
    let key = line[..value - 1].trim().trim_start_matches("export ");
    if file.ends_with(".properties") {
        return Some((if key.contains('.') { format!("[{key}]") } else { key.to_owned() }, value));
    }
    let table = lines[..at].iter().rev().find_map(|line| line.strip_prefix('[')?.strip_suffix(']'));
    let table = table.filter(|_| file.ends_with(".toml"));
    Some((table.map_or(key.to_owned(), |table| format!("{table}.{key}")), value))
}

/// Another value of the same kind.
fn changed(line: &str, value: usize) -> String {
    let (before, after) = line.split_at(value);
    let (old, new) = match after.trim() {
        "false" => ("false", "true"),
        text if text.starts_with("2024") => ("2024", "2025"),
        text if text.starts_with('{') => ("min = 2", "min = 3"),
        text if text.starts_with('[') => ("a.example", "c.example"),
        "" => return format!("{line}x"),
        text => match text.char_indices().find(|(_, character)| character.is_ascii_alphanumeric()) {
            Some((at, _)) if text.as_bytes()[at].is_ascii_digit() => (&text[at..=at], "7"),
            Some((at, _)) => (&text[at..=at], "zz"),
            None => panic!("{line}"),
        },
    };
    format!("{before}{}", after.replacen(old, new, 1))
}

#[test]
fn every_line_that_changes_is_found() {
    let mut pairs = 0;
    for (file, text) in LINES {
        let blue = tree(file, text);
        let lines: Vec<&str> = text.lines().collect();
        for at in 0..lines.len() {
            let Some((place, value)) = place(file, &lines, at) else { continue };
            pairs += 2;
            let with = |line: Option<String>| {
                let mut green: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
                // What is continued goes with its line.
                let continued = green[at].ends_with('\\');
                match line {
                    Some(line) => green[at] = line,
                    None => _ = green.drain(at..at + 1 + usize::from(continued)),
                }
                green.join("\n")
            };
            let found = differences(file, &blue, &with(Some(changed(lines[at], value))));
            assert!(matches!(found.as_slice(), [one] if one.path.starts_with(&place)), "{file} {place}: {found:?}");
            let found = differences(file, &blue, &with(None));
            assert!(matches!(found.as_slice(), [one] if one.path == place), "{file} {place}: {found:?}");
        }
        let commented: String = lines
            .iter()
            .map(|line| {
                if line.ends_with('\\') || line.starts_with("  ") {
                    format!("{line}\n")
                } else {
                    format!("# more\n\n{line}\n")
                }
            })
            .collect();
        assert_eq!(differences(file, &blue, &commented), [], "{file}");
        assert_eq!(differences(file, &blue, &text.replace('\n', "\r\n")), [], "{file}");
    }
    assert!(pairs >= 40, "{pairs}");
}
