//! One difference between two trees, and how it reads.

use crate::limits::MAX_SHOWN;
use crate::secret::HIDDEN;
use crate::value::{Node, Scalar, Value};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Difference {
    /// The file that it is in: blue's, or green's where blue has none.
    pub file: String,
    /// Where: `exporters.otlp.endpoint`, `Deployment/default/checkout: spec.template.spec.containers[app].image`;
    /// empty for a whole file. A key that holds a dot, a colon, a blank or a bracket stands in brackets.
    pub path: String,
    /// What differs.
    pub change: Change,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Change {
    /// Both have a value here, and not the same one.
    Changed {
        /// Blue's.
        blue: Shown,
        /// Green's.
        green: Shown,
    },
    /// Blue alone has it.
    MissingInGreen {
        /// Blue's.
        blue: Shown,
    },
    /// Green alone has it.
    OnlyInGreen {
        /// Green's.
        green: Shown,
    },
    /// Both have the same items, in another order that matters.
    Reordered {
        /// The items in blue's order, as many as are shown.
        blue: Vec<Shown>,
        /// In green's.
        green: Vec<Shown>,
    },
}

/// What is shown of a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "shown", content = "text", rename_all = "camelCase")]
pub enum Shown {
    /// The value, with control characters escaped, cut at [`MAX_SHOWN`] characters.
    Value(String),
    /// It is a secret.
    Secret,
    /// A file without a format.
    Opaque,
    /// A mapping or list of so many entries.
    Collection(usize),
}

impl Shown {
    pub(crate) fn of(node: &Node) -> Shown {
        match node {
            Value::Map(entries) => Shown::Collection(entries.len()),
            Value::Named(named) => Shown::Collection(named.items.len()),
            Value::List(items) | Value::Bag(items) => Shown::Collection(items.len()),
            Value::Leaf(scalar) => match scalar {
                Scalar::Null => Shown::Value("null".to_owned()),
                Scalar::Bool(value) => Shown::Value(value.to_string()),
                Scalar::Number(number) => Shown::Value(number.to_string()),
                Scalar::Text(text) | Scalar::Masked { shown: text, .. } => Shown::Value(cut(text)),
                Scalar::Secret(_) => Shown::Secret,
                Scalar::Opaque(_) => Shown::Opaque,
            },
        }
    }

    /// Two values that differ. Where one is a secret the other one may be part of it, so neither is shown; where only
    /// a hidden part differs, or what was cut, that is said.
    pub(crate) fn both(blue: &Node, green: &Node) -> (Shown, Shown) {
        let (blue_shown, green_shown) = (Shown::of(blue), Shown::of(green));
        let collection = |shown: &Shown| matches!(shown, Shown::Collection(_));
        if blue_shown == Shown::Secret && !collection(&green_shown) {
            return (Shown::Secret, Shown::Secret);
        }
        if green_shown == Shown::Secret && !collection(&blue_shown) {
            return (Shown::Secret, Shown::Secret);
        }
        // A text that is not the number or truth value that it spells.
        if let (Value::Leaf(Scalar::Text(text)), Shown::Value(other)) = (blue, &green_shown)
            && text == other
        {
            return (Shown::Value(format!("\"{other}\"")), green_shown);
        }
        if let (Value::Leaf(Scalar::Text(text)), Shown::Value(other)) = (green, &blue_shown)
            && text == other
        {
            let quoted = Shown::Value(format!("\"{other}\""));
            return (blue_shown, quoted);
        }
        (blue_shown, green_shown)
    }
}

/// One line of bounded length.
pub(crate) fn cut(text: &str) -> String {
    cut_at(text, MAX_SHOWN)
}

/// One line of so many characters at most.
pub(crate) fn cut_at(text: &str, limit: usize) -> String {
    let mut characters = text.chars();
    let mut line: String = characters.by_ref().take(limit).flat_map(escaped).collect();
    let more = characters.count();
    if more > 0 {
        line.push_str(&format!("… ({more} more)"));
    }
    line
}

/// Control characters could move a terminal's cursor.
fn escaped(character: char) -> impl Iterator<Item = char> {
    let control = character.is_control();
    let escape = control.then(|| character.escape_default()).into_iter().flatten();
    escape.chain((!control).then_some(character))
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shown::Value(text) if text.is_empty() => f.write_str("\"\""),
            Shown::Value(text) => f.write_str(text),
            Shown::Secret => f.write_str(HIDDEN),
            Shown::Opaque => f.write_str("a file without a format"),
            Shown::Collection(0) => f.write_str("nothing in it"),
            Shown::Collection(1) => f.write_str("1 entry"),
            Shown::Collection(entries) => write!(f, "{entries} entries"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Changed { blue: Shown::Secret, green: Shown::Secret } => f.write_str("secret (changed)"),
            Change::Changed { blue: Shown::Opaque, green: Shown::Opaque } => f.write_str("differs"),
            Change::Changed { blue, green } if blue == green => {
                write!(f, "{blue} in both, differs in what is not shown")
            }
            Change::Changed { blue, green } => write!(f, "{blue} in blue, {green} in green"),
            Change::MissingInGreen { blue } => write!(f, "is missing in green; blue has {blue}"),
            Change::OnlyInGreen { green } => write!(f, "is in green alone: {green}"),
            Change::Reordered { blue, green } => {
                write!(f, "in another order: {} in blue; {} in green", Items(blue), Items(green))
            }
        }
    }
}

struct Items<'a>(&'a [Shown]);

impl fmt::Display for Items<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{item}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "{}: {}", self.file, self.change),
            path => write!(f, "{}: {path}: {}", self.file, self.change),
        }
    }
}
