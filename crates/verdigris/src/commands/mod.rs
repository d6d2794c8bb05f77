//! One module a command.

pub mod ledger;
pub mod plan;
pub mod rollout;
