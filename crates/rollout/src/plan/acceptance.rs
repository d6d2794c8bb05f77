//! Who tries the candidate out before others are served by it, how their traffic is known, and how many must accept it.

use super::approval::principal_name;
use super::problems::{Expected, Place, Problems};
use super::quantity::{DAY_MS, duration_ms, line, whole};
use super::raw::{RawAcceptanceGate, RawGates, RawTesterRoute, Section};
use super::{GateName, Step};
use model::{BasisPoints, MAX_TESTER_ROUTE_CHARACTERS, MAX_TESTERS, TesterRoute, Testers};
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

/// Traces that each tester must have had at green before an acceptance counts, at most: a tenth of what is kept of one.
const MAX_TRACES: u32 = 1_000;
/// The header by which testers are known where the plan names none.
const DEFAULT_HEADER: &str = "x-verdigris-tester";

/// Who must accept the candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AcceptanceGate {
    /// The principals who test, 1 to [`MAX_TESTERS`].
    pub testers: Vec<String>,
    /// How many of them must accept it.
    pub count: u32,
    /// How long an acceptance holds, in milliseconds.
    pub expires_ms: u64,
    /// How many traces of a tester green must have served before their acceptance counts.
    pub traces: u32,
    /// By what their traffic is known.
    pub route: TesterRoute,
}

impl AcceptanceGate {
    /// Whose traffic goes to the candidate.
    pub fn testers(&self) -> Testers {
        Testers { route: self.route.clone(), names: self.testers.clone() }
    }
}

/// `gates.acceptance`.
pub(super) fn gate(problems: &mut Problems, at: &Place, raw: &RawAcceptanceGate) -> Option<AcceptanceGate> {
    let testers = testers(problems, at, &raw.testers);
    let most = testers.as_ref().map_or(MAX_TESTERS, Vec::len) as u32;
    let count = problems.or(at, "count", &raw.count, most, |text| whole(text, (1, most)));
    let wanted = "how long an acceptance holds, such as 24h";
    let expires = problems.needed(at, "expires", &raw.expires, wanted, |text| duration_ms(text, (60_000, 30 * DAY_MS)));
    let traces = problems.or(at, "traces", &raw.traces, 1, |text| whole(text, (1, MAX_TRACES)));
    let route = route(problems, at, &raw.route);
    let (Some(testers), Some(count), Some(expires_ms)) = (testers, count, expires) else { return None };
    let (traces, route) = (traces?, route?);
    if matches!(route, TesterRoute::Header(_)) && !testers.iter().all(|name| is_header_value(name)) {
        let expected = "names of visible ASCII characters, for a header carries them";
        let help = "route by a resource attribute instead, which carries any text";
        problems.refuse_because(&at.missing("testers"), "a name with other characters", expected, help);
        return None;
    }
    Some(AcceptanceGate { testers, count, expires_ms, traces, route })
}

/// A header's value is sent as bytes, and trimmed (RFC 9110, section 5.5).
fn is_header_value(name: &str) -> bool {
    name.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) && name.trim() == name
}

fn testers(problems: &mut Problems, parent: &Place, raw: &Section<Vec<Spanned<String>>>) -> Option<Vec<String>> {
    let wanted = "the names of the principals who test";
    let (list, raw) = problems.section(parent, "testers", raw, wanted)?;
    if !(1..=MAX_TESTERS).contains(&raw.len()) {
        let expected = format!("1 to {MAX_TESTERS} names of principals");
        problems.refuse(&list, format!("{} entries", raw.len()), expected);
        return None;
    }
    let mut names: Vec<String> = Vec::new();
    let mut held = true;
    for (index, tester) in raw.iter().enumerate() {
        let name = principal_name(&tester.value).and_then(|name| match names.contains(&name) {
            true => Err("each tester once".to_owned()),
            false => Ok(name),
        });
        match name {
            Ok(name) => names.push(name),
            Err(expected) => {
                problems.refuse(&list.item(index, tester), format!("{:?}", tester.value), expected);
                held = false;
            }
        }
    }
    held.then_some(names)
}

fn route(problems: &mut Problems, parent: &Place, raw: &Section<RawTesterRoute>) -> Option<TesterRoute> {
    let Some(section) = raw else { return Some(TesterRoute::Header(DEFAULT_HEADER.to_owned())) };
    let (at, raw) = (parent.key("route", section), &section.value);
    match (&raw.header, &raw.resource_attribute) {
        (Some(_), None) => problems.optional(&at, "header", &raw.header, header)?.map(TesterRoute::Header),
        (None, Some(_)) => {
            let read = |text: &str| line(text, MAX_TESTER_ROUTE_CHARACTERS);
            let key = problems.optional(&at, "resourceAttribute", &raw.resource_attribute, read)?;
            key.map(TesterRoute::ResourceAttribute)
        }
        (both, _) => {
            let found = if both.is_some() { "both of them" } else { "none of them" };
            problems.refuse(&at, found, "one of `header` or `resourceAttribute`");
            None
        }
    }
}

fn header(text: &str) -> Result<String, Expected> {
    match TesterRoute::is_header_name(text) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "a header's name in lower case that HTTP and gRPC use for nothing else, such as {DEFAULT_HEADER}"
        )),
    }
}

/// Nobody who wrote the plan accepts what it brings.
pub(super) fn not_the_authors(
    problems: &mut Problems,
    spec: &Place,
    gates: &Section<RawGates>,
    authors: &[String],
) -> Option<()> {
    let Some(gates) = gates else { return Some(()) };
    let Some(gate) = &gates.value.acceptance else { return Some(()) };
    let Some(testers) = &gate.value.testers else { return Some(()) };
    let list = spec.key("gates", gates).key("acceptance", gate).key("testers", testers);
    let author = testers.value.iter().enumerate().find(|(_, tester)| authors.contains(&tester.value));
    let Some((index, author)) = author else { return Some(()) };
    let (at, found) = (list.item(index, author), format!("{:?}, an author of the plan", author.value));
    let help = "who wrote a plan does not accept what it brings";
    problems.refuse_because(&at, found, "testers who did not write it", help);
    None
}

/// The step has its configuration, stands once, and before green serves everything.
pub(super) fn stands_well(problems: &mut Problems, configured: bool, steps: &[&(Place, Step)]) -> bool {
    let (mut held, mut weight, mut before) = (true, BasisPoints::ZERO, None::<&Place>);
    for (at, step) in steps {
        match step {
            Step::SetWeight { weight: to } => weight = *to,
            Step::Gate(GateName::Acceptance) => {
                let mut refuse = |found: &str, expected: &str, help: &str| {
                    problems.refuse_because(at, found, expected, help);
                    held = false;
                };
                if !configured {
                    let expected = "spec.gates.acceptance with testers and expires";
                    refuse("no such configuration", expected, "without it nobody could accept");
                } else if weight == BasisPoints::ALL {
                    let help = "green serves everybody by then, not the testers alone";
                    refuse("the acceptance gate after setWeight 100%", "it before the last setWeight", help);
                } else if let Some(before) = before {
                    let expected = format!("it once; it stands at {} already", before.path);
                    refuse("the acceptance gate again", &expected, "who accepted, accepted the whole plan");
                } else {
                    before = Some(at);
                }
            }
            Step::Gate(_)
            | Step::Mirror { .. }
            | Step::Analysis { .. }
            | Step::Pause { .. }
            | Step::Bake { .. }
            | Step::PointOfNoReturn => {}
        }
    }
    held
}
