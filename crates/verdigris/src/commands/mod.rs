//! One module a command.

pub mod judge;
pub mod ledger;
pub mod plan;
pub mod rollout;
pub mod verify;
