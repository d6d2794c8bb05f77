//! Who must agree before a rollout goes on, and what of it the gateway must be shown.

use super::problems::{Expected, Place, Problems};
use super::quantity::{DAY_MS, duration_ms, line, name, whole};
use super::raw::{RawApprovalGate, RawProofs, Section};
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

/// Signatures that an approval gate may ask for; each is a record.
pub(super) const MAX_APPROVALS: u32 = 16;
/// How long an approval may hold, in milliseconds: a minute to a month.
pub(super) const EXPIRES_MS: (u64, u64) = (60_000, 30 * DAY_MS);
/// People who wrote one plan.
const MAX_AUTHORS: usize = 16;
/// Characters of a principal's name.
const MAX_AUTHOR_CHARACTERS: usize = 200;
/// Witnesses that a server asks at most.
const MAX_COSIGNATURES: u32 = 15;

/// Who must sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalGate {
    /// The role that the principals must have.
    pub role: String,
    /// How many different principals.
    pub count: u32,
    /// How long an approval holds, in milliseconds.
    pub expires_ms: u64,
    /// Whether one approval alone can pass the gate in an emergency.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub break_glass: Option<BreakGlass>,
}

/// One approval passes the gate, and is reviewed afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BreakGlass {
    /// Within which time somebody else must review it, in milliseconds.
    pub review_within_ms: u64,
}

/// A gateway raises the candidate's weight only upon a proof that the ledger has the order, and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proofs {
    /// How many witnesses must have cosigned the checkpoint of a proof.
    pub cosignatures: u32,
}

/// `gates.approval`.
pub(super) fn gate(problems: &mut Problems, at: &Place, raw: &RawApprovalGate) -> Option<ApprovalGate> {
    let role = problems.needed(at, "role", &raw.role, "the role that may approve, such as approver", name);
    let wanted = "how many people must approve, such as 2";
    let count = problems.needed(at, "count", &raw.count, wanted, |text| whole(text, (1, MAX_APPROVALS)));
    let wanted = "how long an approval holds, such as 4h";
    let expires = problems.needed(at, "expires", &raw.expires, wanted, |text| duration_ms(text, EXPIRES_MS));
    let break_glass = match &raw.break_glass {
        None => Some(None),
        Some(section) => {
            let (at, within) = (at.key("breakGlass", section), &section.value.review_within);
            let wanted = "within which time somebody else must review it, such as 24h";
            let read = |text: &str| duration_ms(text, (60_000, 30 * DAY_MS));
            problems
                .needed(&at, "reviewWithin", within, wanted, read)
                .map(|review_within_ms| Some(BreakGlass { review_within_ms }))
        }
    };
    let (Some(role), Some(count), Some(expires_ms)) = (role, count, expires) else { return None };
    Some(ApprovalGate { role, count, expires_ms, break_glass: break_glass? })
}

/// `metadata.authors`.
pub(super) fn authors(
    problems: &mut Problems,
    parent: &Place,
    raw: &Section<Vec<Spanned<String>>>,
) -> Option<Vec<String>> {
    let Some(section) = raw else { return Some(Vec::new()) };
    let list = parent.key("authors", section);
    let found = section.value.len();
    if !(1..=MAX_AUTHORS).contains(&found) {
        problems.refuse(&list, format!("{found} entries"), format!("1 to {MAX_AUTHORS} names of principals"));
        return None;
    }
    let names = section.value.iter().enumerate().map(|(index, author)| match principal_name(&author.value) {
        Ok(name) => Some(name),
        Err(expected) => {
            problems.refuse(&list.item(index, author), format!("{:?}", author.value), expected);
            None
        }
    });
    // Every name is read, so that each mistake is noted.
    names.collect::<Vec<_>>().into_iter().collect()
}

/// As `principals` of verdigris.yaml has it.
pub(super) fn principal_name(text: &str) -> Result<String, Expected> {
    line(text, MAX_AUTHOR_CHARACTERS)
}

/// `spec.proofs`.
pub(super) fn proofs(problems: &mut Problems, parent: &Place, raw: &Section<RawProofs>) -> Option<Option<Proofs>> {
    let Some(section) = raw else { return Some(None) };
    let at = parent.key("proofs", section);
    // The ledger's signature is on every proof; more witnesses than these no server asks.
    let cosignatures =
        problems.or(&at, "cosignatures", &section.value.cosignatures, 0, |text| whole(text, (0, MAX_COSIGNATURES)))?;
    Some(Some(Proofs { cosignatures }))
}
