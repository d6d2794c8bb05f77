//! The steps, one by one and as a sequence: a weight only rises, evidence comes before a verdict on it, and the way
//! ends at 100% with a watched way back.

use super::problems::{Expected, Place, Problems};
use super::quantity::{STEP_MS, duration_ms};
use super::raw::{RawAnalysisStep, RawFor, RawGates, RawSpec, RawStep, Section};
use super::typed::word;
use super::{GateName, MAX_STEPS, PointOfNoReturn, Step, acceptance, point};
use model::BasisPoints;
use serde_saphyr::Spanned;

/// A step and where it stands.
type Placed = (Place, Step);

/// The steps, if they are a way from 0% to 100%, and what the point of no return among them asks for.
pub(super) fn steps(
    problems: &mut Problems,
    parent: &Place,
    spec: &RawSpec,
) -> Option<(Vec<Step>, Option<PointOfNoReturn>)> {
    let (at, strategy) = problems.section(parent, "strategy", &spec.strategy, "a strategy with `steps`")?;
    let (at, raw) = problems.section(&at, "steps", &strategy.steps, "a list of steps")?;
    if raw.is_empty() || raw.len() > MAX_STEPS {
        problems.refuse(&at, format!("{} steps", raw.len()), format!("1 to {MAX_STEPS} steps"));
        return None;
    }
    let read: Vec<Option<Placed>> =
        raw.iter().enumerate().map(|(index, raw)| step(problems, &at.item(index, raw), &raw.value)).collect();
    let known: Vec<&Placed> = read.iter().flatten().collect();
    let mut held = order(problems, &known) & configured(problems, spec, &known) & point::stands_well(problems, &known);
    if known.len() == raw.len() {
        held &= ending(problems, &at, &known);
    }
    let steps: Vec<Step> = read.into_iter().map(|placed| placed.map(|(_, step)| step)).collect::<Option<_>>()?;
    let points = raw.iter().enumerate().filter_map(|(index, raw)| {
        let section = raw.value.point_of_no_return.as_ref()?;
        Some(point::point(problems, &at.item(index, raw).key("pointOfNoReturn", section), &section.value))
    });
    // A second one is refused above, and read all the same.
    let points: Vec<PointOfNoReturn> = points.collect::<Option<_>>()?;
    held.then_some((steps, points.into_iter().next()))
}

fn step(problems: &mut Problems, at: &Place, raw: &RawStep) -> Option<Placed> {
    let RawStep { gate, mirror, set_weight, analysis, pause, bake, point_of_no_return } = raw;
    let named: Vec<&str> = [
        gate.as_ref().map(|_| "gate"),
        mirror.as_ref().map(|_| "mirror"),
        set_weight.as_ref().map(|_| "setWeight"),
        analysis.as_ref().map(|_| "analysis"),
        pause.as_ref().map(|_| "pause"),
        bake.as_ref().map(|_| "bake"),
        point_of_no_return.as_ref().map(|_| "pointOfNoReturn"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let [key] = named[..] else {
        let found = if named.is_empty() { "a step without a value".to_owned() } else { named.join(" and ") };
        let expected = "exactly one of `gate`, `mirror`, `setWeight`, `analysis`, `pause`, `bake` or `pointOfNoReturn`";
        problems.refuse_because(at, found, expected, "a pause until a person resumes is written `pause: {}`");
        return None;
    };
    let place = |value: &Spanned<String>| at.key(key, value);
    if let Some(text) = gate {
        let gate = problems.optional(at, key, gate, gate_name)??;
        return Some((place(text), Step::Gate(gate)));
    }
    if let Some(text) = set_weight {
        let weight = problems.optional(at, key, set_weight, weight)??;
        return Some((place(text), Step::SetWeight { weight }));
    }
    if let Some(section) = analysis {
        return Some((at.key(key, section), analysis_step(problems, &at.key(key, section), &section.value)?));
    }
    if let Some(section) = point_of_no_return {
        return Some((at.key(key, section), Step::PointOfNoReturn));
    }
    let waits = |problems: &mut Problems, section: &Section<RawFor>| -> Option<(Place, Option<u64>)> {
        let (at, raw) = section.as_ref().map(|section| (at.key(key, section), &section.value))?;
        let for_ms = problems.optional(&at, "for", &raw.r#for, |text| duration_ms(text, STEP_MS))?;
        Some((at, for_ms))
    };
    if pause.is_some() {
        let (at, for_ms) = waits(problems, pause)?;
        return Some((at, Step::Pause { for_ms }));
    }
    let (at, for_ms) = waits(problems, if mirror.is_some() { mirror } else { bake })?;
    let Some(for_ms) = for_ms else {
        problems.refuse(&at.missing("for"), "nothing", "a duration with its unit, such as 2m");
        return None;
    };
    Some((at, if mirror.is_some() { Step::Mirror { for_ms } } else { Step::Bake { for_ms } }))
}

fn gate_name(text: &str) -> Result<GateName, Expected> {
    word(text, &GateName::ALL.map(|gate| (gate.name(), gate)))
}

pub(super) fn weight(text: &str) -> Result<BasisPoints, Expected> {
    let weight = text.parse().ok().filter(|weight| *weight > BasisPoints::ZERO);
    weight.ok_or_else(|| {
        "a percentage above 0% and up to 100% with its sign and at most two decimals, such as 1% or 0.25%".to_owned()
    })
}

fn analysis_step(problems: &mut Problems, at: &Place, raw: &RawAnalysisStep) -> Option<Step> {
    let until = problems.needed(at, "until", &raw.until, "`conclusive`", |text| word(text, &[("conclusive", ())]));
    let wanted = "how long at most, such as 10m";
    let at_most = problems.needed(at, "atMost", &raw.at_most, wanted, |text| duration_ms(text, STEP_MS));
    let (Some(()), Some(at_most_ms)) = (until, at_most) else { return None };
    Some(Step::Analysis { at_most_ms })
}

/// What must come before what.
fn order(problems: &mut Problems, steps: &[&Placed]) -> bool {
    let mut weight: Option<&(Place, BasisPoints)> = None;
    let weights: Vec<Option<(Place, BasisPoints)>> = steps
        .iter()
        .map(|(at, step)| match step {
            Step::SetWeight { weight } => Some((at.clone(), *weight)),
            Step::Gate(_)
            | Step::Mirror { .. }
            | Step::Analysis { .. }
            | Step::Pause { .. }
            | Step::Bake { .. }
            | Step::PointOfNoReturn => None,
        })
        .collect();
    let (mut mirrored, mut held) = (false, true);
    for ((at, step), this) in steps.iter().zip(&weights) {
        let mut refuse = |found: String, expected: &str, help: &str| {
            problems.refuse_because(at, found, expected, help);
            held = false;
        };
        match step {
            Step::SetWeight { weight: to } => {
                if let Some((before, from)) = weight.filter(|(_, from)| to <= from) {
                    let expected = format!("more than {from}, the weight of {}", before.path);
                    refuse(to.to_string(), &expected, "a weight only goes down by a rollback");
                } else {
                    weight = this.as_ref();
                }
            }
            Step::Mirror { .. } if weight.is_some() => {
                let help = "from there on the candidate serves, and a copy would reach it twice";
                refuse("a mirror after a weight".to_owned(), "every mirror before the first setWeight", help);
            }
            Step::Mirror { .. } => mirrored = true,
            Step::Analysis { .. } | Step::Bake { .. } if weight.is_none() && !mirrored => {
                let help = "the candidate has no traffic yet, so there is nothing to look at";
                refuse("no mirror and no weight before".to_owned(), "a mirror or setWeight first", help);
            }
            Step::Analysis { .. } | Step::Bake { .. } | Step::Gate(_) | Step::Pause { .. } | Step::PointOfNoReturn => {}
        }
    }
    held
}

/// A gate that needs a configuration has one.
fn configured(problems: &mut Problems, spec: &RawSpec, steps: &[&Placed]) -> bool {
    let approval = spec.gates.as_ref().is_some_and(|gates| gates.value.approval.is_some());
    let has = |is: fn(&RawGates) -> bool| spec.gates.as_ref().is_some_and(|gates| is(&gates.value));
    let needs = [
        (GateName::Tests, has(|gates| gates.tests.is_some()), "spec.gates.tests with atLeast and reports"),
        (
            GateName::Migration,
            has(|gates| gates.migration.is_some()),
            "spec.gates.migration with blue, green and tables",
        ),
        (GateName::Load, has(|gates| gates.load.is_some()), "spec.gates.load with peak, or recording and identity"),
        (
            GateName::Dependencies,
            has(|gates| gates.dependencies.is_some()),
            "spec.gates.dependencies, `dependencies: {}` at least",
        ),
    ];
    let green = spec.environments.as_ref().and_then(|it| it.value.green.as_ref());
    let artifact = green.is_some_and(|green| green.value.artifact.is_some());
    let mut held = true;
    for (at, step) in steps {
        for (gate, configured, expected) in needs {
            if *step == Step::Gate(gate) && !configured {
                problems.refuse_because(at, "no such configuration", expected, "without it there is nothing to ask");
                held = false;
            }
        }
        if *step == Step::Gate(GateName::Tests) && !artifact {
            let help = "tests are of one artifact, and it must be green's";
            problems.refuse_because(at, "no artifact of green", "spec.environments.green.artifact", help);
            held = false;
        }
        if *step == Step::Gate(GateName::Approval) && !approval {
            let expected = "spec.gates.approval with role, count and expires";
            problems.refuse_because(at, "no such configuration", expected, "without it nobody could approve");
            held = false;
        }
    }
    let configured = spec.gates.as_ref().is_some_and(|gates| gates.value.acceptance.is_some());
    held & acceptance::stands_well(problems, configured, steps)
}

/// The way ends at 100%, and there is a watched way back from there.
fn ending(problems: &mut Problems, at: &Place, steps: &[&Placed]) -> bool {
    let last = steps.iter().enumerate().rev().find_map(|(index, (place, step))| match step {
        Step::SetWeight { weight } => Some((index, place, *weight)),
        Step::Gate(_)
        | Step::Mirror { .. }
        | Step::Analysis { .. }
        | Step::Pause { .. }
        | Step::Bake { .. }
        | Step::PointOfNoReturn => None,
    });
    let Some((index, place, weight)) = last else {
        let help = "a rollout ends with the candidate serving everything, or with a rollback";
        problems.refuse_because(at, "no setWeight", "at least one, the last to 100%", help);
        return false;
    };
    if weight != BasisPoints::ALL {
        let help = "a rollout ends with the candidate serving everything, or with a rollback";
        problems.refuse_because(place, weight.to_string(), "100% as the last weight", help);
        return false;
    }
    let baked = steps[index..].iter().any(|(_, step)| matches!(step, Step::Bake { .. }));
    if !baked {
        let help = "promotion would follow at once, without a watched way back";
        problems.refuse_because(place, "100% without a bake after it", "a step such as bake: { for: 30m }", help);
    }
    baked
}
