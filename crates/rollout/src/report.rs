//! Where a rollout stands, in words and numbers: what every view shows.

use crate::acceptance::{Says, SignedOff};
use crate::canary::Canaries;
use crate::event::{Cause, HoldReason, Outcome, RolloutId};
use crate::found::{self, GroupReport};
use crate::leak::Leaks;
use crate::plan::{Proofs, Step as PlanStep};
use crate::state::{Approval, BrokenGlass, Halt, Phase, Stage, State};
use judge::{Assessment, NoiseAssessment, Verdict};
use model::{BasisPoints, Environment, ShortDuration, TesterRoute, UnixMillis};
use serde::{Deserialize, Serialize};

/// What a person, or a program, wants to know of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The rollout's name.
    pub rollout: RolloutId,
    /// The plan's digest: what an approval names.
    pub plan_digest: String,
    /// Who started it.
    pub started_by: String,
    /// When.
    pub started_at: UnixMillis,
    /// In one word.
    pub progress: Progress,
    /// Whether it stands still until a person acts: a hold that does not end by itself.
    pub needs_person: bool,
    /// In one sentence.
    pub headline: String,
    /// What it waits for, the most important first.
    pub waits_for: Vec<String>,
    /// Until the present wait ends by itself, where it does.
    pub time_left_ms: Option<u64>,
    /// Done, current, to come.
    pub steps: Vec<StepReport>,
    /// Who serves what the candidate does not.
    pub active: Environment,
    /// The candidate's share that was ordered.
    pub weight_ordered: BasisPoints,
    /// The candidate's share that the gateway applied.
    pub weight_observed: Option<BasisPoints>,
    /// The share of traces that green serves now, as the gateway applied it: all of them after a promotion.
    pub green_serves: Option<BasisPoints>,
    /// Whether the candidate gets copies.
    pub mirror: bool,
    /// The generation that was ordered last.
    pub generation: u64,
    /// Traces torn by a rollback.
    pub torn: u64,
    /// Observations so far.
    pub observations: u64,
    /// The evidence for and against.
    pub assessment: Option<Assessment>,
    /// Whether blue differs from itself, as far as that was compared: while green has only copies. None before that.
    pub noise: Option<NoiseAssessment>,
    /// What was found, the most telling first: what green shows most beyond blue, and before its consequences.
    pub findings: Vec<GroupReport>,
    /// What became of the canaries; none where the plan has none planted.
    pub canaries: Option<Canaries>,
    /// What the search for sensitive values found; none where the plan has nobody look.
    pub leaks: Option<Leaks>,
    /// Why it was rolled back.
    pub cause: Option<Cause>,
    /// What was approved, and by whom; those that still count.
    pub approvals: Vec<Approval>,
    /// Who approved the point of no return.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub point_approvals: Vec<Approval>,
    /// The point of no return, once it is passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past_return: Option<PastReturn>,
    /// The emergency in which one approval passed the gate.
    pub glass: Option<BrokenGlass>,
    /// What testers said last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sign_offs: Vec<SignedOff>,
    /// What of this rollout everybody must see: a broken glass that nobody has reviewed, and while it is under way that it
    /// cannot go back safely.
    pub exceptions: Vec<String>,
    /// When the rollback or the promotion was decided.
    pub decided_at: Option<UnixMillis>,
    /// When it ended: the gateway had applied the last table.
    pub ended_at: Option<UnixMillis>,
}

/// A rollout's life in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Progress {
    /// Under way.
    Progressing,
    /// Stopped by an operator, or by a pause step that waits for one.
    Paused,
    /// Stands still until somebody acts.
    Held,
    /// On the way back.
    RollingBack,
    /// On the way to being active.
    Promoting,
    /// The candidate is active.
    Promoted,
    /// Everything is back.
    RolledBack,
}

/// A point of no return that is passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastReturn {
    /// Its step, counted from 1.
    pub step: usize,
    /// Why a rollback is not safe any more, in the plan's words.
    pub reason: String,
}

/// One step of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepReport {
    /// In the plan's words.
    pub does: String,
    /// Whether it is done.
    pub done: bool,
    /// Whether it is the present one.
    pub current: bool,
    /// Whether the rollout was rolled back at it.
    pub failed: bool,
}

/// Says where a rollout stands.
pub fn report(state: &State, now: UnixMillis) -> Report {
    let (progress, headline, waits_for, until) = standing(state, now);
    let (reached, ended_at, cause) = match &state.phase {
        Phase::Progressing { step, .. } => (*step, None, None),
        Phase::RollingBack { cause, .. } => (state.reached, None, Some(cause.clone())),
        Phase::Promoting { .. } => (state.plan.steps.len(), None, None),
        Phase::Ended { outcome: Outcome::Promoted, at } => (state.plan.steps.len(), Some(*at), None),
        Phase::Ended { outcome: Outcome::RolledBack(cause), at } => (state.reached, Some(*at), Some(cause.clone())),
    };
    let under_way = matches!(state.phase, Phase::Progressing { .. });
    let step_report = |(index, step): (usize, &PlanStep)| StepReport {
        does: step.to_string(),
        done: index < reached,
        current: under_way && index == reached,
        failed: cause.is_some() && index == reached,
    };
    Report {
        rollout: state.rollout.clone(),
        plan_digest: state.plan_digest.clone(),
        started_by: state.started_by.name.clone(),
        started_at: state.started_at,
        progress,
        needs_person: needs_person(state),
        headline,
        waits_for,
        time_left_ms: until.map(|until| until.since_ms(now)),
        steps: state.plan.steps.iter().enumerate().map(step_report).collect(),
        active: state.table.active,
        weight_ordered: state.table.weight,
        weight_observed: state.observed.map(|(_, weight)| weight),
        green_serves: state.observed.map(|(_, weight)| match state.table.active {
            Environment::Blue => weight,
            Environment::Green => BasisPoints::ALL,
        }),
        mirror: state.table.mirror,
        generation: state.table.generation,
        torn: state.torn,
        observations: state.observations,
        assessment: state.assessment.clone(),
        noise: noise(state),
        findings: found::report(state),
        canaries: state.plan.canary.map(|_| state.canaries.clone()),
        leaks: state.plan.guards.leaks.as_ref().map(|_| state.leaks.clone()),
        cause,
        approvals: state.approvals.clone(),
        point_approvals: state.point_approvals.clone(),
        past_return: past_return(state),
        glass: state.glass.clone(),
        sign_offs: state.sign_offs.clone(),
        exceptions: exceptions(state, now),
        decided_at: state.decided_at,
        ended_at,
    }
}

fn past_return(state: &State) -> Option<PastReturn> {
    let (step, point) = state.past_return.zip(state.plan.point_of_no_return.as_ref())?;
    Some(PastReturn { step: step + 1, reason: point.reason.clone() })
}

fn exceptions(state: &State, now: UnixMillis) -> Vec<String> {
    let under_way = matches!(state.phase, Phase::Progressing { .. } | Phase::Promoting { .. });
    let past = past_return(state).filter(|_| under_way).map(|PastReturn { step, reason }| {
        format!("PAST THE POINT OF NO RETURN since step {step}: {reason}; nothing rolls back by itself")
    });
    glass_exception(state, now).into_iter().chain(past).collect()
}

fn glass_exception(state: &State, now: UnixMillis) -> Option<String> {
    let glass = state.glass.as_ref().filter(|glass| glass.review.is_none())?;
    let BrokenGlass { by, reason, review_until, .. } = glass;
    let due = match review_until.since_ms(now) {
        0 => format!("its review is overdue by {}", ShortDuration(now.since_ms(*review_until))),
        left => format!("somebody else must review it within {}", ShortDuration(left)),
    };
    Some(format!("GLASS BROKEN by {by}: {reason}; {due}: `verdigris approve --review`"))
}

fn noise(state: &State) -> Option<NoiseAssessment> {
    let assessment = state.noise.assess();
    let compared = assessment.halves != [0; 2];
    (compared || state.compares_blue_with_itself()).then_some(assessment)
}

fn needs_person(state: &State) -> bool {
    match &state.phase {
        Phase::Progressing { halt: Some(Halt::Held { reason, .. }), .. } => match reason {
            HoldReason::Inconclusive { .. }
            | HoldReason::Gate { .. }
            | HoldReason::NotApplied { .. }
            | HoldReason::ApprovalsVoid { .. }
            | HoldReason::SplitBroken { .. }
            | HoldReason::PastReturn { .. }
            | HoldReason::MeasurementBroken { .. } => true,
            HoldReason::SourceSilent { .. } | HoldReason::SourceFails { .. } => false,
        },
        Phase::Progressing { .. } | Phase::RollingBack { .. } | Phase::Promoting { .. } | Phase::Ended { .. } => false,
    }
}

type Standing = (Progress, String, Vec<String>, Option<UnixMillis>);

fn standing(state: &State, now: UnixMillis) -> Standing {
    match &state.phase {
        Phase::Progressing { halt: Some(Halt::Paused { by, .. }), step, .. } => (
            Progress::Paused,
            format!("paused by {by} at step {}", step + 1),
            vec!["`verdigris rollout resume`".to_owned()],
            None,
        ),
        Phase::Progressing { halt: Some(Halt::Held { reason, .. }), step, .. } => held(reason, *step),
        Phase::Progressing { halt: None, step, stage } => progressing(state, *step, stage, now),
        Phase::RollingBack { cause, generation } => (
            Progress::RollingBack,
            format!("rolling back: {}: {}", cause.guard, cause.finding),
            vec![format!("the gateway to apply generation {generation}")],
            None,
        ),
        Phase::Promoting { generation } => (
            Progress::Promoting,
            "promoting green".to_owned(),
            vec![format!("the gateway to apply generation {generation}")],
            None,
        ),
        Phase::Ended { outcome: Outcome::Promoted, .. } => {
            (Progress::Promoted, "promoted: green is active".to_owned(), Vec::new(), None)
        }
        Phase::Ended { outcome: Outcome::RolledBack(cause), .. } => {
            (Progress::RolledBack, format!("rolled back: {}: {}", cause.guard, cause.finding), Vec::new(), None)
        }
    }
}

fn held(reason: &HoldReason, step: usize) -> Standing {
    let acts = match reason {
        HoldReason::Inconclusive { .. } => {
            "`verdigris rollout resume` (analyse again), `promote` or `rollback`".to_owned()
        }
        HoldReason::Gate { gate, .. } => {
            format!("`verdigris rollout resume` (runs the {gate} gate again) or `rollback`")
        }
        HoldReason::ApprovalsVoid { .. } => {
            "new approvals (`verdigris approve`); then it goes on by itself, or `verdigris rollout rollback`".to_owned()
        }
        HoldReason::NotApplied { .. } => "the gateway, or `verdigris rollout rollback`".to_owned(),
        HoldReason::SplitBroken { .. } => {
            "`verdigris rollout rollback`, or `resume` once it is mended (the split is watched anew)".to_owned()
        }
        HoldReason::SourceFails { .. } => {
            "its answer; then it goes on by itself, or `verdigris rollout rollback`".to_owned()
        }
        HoldReason::SourceSilent { .. } => "an observation; then it goes on by itself".to_owned(),
        HoldReason::PastReturn { .. } => "`verdigris rollout resume` (goes on in spite of it), or `rollback \
             --past-the-point-of-no-return --reason WHY`"
            .to_owned(),
        HoldReason::MeasurementBroken { .. } => {
            "the measurement to be mended, then `verdigris rollout resume` (compares anew); or `rollback`".to_owned()
        }
    };
    let mut waits_for = reason.details().to_vec();
    waits_for.push(acts);
    // Of a gate the first line says why, as it does of a rollback.
    let cause = match reason {
        HoldReason::Gate { reasons, .. } => reasons.first().map(|cause| format!(": {cause}")).unwrap_or_default(),
        HoldReason::Inconclusive { .. }
        | HoldReason::ApprovalsVoid { .. }
        | HoldReason::NotApplied { .. }
        | HoldReason::SplitBroken { .. }
        | HoldReason::SourceFails { .. }
        | HoldReason::SourceSilent { .. }
        | HoldReason::PastReturn { .. }
        | HoldReason::MeasurementBroken { .. } => String::new(),
    };
    (Progress::Held, format!("held at step {}: {reason}{cause}", step + 1), waits_for, None)
}

fn progressing(state: &State, step: usize, stage: &Stage, now: UnixMillis) -> Standing {
    let does = state.plan.steps.get(step).map(PlanStep::to_string).unwrap_or_default();
    let headline = format!("step {} of {}: {does}", step + 1, state.plan.steps.len());
    let (waits_for, until) = match stage {
        Stage::Shifting { generation, until } => (vec![gateway_applies(state, *generation)], Some(*until)),
        Stage::Settling { until } => match state.pins_since {
            Some(since) => (
                vec!["the gateway to know the traces in flight, so that the shift tears none".to_owned()],
                Some(since.plus_ms(state.plan.pin_ms)),
            ),
            None => (vec!["the gateway to apply the rollout's first table".to_owned()], Some(*until)),
        },
        Stage::Gate { gate, until, .. } => (vec![format!("the {gate} gate to end")], Some(*until)),
        Stage::Approval => {
            let role = state.plan.gates.approval.as_ref().map_or("approver", |gate| gate.role.as_str());
            (vec![format!("{}: `verdigris approve`", approvers(state, role, approvals_missing(state, now)))], None)
        }
        Stage::PointOfNoReturn => (point_waits(state, now), None),
        Stage::Acceptance => (testers_accept(state, now), None),
        Stage::Mirroring { until } => (vec!["copies to be checked, until the time is over".to_owned()], Some(*until)),
        Stage::Analysing { until, batches, .. } => (analysis_waits(state, *batches), Some(*until)),
        Stage::Pausing { until: Some(until) } => (vec!["the time to be over".to_owned()], Some(*until)),
        Stage::Pausing { until: None } => {
            let resume = vec!["`verdigris rollout resume`".to_owned()];
            return (Progress::Paused, headline, resume, None);
        }
        Stage::Baking { until, .. } => (vec!["the time to be over, without an alarm".to_owned()], Some(*until)),
    };
    (Progress::Progressing, headline, waits_for, until)
}

/// How many people must still approve, of which role, and who cannot.
fn approvers(state: &State, role: &str, missing: u32) -> String {
    let starter = state.started_by.name.as_str();
    let mut others = vec![starter];
    others.extend(state.plan.authors.iter().map(String::as_str).filter(|author| *author != starter));
    format!("{missing} more approval(s) by {role}s other than {}", others.join(", "))
}

fn point_waits(state: &State, now: UnixMillis) -> Vec<String> {
    let Some(point) = &state.plan.point_of_no_return else { return Vec::new() };
    let who = approvers(state, &point.role, crate::decide::point_approvals_missing(state, now));
    vec![
        format!("{who}, of this very step: `verdigris approve`"),
        format!("from here on a rollback is not safe: {}", point.reason),
    ]
}

/// Who must still accept it, by what their traffic goes to green, and what they said that does not count.
fn testers_accept(state: &State, now: UnixMillis) -> Vec<String> {
    let Some(gate) = &state.plan.gates.acceptance else { return Vec::new() };
    let missing = crate::decide::acceptances_missing(state, now);
    let said = |name: &&String| state.sign_offs.iter().any(|word| word.by == **name && word.counts(now));
    let open: Vec<&str> = gate.testers.iter().filter(|name| !said(name)).map(String::as_str).collect();
    let by = route_words(&gate.route);
    let wanted = format!(
        "{missing} more acceptance(s), of {}: {by} with the tester's name leads to green; then `verdigris rollout accept`, or \
         `refuse --note WHY`",
        open.join(", ")
    );
    let void = state.sign_offs.iter().filter_map(|word| match (&word.uncounted, word.says) {
        (Some(why), _) => Some(why.clone()),
        (None, Says::Accept) if !word.counts(now) => Some(format!("the acceptance of {} has expired", word.by)),
        (None, Says::Accept | Says::Refuse) => None,
    });
    std::iter::once(wanted).chain(void).collect()
}

/// By what testers' traffic is known.
pub(crate) fn route_words(route: &TesterRoute) -> String {
    match route {
        TesterRoute::Header(name) => format!("the header {name}"),
        TesterRoute::ResourceAttribute(key) => format!("the resource attribute {key}"),
    }
}

fn gateway_applies(state: &State, generation: u64) -> String {
    let applies = format!("the gateway to apply generation {generation}");
    match state.plan.proofs {
        None => applies,
        Some(Proofs { cosignatures }) => {
            format!("{applies}, upon a proof of its order that {cosignatures} witness(es) cosigned")
        }
    }
}

fn analysis_waits(state: &State, batches: u32) -> Vec<String> {
    let mut waits_for = match state.assessment.as_ref().map(|assessment| &assessment.verdict) {
        Some(Verdict::Inconclusive { missing }) => missing.clone(),
        Some(Verdict::Error { reason }) => vec![reason.clone()],
        Some(Verdict::Pass | Verdict::Fail(_)) => Vec::new(),
        None => vec!["the first observation".to_owned()],
    };
    let missing = crate::decide::MIN_BATCHES.saturating_sub(batches);
    if missing > 0 {
        let batch = ShortDuration(state.plan.analysis.batch_ms);
        waits_for.push(format!("{missing} more batch(es) of {batch} with traces of green at this step"));
    }
    waits_for
}

/// How many approvals the plan still asks for: only those count that have not expired.
pub(crate) fn approvals_missing(state: &State, now: UnixMillis) -> u32 {
    let Some(gate) = &state.plan.gates.approval else { return 0 };
    let valid = || state.approvals.iter().filter(|approval| approval.expires_at > now);
    if valid().any(|approval| approval.breaks_glass) {
        return 0;
    }
    let valid = valid().count();
    gate.count.saturating_sub(u32::try_from(valid).unwrap_or(u32::MAX))
}
