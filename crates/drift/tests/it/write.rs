//! Writes documents as YAML in several styles, all of which mean the same.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// How documents are written.
#[derive(Clone, Copy)]
pub struct Style {
    /// Spaces of a level.
    pub indent: usize,
    /// Keys from the last to the first.
    pub reversed: bool,
    /// Texts in double quotes where they need none.
    pub quoted: bool,
    /// A comment on each line of its own.
    pub comments: bool,
    /// Whatever stands twice is an alias the second time.
    pub anchors: bool,
}

/// Each document as JSON, which is YAML.
pub fn json(documents: &[Value]) -> String {
    let documents: Vec<String> = documents.iter().map(Value::to_string).collect();
    documents.join("\n---\n")
}

pub fn yaml(documents: &[Value], style: Style) -> String {
    let documents = documents.iter().map(|document| {
        let mut writer = Writer { style, out: String::new(), anchors: BTreeMap::new() };
        writer.value(document, 0);
        writer.out
    });
    documents.collect::<Vec<_>>().join("---\n")
}

struct Writer {
    style: Style,
    out: String,
    anchors: BTreeMap<String, usize>,
}

impl Writer {
    /// After `key:` or `-`, with the line's end.
    fn value(&mut self, value: &Value, level: usize) {
        let composite = matches!(value, Value::Object(_) | Value::Array(_) | Value::String(_));
        if self.style.anchors && level > 0 && composite {
            let text = value.to_string();
            if let Some(anchor) = self.anchors.get(&text) {
                writeln!(self.out, " *a{anchor}").expect("a text takes every text");
                return;
            }
            let anchor = self.anchors.len();
            self.anchors.insert(text, anchor);
            write!(self.out, " &a{anchor}").expect("a text takes every text");
        }
        let pad = " ".repeat(level * self.style.indent);
        match value {
            Value::Object(map) if !map.is_empty() => {
                self.begin(level);
                let mut entries: Vec<_> = map.iter().collect();
                if self.style.reversed {
                    entries.reverse();
                }
                for (key, value) in entries {
                    if self.style.comments {
                        writeln!(self.out, "{pad}# what follows is {}", key.len()).expect("a text takes every text");
                    }
                    let key = self.text(key);
                    write!(self.out, "{pad}{key}:").expect("a text takes every text");
                    self.value(value, level + 1);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                self.begin(level);
                for item in items {
                    write!(self.out, "{pad}-").expect("a text takes every text");
                    self.value(item, level + 1);
                }
            }
            Value::String(text) => {
                let text = self.text(text);
                writeln!(self.out, " {text}").expect("a text takes every text");
            }
            other => writeln!(self.out, " {other}").expect("a text takes every text"),
        }
    }

    fn begin(&mut self, level: usize) {
        if level > 0 {
            self.out.push('\n');
        }
    }

    /// Plain where that is safe beyond doubt.
    fn text(&self, text: &str) -> String {
        let safe = text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/' | b'_'))
            && !matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "null" | "yes" | "no");
        if safe && !self.style.quoted { text.to_owned() } else { Value::from(text).to_string() }
    }
}
