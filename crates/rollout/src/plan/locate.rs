//! From a line and column to the keys that lead there, for mistakes of shape: there serde stops, and says no path.

use super::error::quoted;
use super::raw;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};
use std::fmt;

/// The path of the last node that begins at the place or before it. Empty if the YAML cannot be read at all.
pub(super) fn path(yaml: &str, line: u64, column: u64) -> String {
    let mut options = raw::options();
    // A key that stands twice is what may be looked for; under this policy the parser hands out both.
    options.duplicate_keys = DuplicateKeyPolicy::LastWins;
    let Ok(tree) = serde_saphyr::from_str_with_options::<Spanned<Tree>>(yaml, options) else {
        return String::new();
    };
    let mut search = Search { target: (line, column), best: (0, 0), path: String::new() };
    search.walk(&tree.value, "");
    search.path
}

/// The shape of any YAML.
enum Tree {
    Scalar,
    List(Vec<Spanned<Tree>>),
    Map(Vec<(Spanned<String>, Spanned<Tree>)>),
}

struct Search {
    target: (u64, u64),
    best: (u64, u64),
    path: String,
}

impl Search {
    /// Depth is bounded by the parser's budget.
    fn walk(&mut self, tree: &Tree, path: &str) {
        match tree {
            Tree::Scalar => {}
            Tree::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    self.consider(item.referenced, &path);
                    self.walk(&item.value, &path);
                }
            }
            Tree::Map(entries) => {
                for (key, value) in entries {
                    let separator = if path.is_empty() { "" } else { "." };
                    let path = format!("{path}{separator}{}", quoted(&key.value));
                    self.consider(key.referenced, &path);
                    self.consider(value.referenced, &path);
                    self.walk(&value.value, &path);
                }
            }
        }
    }

    fn consider(&mut self, at: Location, path: &str) {
        let at = (at.line(), at.column());
        if at <= self.target && at >= self.best {
            self.best = at;
            self.path = path.to_owned();
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

macro_rules! scalars {
    ($($visit:ident: $kind:ty),* $(,)?) => {$(
        fn $visit<E>(self, _: $kind) -> Result<Tree, E> {
            Ok(Tree::Scalar)
        }
    )*};
}

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    scalars! {
        visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_i128: i128, visit_u128: u128, visit_f64: f64,
        visit_str: &str, visit_bytes: &[u8],
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Tree::Map(map))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        IgnoredAny::deserialize(deserializer)?;
        Ok(Tree::Scalar)
    }
}
