//! What a record is evidence of: each record is of one kind, and the control mapping names kinds.

use rollout::{Body, Decision, Event, Record};

/// Kinds of records, in the order in which tables name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A rollout began.
    Start,
    /// A step began.
    Step,
    /// A gate was run, and how it ended.
    Gate,
    /// Somebody approved.
    Approval,
    /// A tester accepted or refused.
    Acceptance,
    /// What was asked for and not done.
    Refusal,
    /// Traffic was changed.
    Shift,
    /// What was measured.
    Observation,
    /// What the judge says.
    Verdict,
    /// The rollout stood still, or its source failed.
    Hold,
    /// Everything went back.
    Rollback,
    /// The candidate became active, or the rollout was over.
    End,
    /// What people asked for.
    Command,
    /// What was kept, and deleted.
    Evidence,
    /// One approval passed the gate alone, and whether somebody reviewed that.
    Emergency,
    /// The digests of the configurations.
    Configuration,
    /// Who has which role.
    Principals,
    /// Which key signs the ledger.
    Key,
    /// What was destroyed because somebody asked for it.
    Erasure,
    /// Who looked at evidence, and who was not let.
    Access,
    /// The program that decides.
    Server,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 21] = [
        Kind::Start,
        Kind::Step,
        Kind::Gate,
        Kind::Approval,
        Kind::Acceptance,
        Kind::Refusal,
        Kind::Shift,
        Kind::Observation,
        Kind::Verdict,
        Kind::Hold,
        Kind::Rollback,
        Kind::End,
        Kind::Command,
        Kind::Evidence,
        Kind::Emergency,
        Kind::Configuration,
        Kind::Principals,
        Kind::Key,
        Kind::Erasure,
        Kind::Access,
        Kind::Server,
    ];

    /// Of which kind a record is.
    pub fn of(record: &Record) -> Kind {
        match &record.body {
            Body::ServerStarted { .. }
            | Body::ServerStopped
            | Body::Heartbeat
            | Body::NotificationsRead { .. }
            | Body::Notified { .. }
            | Body::ShardBegan(_) => Kind::Server,
            Body::PrincipalsRead { .. } => Kind::Principals,
            Body::KeyRotated { .. } => Kind::Key,
            Body::Erased { .. } => Kind::Erasure,
            Body::Reviewed { .. } | Body::ReviewOverdue { .. } => Kind::Emergency,
            Body::Started(_) => Kind::Start,
            Body::EvidenceKept { .. } | Body::EvidenceDeleted { .. } | Body::EntriesPruned { .. } => Kind::Evidence,
            Body::EvidenceRead { .. } | Body::TrafficRecorded { .. } | Body::AccessRefused { .. } => Kind::Access,
            Body::Happened(event) => Kind::of_event(event),
            Body::Decided(decision) => Kind::of_decision(decision),
        }
    }

    fn of_event(event: &Event) -> Kind {
        match event {
            Event::Tick => Kind::Step,
            Event::Observed(_) | Event::Measured { .. } | Event::CanaryFollowed(_) | Event::LeaksSearched(_) => {
                Kind::Observation
            }
            Event::GateFinished { .. } => Kind::Gate,
            Event::Applied { .. } => Kind::Shift,
            Event::ConfigurationsRead(_) => Kind::Configuration,
            Event::ApprovalSubmitted(_) => Kind::Approval,
            Event::SignedOff(_) => Kind::Acceptance,
            Event::Commanded { .. } => Kind::Command,
            Event::Restarted => Kind::Server,
        }
    }

    fn of_decision(decision: &Decision) -> Kind {
        match decision {
            Decision::StepEntered { .. } => Kind::Step,
            Decision::ShiftOrdered(_) | Decision::ShiftObserved(_) => Kind::Shift,
            Decision::GateRequested { .. } => Kind::Gate,
            Decision::Judged { .. } => Kind::Verdict,
            Decision::SourceFails { .. }
            | Decision::SourceAnswers { .. }
            | Decision::Held(_)
            | Decision::Extended { .. } => Kind::Hold,
            Decision::Approved { .. } | Decision::ApprovalsVoid { .. } | Decision::PointPassed { .. } => Kind::Approval,
            Decision::SignedOff { .. } => Kind::Acceptance,
            Decision::GlassBroken { .. } => Kind::Emergency,
            Decision::Refused { .. } => Kind::Refusal,
            Decision::Paused | Decision::Resumed | Decision::Skipped { .. } => Kind::Command,
            Decision::RollbackOrdered(_) => Kind::Rollback,
            Decision::PromotionOrdered | Decision::Ended(_) => Kind::End,
        }
    }

    /// Its name, as tables have it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Start => "start",
            Kind::Step => "step",
            Kind::Gate => "gate",
            Kind::Approval => "approval",
            Kind::Acceptance => "acceptance",
            Kind::Refusal => "refusal",
            Kind::Shift => "shift",
            Kind::Observation => "observation",
            Kind::Verdict => "verdict",
            Kind::Hold => "hold",
            Kind::Rollback => "rollback",
            Kind::End => "end",
            Kind::Command => "command",
            Kind::Evidence => "evidence",
            Kind::Emergency => "emergency",
            Kind::Configuration => "configuration",
            Kind::Principals => "principals",
            Kind::Key => "key",
            Kind::Erasure => "erasure",
            Kind::Access => "access",
            Kind::Server => "server",
        }
    }

    /// Which bodies of records are of this kind, as their JSON names them.
    pub fn bodies(self) -> &'static [&'static str] {
        match self {
            Kind::Start => &["started"],
            Kind::Step => &["decided.stepEntered", "happened.tick"],
            Kind::Gate => &["decided.gateRequested", "happened.gateFinished"],
            Kind::Approval => {
                &["happened.approvalSubmitted", "decided.approved", "decided.approvalsVoid", "decided.pointPassed"]
            }
            Kind::Acceptance => &["happened.signedOff", "decided.signedOff"],
            Kind::Refusal => &["decided.refused"],
            Kind::Shift => &["decided.shiftOrdered", "happened.applied", "decided.shiftObserved"],
            Kind::Observation => {
                &["happened.observed", "happened.measured", "happened.canaryFollowed", "happened.leaksSearched"]
            }
            Kind::Verdict => &["decided.judged"],
            Kind::Hold => &["decided.held", "decided.extended", "decided.sourceFails", "decided.sourceAnswers"],
            Kind::Rollback => &["decided.rollbackOrdered"],
            Kind::End => &["decided.promotionOrdered", "decided.ended"],
            Kind::Command => &["happened.commanded", "decided.paused", "decided.resumed", "decided.skipped"],
            Kind::Evidence => &["evidenceKept", "evidenceDeleted", "entriesPruned"],
            Kind::Emergency => &["decided.glassBroken", "reviewed", "reviewOverdue"],
            Kind::Configuration => &["happened.configurationsRead"],
            Kind::Principals => &["principalsRead"],
            Kind::Key => &["keyRotated"],
            Kind::Erasure => &["erased"],
            Kind::Access => &["evidenceRead", "accessRefused"],
            Kind::Server => &[
                "serverStarted",
                "serverStopped",
                "heartbeat",
                "shardBegan",
                "notificationsRead",
                "notified",
                "happened.restarted",
            ],
        }
    }

    /// What such a record says.
    pub fn says(self) -> &'static str {
        match self {
            Kind::Start => "the plan, its digest, who started it, by which version of the program",
            Kind::Step => "which step of the plan began, when, and what it does",
            Kind::Gate => "which gate was run, when, its verdict, its reasons",
            Kind::Approval => {
                "who approved what, with their own signature: plan, configurations, evidence, checkpoint, expiry; of how many \
                 needed; and what made approvals void"
            }
            Kind::Acceptance => {
                "which named tester accepted or refused the candidate, with a sealed note, on how much of their own traffic \
                 there, listed by trace id in the evidence; of how many needed"
            }
            Kind::Refusal => {
                "what was asked for and not done, and why: a wrong role, the author's own approval, another digest"
            }
            Kind::Shift => "which share of traces goes where, ordered, applied by the gateway, and observed",
            Kind::Observation => "what was measured, by batch; what became of a planted secret",
            Kind::Verdict => "the verdict with its numbers, and the digest of the judge's whole state",
            Kind::Hold => {
                "why a rollout stood still: a silent or failing source, a broken measurement, no verdict in time"
            }
            Kind::Rollback => "the cause, by finding and example trace",
            Kind::End => "promoted, or rolled back",
            Kind::Command => "who paused, resumed, promoted or rolled back, and with what words",
            Kind::Evidence => "which blobs were kept for which finding; which were deleted, and by which rule",
            Kind::Emergency => {
                "who passed the approval gate alone, and why; who reviewed it, or that nobody did in time"
            }
            Kind::Configuration => "the digests of both configurations, at the start and whenever they changed",
            Kind::Principals => "who has which role, and by which user ids and keys they are known",
            Kind::Key => "when the ledger's signing key changed, from which to which, and who did it",
            Kind::Erasure => "what was kept of a person or a trace was destroyed, by its commitments and digests",
            Kind::Access => {
                "who looked at which blob of evidence, who asked and is not known, and which clients the gateway did not let in"
            }
            Kind::Server => "when the program that decides ran, and which version",
        }
    }

    /// Whether such records come of a test that ran by itself. All others are there to be examined.
    pub fn is_test(self) -> bool {
        match self {
            Kind::Gate | Kind::Observation | Kind::Verdict => true,
            Kind::Start
            | Kind::Step
            | Kind::Approval
            | Kind::Acceptance
            | Kind::Refusal
            | Kind::Shift
            | Kind::Hold
            | Kind::Rollback
            | Kind::End
            | Kind::Command
            | Kind::Evidence
            | Kind::Emergency
            | Kind::Configuration
            | Kind::Principals
            | Kind::Key
            | Kind::Erasure
            | Kind::Access
            | Kind::Server => false,
        }
    }
}
