//! How places in a configuration are written: `exporters.otlp.endpoint`, `containers[app].env[LOG_LEVEL].value`.

use crate::difference::cut;
use crate::limits::MAX_SHOWN;
use crate::tree::DocumentId;

/// A place, as text that grows and shrinks with the walk.
#[derive(Clone)]
pub(crate) struct Path {
    text: String,
    /// Where what stands before the first key ends: `Deployment/default/checkout`.
    prefix: usize,
}

impl Path {
    pub(crate) fn of(id: &DocumentId) -> Path {
        let text = match id {
            DocumentId::Object { name, number: 0 } => cut(name),
            DocumentId::Object { name, number } => format!("{}#{}", cut(name), number + 1),
            DocumentId::File { index: 0, .. } => String::new(),
            DocumentId::File { index, .. } => format!("[{index}]"),
        };
        Path { prefix: text.len(), text }
    }

    /// One step to a key; gives what [`Path::back`] takes.
    pub(crate) fn key(&mut self, key: &str) -> usize {
        let back = self.divide();
        let plain = !key.is_empty() && key.len() <= MAX_SHOWN && key.bytes().all(is_plain);
        if plain {
            if !self.text.is_empty() && !self.text.ends_with(": ") {
                self.text.push('.');
            }
            self.text.push_str(key);
        } else {
            self.bracket(key);
        }
        back
    }

    /// One step to a named item.
    pub(crate) fn name(&mut self, name: &str) -> usize {
        let back = self.divide();
        self.bracket(name);
        back
    }

    /// One step to an item by its position, from 0.
    pub(crate) fn index(&mut self, index: usize) -> usize {
        self.name(&index.to_string())
    }

    pub(crate) fn back(&mut self, to: usize) {
        self.text.truncate(to);
    }

    pub(crate) fn shown(&self) -> String {
        self.text.clone()
    }

    fn bracket(&mut self, key: &str) {
        self.text.push('[');
        self.text.push_str(&cut(key));
        self.text.push(']');
    }

    /// An object's name is divided from the path in it.
    fn divide(&mut self) -> usize {
        let back = self.text.len();
        if back == self.prefix && back > 0 && !self.text.ends_with(']') {
            self.text.push_str(": ");
        }
        back
    }
}

/// What a key is written in without brackets.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'.' | b':' | b'[' | b']')
}

/// Whether a place is another one, or below it.
pub(crate) fn covers(path: &str, place: &str) -> bool {
    match place.strip_prefix(path) {
        Some(rest) => rest.is_empty() || rest.starts_with(['.', '[', ':']),
        None => false,
    }
}
