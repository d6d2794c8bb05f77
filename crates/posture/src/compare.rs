//! Blue's facts beside green's.

use crate::{Fact, Facts, Order, Setting};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How one setting of a surface came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Difference {
    /// `OTLP/gRPC`.
    pub surface: String,
    /// Which setting.
    pub setting: Setting,
    /// How green stands to blue.
    pub outcome: Outcome,
    /// The same in words.
    pub words: String,
}

/// How green stands to blue in one setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Green is less safe.
    Weaker,
    /// One of the two could not be asked.
    Failed,
    /// One of the two is not known.
    Unknown,
    /// Green is safer in one respect and less safe in another.
    Incomparable,
    /// Green is safer.
    Stronger,
    /// They are alike.
    Equal,
}

impl From<Order> for Outcome {
    fn from(order: Order) -> Outcome {
        match order {
            Order::Stronger => Outcome::Stronger,
            Order::Equal => Outcome::Equal,
            Order::Weaker => Outcome::Weaker,
            Order::Incomparable => Outcome::Incomparable,
        }
    }
}

/// Every setting that was asked of either, and is not simply alike in both: by surface, then in the order of
/// [`Setting::ALL`].
pub fn differences(blue: &Facts, green: &Facts) -> Vec<Difference> {
    let surfaces: BTreeSet<&String> = blue.surfaces.keys().chain(green.surfaces.keys()).collect();
    let mut differences = Vec::new();
    for surface in surfaces {
        let none = BTreeMap::new();
        let (blue, green) = (blue.surfaces.get(surface).unwrap_or(&none), green.surfaces.get(surface).unwrap_or(&none));
        for setting in Setting::ALL {
            let Some((outcome, words)) = compare(surface, setting, blue.get(&setting), green.get(&setting)) else {
                continue;
            };
            if outcome != Outcome::Equal {
                differences.push(Difference { surface: surface.clone(), setting, outcome, words });
            }
        }
    }
    differences
}

/// `None` where there is nothing to compare.
fn compare(surface: &str, setting: Setting, blue: Option<&Fact>, green: Option<&Fact>) -> Option<(Outcome, String)> {
    let not_told = |who: &str, what: &str, why: &str| format!("{setting} of {who}'s {surface} endpoint {what}: {why}");
    let (blue, green) = match (blue, green) {
        (None, None) => return None,
        (Some(_), None) => return Some((Outcome::Unknown, not_told("green", "is not known", "it was not asked for"))),
        (None, Some(_)) => return Some((Outcome::Unknown, not_told("blue", "is not known", "it was not asked for"))),
        (Some(blue), Some(green)) => (blue, green),
    };
    let outcome = match (blue, green) {
        (Fact::Known { value: blue, .. }, Fact::Known { value: green_value, .. }) => {
            let order = blue.compare(green_value);
            let (of_green, of_blue) = (setting.phrase(green_value), setting.phrase(blue));
            // The less safe side first, which says what it is about.
            let words = match order {
                Order::Stronger => format!("blue's {surface} endpoint {of_blue}; green's {of_green}"),
                Order::Weaker | Order::Equal | Order::Incomparable => {
                    format!("green's {surface} endpoint {of_green}; blue's {of_blue}")
                }
            };
            (order.into(), words)
        }
        (_, Fact::Failed { why }) => (Outcome::Failed, not_told("green", "could not be asked for", why)),
        (Fact::Failed { why }, _) => (Outcome::Failed, not_told("blue", "could not be asked for", why)),
        (_, Fact::Unknown { why }) => (Outcome::Unknown, not_told("green", "is not known", why)),
        (Fact::Unknown { why }, _) => (Outcome::Unknown, not_told("blue", "is not known", why)),
        // What makes it absent is a setting of its own (`tls.offered`), and is told there.
        (Fact::Absent, _) | (_, Fact::Absent) => return None,
    };
    Some(outcome)
}
