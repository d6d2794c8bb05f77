//! Who may do what: roles, actions, and the one table between them. What the table does not say is refused.
//!
//! It decides and nothing else: who somebody is, the shell crates find out (a socket's peer, a certificate, a token, a
//! session), and what stands in a plan (named testers, an approval's role) is the rollout's own to decide, on top of this.
//! Pure: no clock, no I/O.

mod action;
mod role;

pub use action::Action;
pub use role::{Role, Roles};

/// Whether somebody of these roles may do this. The roles of one person add up; nobody's roles may nothing.
pub fn may(roles: Roles, action: Action) -> bool {
    roles.iter().any(|role| allows(role, action))
}

/// The table, a row for each action. `docs/security.md` has the same one, and a test holds both together.
pub fn allows(role: Role, action: Action) -> bool {
    use Role::{Approver, Auditor, Author, Gateway, Operator, Pipeline};
    let people = Role::PEOPLE.contains(&role);
    match action {
        Action::SeeRollouts | Action::SeeServer | Action::SeeLedger | Action::SignOff => people,
        Action::SeeExamples => matches!(role, Approver | Operator | Auditor),
        Action::ExportLedger => matches!(role, Approver | Operator | Auditor),
        Action::CheckPlan => matches!(role, Author | Approver | Operator),
        Action::Start => role == Author,
        Action::Steer | Action::Record | Action::Erase => role == Operator,
        Action::Learn => matches!(role, Author | Operator),
        Action::SeeStatement | Action::Approve => role == Approver,
        Action::FollowTable => role == Gateway,
        Action::Export => role == Pipeline,
    }
}

#[cfg(test)]
mod tests;
