//! What somebody is to a server.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A role, as `principals[].roles` in `verdigris.yaml` names it. Other names there are roles of a plan's own
/// (`gates.approval.role`), and allow nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Looks at rollouts.
    Viewer,
    /// Writes plans and starts rollouts.
    Author,
    /// Approves what others wrote.
    Approver,
    /// Pauses, resumes, promotes, rolls back.
    Operator,
    /// Reads everything, changes nothing.
    Auditor,
    /// A gateway on another machine.
    Gateway,
    /// An environment's pipeline, which exports to its tap.
    Pipeline,
}

impl Role {
    /// All of them, in the order of the table.
    pub const ALL: [Role; 7] =
        [Role::Viewer, Role::Author, Role::Approver, Role::Operator, Role::Auditor, Role::Gateway, Role::Pipeline];

    /// What a person can be; the other roles are machines'.
    pub const PEOPLE: [Role; 5] = [Role::Viewer, Role::Author, Role::Approver, Role::Operator, Role::Auditor];

    /// As the configuration has it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Author => "author",
            Role::Approver => "approver",
            Role::Operator => "operator",
            Role::Auditor => "auditor",
            Role::Gateway => "gateway",
            Role::Pipeline => "pipeline",
        }
    }

    /// The role of this name, if there is one.
    pub fn named(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Somebody's roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// None: whoever is not named.
    pub const NONE: Roles = Roles(0);

    /// Those of these names that are roles of ours.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Roles {
        names.into_iter().filter_map(Role::named).collect()
    }

    /// Those there are.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.0 & role.bit() != 0)
    }

    /// These and those.
    #[must_use]
    pub fn with(self, other: Roles) -> Roles {
        Roles(self.0 | other.0)
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Roles {
        Roles(roles.into_iter().fold(0, |bits, role| bits | role.bit()))
    }
}
