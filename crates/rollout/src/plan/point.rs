//! The point of no return: what it asks for, and where it may stand.

use super::Step;
use super::approval::{EXPIRES_MS, MAX_APPROVALS};
use super::problems::{Place, Problems};
use super::quantity::{duration_ms, name, prose, whole};
use super::raw::RawPoint;
use serde::{Deserialize, Serialize};

/// Characters of the reason: it stands in every statement that is signed for the point, whose bound is 8 KiB.
const MAX_REASON_CHARACTERS: usize = 500;

/// Why a rollback is not safe from a step on, and who must agree to go there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PointOfNoReturn {
    /// Why it is not safe, in words: what is done then that blue cannot live with.
    pub reason: String,
    /// The role that the principals must have.
    pub role: String,
    /// How many different principals.
    pub count: u32,
    /// How long an approval holds, in milliseconds.
    pub expires_ms: u64,
}

/// `pointOfNoReturn` of a step.
pub(super) fn point(problems: &mut Problems, at: &Place, raw: &RawPoint) -> Option<PointOfNoReturn> {
    let wanted = "why a rollback is not safe from here on, such as the old schema is dropped";
    let reason = problems.needed(at, "reason", &raw.reason, wanted, |text| prose(text, MAX_REASON_CHARACTERS));
    let role = problems.needed(at, "role", &raw.role, "the role that may approve, such as approver", name);
    let wanted = "how many people must approve, such as 1";
    let count = problems.needed(at, "count", &raw.count, wanted, |text| whole(text, (1, MAX_APPROVALS)));
    let wanted = "how long an approval holds, such as 4h";
    let expires = problems.needed(at, "expires", &raw.expires, wanted, |text| duration_ms(text, EXPIRES_MS));
    let (reason, role, count, expires_ms) = (reason?, role?, count?, expires?);
    Some(PointOfNoReturn { reason, role, count, expires_ms })
}

/// There is one at most, and who approves it has seen evidence of traffic that green served.
pub(super) fn stands_well(problems: &mut Problems, steps: &[&(Place, Step)]) -> bool {
    let (mut weighted, mut looked, mut points, mut held) = (false, false, 0, true);
    for (at, step) in steps {
        let mut refuse = |found: &str, expected: &str, help: &str| {
            problems.refuse_because(at, found, expected, help);
            held = false;
        };
        match step {
            Step::SetWeight { .. } => weighted = true,
            Step::Analysis { .. } | Step::Bake { .. } => looked |= weighted,
            Step::PointOfNoReturn => {
                points += 1;
                if points > 1 {
                    let help = "after the first a rollback is not safe already";
                    refuse("a second point of no return", "one at most", help);
                } else if !weighted {
                    let help = "green has served nothing yet, so nobody knows whether one wants to stay there";
                    refuse("no weight before", "a setWeight and an analysis or a bake first", help);
                } else if !looked {
                    let help = "nobody has looked at what green serves, so there is nothing to approve it by";
                    refuse("no evidence before", "an analysis or a bake after the first setWeight", help);
                }
            }
            Step::Gate(_) | Step::Mirror { .. } | Step::Pause { .. } => {}
        }
    }
    held
}
