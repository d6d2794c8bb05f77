//! What can be told of.

/// Something that somebody wants to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A rollout began.
    RolloutStarted,
    /// It waits for approvals.
    NeedsApproval,
    /// It waits for testers.
    NeedsAcceptance,
    /// It waits until somebody resumes it.
    Paused,
    /// It stands still, and not because somebody wanted it to.
    Held,
    /// A gate ended, and not in Pass.
    GateFailed,
    /// One approval alone passed the gate.
    GlassBroken,
    /// Nobody reviewed that in time.
    ReviewOverdue,
    /// The point of no return is passed.
    PastReturn,
    /// Everything goes back.
    RolledBack,
    /// Green is active.
    Promoted,
    /// Somebody asked who may not.
    AccessRefused,
    /// The ledger takes nothing.
    LedgerTrouble,
}

impl Event {
    /// All of them.
    pub const ALL: [Event; 13] = [
        Event::RolloutStarted,
        Event::NeedsApproval,
        Event::NeedsAcceptance,
        Event::Paused,
        Event::Held,
        Event::GateFailed,
        Event::GlassBroken,
        Event::ReviewOverdue,
        Event::PastReturn,
        Event::RolledBack,
        Event::Promoted,
        Event::AccessRefused,
        Event::LedgerTrouble,
    ];

    /// As `on` in `verdigris.yaml` has it.
    pub fn name(self) -> &'static str {
        match self {
            Event::RolloutStarted => "rolloutStarted",
            Event::NeedsApproval => "needsApproval",
            Event::NeedsAcceptance => "needsAcceptance",
            Event::Paused => "paused",
            Event::Held => "held",
            Event::GateFailed => "gateFailed",
            Event::GlassBroken => "glassBroken",
            Event::ReviewOverdue => "reviewOverdue",
            Event::PastReturn => "pastReturn",
            Event::RolledBack => "rolledBack",
            Event::Promoted => "promoted",
            Event::AccessRefused => "accessRefused",
            Event::LedgerTrouble => "ledgerTrouble",
        }
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Event> {
        Event::ALL.into_iter().find(|event| event.name() == name)
    }
}
