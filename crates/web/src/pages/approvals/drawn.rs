//! The page of approvals, drawn. Asks nobody for anything.

use super::Which;
use crate::Caller;
use crate::pages::layout::{csrf, rollout_path};
use access::Action;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use control::Offer;
use control::rollout::approval::{Act, CHALLENGE_PREFIX, MAX_REASON_CHARACTERS, NAMESPACE, Statement};
use control::rollout::plan::{Plan, preview};
use control::rollout::{KnownPrincipal, RolloutId};
use maud::{Markup, html};
use model::{Environment, ShortDuration, UnixMillis};

/// Who looks, and at what.
pub(super) struct Shown<'s> {
    pub(super) caller: &'s Caller,
    pub(super) known: &'s [KnownPrincipal],
    pub(super) rollout: &'s RolloutId,
    pub(super) which: Which,
    /// What must be said before anything can be signed.
    pub(super) lacks: Option<String>,
    /// Why what was handed in did not count.
    pub(super) refused: Option<&'s str>,
}

impl Shown<'_> {
    pub(super) fn page(&self, offer: Result<&Offer, &String>) -> Markup {
        html! {
            @if let Some(refused) = self.refused { p role="alert" { (refused) } }
            @if let Some(lacks) = &self.lacks { p role="alert" { (lacks) } }
            @match offer {
                Err(reason) => { p { "Nothing can be signed now: " (reason) "." } }
                Ok(offer) => {
                    (self.standing(offer))
                    (self.bound(&offer.statement))
                    (plan(&offer.plan, &offer.base_dir))
                    @if self.lacks.is_none() { (self.ways(&offer.statement)) }
                    (self.other_acts(&offer.plan))
                }
            }
        }
    }

    /// Where it stands: who may, who did, and whether this person can.
    fn standing(&self, offer: &Offer) -> Markup {
        let Offer { statement, plan, report, .. } = offer;
        let of_point = statement.point_of_no_return.is_some();
        let given = if of_point { &report.point_approvals } else { &report.approvals };
        let (role, needed) = asked(plan, of_point).unwrap_or(("", 0));
        let may = |person: &&KnownPrincipal| {
            person.roles.iter().any(|it| it == role) && !wrote(plan, &report.started_by, &person.name)
        };
        let may: Vec<&str> = self.known.iter().filter(may).map(|person| person.name.as_str()).collect();
        let name = &self.caller.principal.name;
        let own = self.known.iter().find(|person| person.name == *name);
        html! {
            section aria-labelledby="standing" {
                h2 id="standing" { "Where it stands" }
                p { (report.headline) }
                @for exception in &report.exceptions { p role="note" { strong { (exception) } } }
                dl {
                    dt { "Approved by" }
                    dd id="given" {
                        @if given.is_empty() { "nobody yet" }
                        @for (at, approval) in given.iter().enumerate() {
                            @if at > 0 { ", " }
                            (approval.by) " (holds until " (time(approval.expires_at)) ")"
                        }
                        ", of " (needed) " that are needed"
                    }
                    dt { "Who may" }
                    dd {
                        @if may.is_empty() { "nobody whom verdigris.yaml names" } @else { (may.join(", ")) }
                        ": the role " code { (role) } ", and neither wrote nor started the plan"
                    }
                    dt { "Written by" }
                    dd { @if plan.authors.is_empty() { "not said by the plan" } @else { (plan.authors.join(", ")) } }
                    dt { "Started by" }
                    dd { (report.started_by) ", " (time(report.started_at)) }
                    @if let Some(glass) = &report.glass {
                        dt { "Broken glass" }
                        dd {
                            (glass.by) ": " (glass.reason) ". "
                            @match &glass.review {
                                Some(review) => { "Reviewed by " (review.by) "." }
                                None => { "To be reviewed by somebody else until " (time(glass.review_until)) "." }
                            }
                        }
                    }
                }
                @if wrote(plan, &report.started_by, name) {
                    p { "You wrote or started this plan, so that your approval does not count." }
                } @else if given.iter().any(|approval| approval.by == *name) {
                    p { "You approved it." }
                } @else if !own.is_some_and(|own| own.roles.iter().any(|it| it == role)) {
                    p { "You do not have the role " code { (role) } ": what you sign does not count." }
                }
            }
        }
    }

    /// Everything that a signature binds to.
    fn bound(&self, statement: &Statement) -> Markup {
        html! {
            section aria-labelledby="bound" {
                h2 id="bound" { "What would be signed" }
                p {
                    (statement.act.words()) " of " strong { (statement.rollout) }
                    @if let Act::BreakGlass { reason } = &statement.act { ": " (reason) }
                }
                dl {
                    @if let Some(reason) = &statement.point_of_no_return {
                        dt { "No return" } dd { "From here on a rollback is not safe: " (reason) }
                    }
                    dt { "Plan" } dd { a href={ (rollout_path(&self.rollout.0)) "/plan" } { code { (statement.plan) } } }
                    @for environment in Environment::BOTH {
                        dt { (environment) " configuration" }
                        dd {
                            @match &statement.configurations[environment] {
                                Some(digest) => { code { (digest) } }
                                None => { "none is named by the plan" }
                            }
                        }
                    }
                    dt { "Evidence so far" } dd { code { (statement.evidence) } }
                    dt { "Ledger" }
                    dd {
                        (statement.log) ", " (statement.checkpoint.size) " entries, root "
                        code { (statement.checkpoint.root) }
                    }
                    dt { "Holds until" } dd { (time(statement.expires_at)) }
                }
                p { "These bytes are signed, and nothing else:" }
                pre tabindex="0" { code id="statement" { (statement.to_text()) } }
            }
        }
    }

    fn ways(&self, statement: &Statement) -> Markup {
        let text = statement.to_text();
        let name = &self.caller.principal.name;
        let own = self.known.iter().filter(|person| person.name == *name).flat_map(|person| &person.keys);
        let passkeys: Vec<String> = own.filter(|key| key.passkey().is_some()).map(ToString::to_string).collect();
        html! {
            section aria-labelledby="passkey" {
                h2 id="passkey" { "With a passkey" }
                @if passkeys.is_empty() {
                    p { "verdigris.yaml has no passkey of yours: " a href="/passkeys" { "make one" } "." }
                } @else if !self.caller.may(Action::Approve) {
                    p { "You may not hand in approvals." }
                } @else {
                    div data-passkey="sign" data-keys=(serde_json::Value::from(passkeys))
                        data-prefix=(CHALLENGE_PREFIX) data-csrf=(self.caller.csrf.as_deref().unwrap_or_default()) {
                        button type="button" disabled { "Sign " (statement.act.words()) " with a passkey" }
                        p role="status" { "This needs JavaScript." }
                    }
                    script type="module" src=(crate::assets::address("passkey.js")) {}
                }
            }
            section aria-labelledby="file" {
                h2 id="file" { "With a key of your own" }
                ol {
                    li {
                        a download="statement.json"
                            href={ "data:application/json;base64," (STANDARD.encode(&text)) } { "Save statement.json" }
                        ", or have it written by " code { "verdigris approve --out statement.json" } "."
                    }
                    li { "Sign it: " code { "ssh-keygen -Y sign -f KEY -n " (NAMESPACE) " statement.json" } }
                    li { "Hand in statement.json.sig, or paste what it holds." }
                }
                form method="post" enctype="multipart/form-data" action={ (rollout_path(&self.rollout.0)) "/approvals" } {
                    (csrf(self.caller))
                    p {
                        label for="signed" { "What was signed" } br;
                        textarea id="signed" name="statement" rows="4" cols="70" spellcheck="false" required { (text) }
                    }
                    p {
                        label for="signature-file" { "The signature as a file" } br;
                        input type="file" id="signature-file" name="signatureFile" accept=".sig,.pem,.json,.txt";
                    }
                    p {
                        label for="signature" { "or pasted" } br;
                        textarea id="signature" name="signature" rows="8" cols="70" spellcheck="false"
                            placeholder="-----BEGIN SSH SIGNATURE-----" {}
                    }
                    button type="submit" { "Hand in" }
                }
            }
        }
    }

    /// What else can be said where the plan lets it.
    fn other_acts(&self, plan: &Plan) -> Markup {
        let glass = plan.gates.approval.as_ref().is_some_and(|gate| gate.break_glass.is_some());
        if !glass {
            return html! {};
        }
        let action = format!("{}/approvals", rollout_path(&self.rollout.0));
        html! {
            section aria-labelledby="emergency" {
                h2 id="emergency" { "In an emergency" }
                @if self.which != Which::BreakGlass || self.lacks.is_some() {
                    form method="get" action=(action) {
                        input type="hidden" name="act" value="breakGlass";
                        p {
                            label for="reason" { "Why nobody else can approve" } br;
                            input id="reason" name="reason" size="60" required maxlength=(MAX_REASON_CHARACTERS);
                        }
                        button type="submit" { "Show what breaks the glass" }
                    }
                    p { "One approval passes the gate then, and somebody else must review it. The reason stands in the ledger." }
                }
                @if self.which != Which::Review {
                    form method="get" action=(action) {
                        input type="hidden" name="act" value="review";
                        button type="submit" { "Show what reviews a broken glass" }
                    }
                }
                @if self.which != Which::Approve { p { a href=(action) { "Back to an approval" } } }
            }
        }
    }
}

fn plan(plan: &Plan, base_dir: &str) -> Markup {
    html! {
        section aria-labelledby="plan" {
            h2 id="plan" { "The plan" }
            dl {
                dt { "Reason" } dd { (plan.reason) }
                @if let Some(change) = &plan.change { dt { "Change" } dd { (change) } }
                @if let Some(impact) = &plan.impact { dt { "Impact" } dd { (impact) } }
                @for environment in Environment::BOTH {
                    dt { (environment) }
                    dd {
                        "version " (plan.environments[environment].version)
                        @if let Some(digest) = &plan.environments[environment].artifact { ", artifact " code { (digest) } }
                    }
                }
                dt { "Paths start from" } dd { code { (base_dir) } }
                @for gate in plan.gates.approval.iter() {
                    dt { "Approval" }
                    dd { (gate.count) " of the role " code { (gate.role) } ", each holds " (ShortDuration(gate.expires_ms)) }
                }
            }
            pre tabindex="0" { (preview(plan)) }
            details {
                summary { "Every field, as the digest has them" }
                pre tabindex="0" { (serde_json::to_string_pretty(plan).unwrap_or_default()) }
            }
        }
    }
}

fn asked(plan: &Plan, of_point: bool) -> Option<(&str, u32)> {
    match of_point {
        true => plan.point_of_no_return.as_ref().map(|point| (point.role.as_str(), point.count)),
        false => plan.gates.approval.as_ref().map(|gate| (gate.role.as_str(), gate.count)),
    }
}

fn wrote(plan: &Plan, started_by: &str, name: &str) -> bool {
    started_by == name || plan.authors.iter().any(|author| author == name)
}

/// RFC 3339, in UTC, to the second.
fn time(at: UnixMillis) -> Markup {
    let known = i64::try_from(at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let text = known.map_or_else(|| at.to_string(), |known| format!("{known:.0}"));
    html! { time datetime=(text) { (text) } }
}
