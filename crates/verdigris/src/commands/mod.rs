//! One module a command.

pub mod agent;
pub mod approve;
pub mod audit;
pub mod completions;
pub mod config;
pub mod doctor;
pub mod drift;
mod evidence;
pub mod gate;
pub mod judge;
pub mod ledger;
pub mod load;
pub mod plan;
pub mod record;
mod recording;
pub mod redact;
pub mod rollout;
pub mod trace;
pub mod verify;
