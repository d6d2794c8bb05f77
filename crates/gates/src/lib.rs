//! The gates' runners: each asks one question of the two environments and comes back with a [`model::GateResult`]; and
//! [`prometheus`], which asks for a metric's counters and comes back with a [`model::Measurement`]; and [`backend`], which
//! asks a trace store.
//!
//! A runner never decides what follows, and never puts a configuration's value into a reason: values may be secrets.

pub mod backend;
pub mod configuration;
pub mod drift;
pub mod integration;
pub mod probe;
pub mod prometheus;
mod run;
pub mod security;
mod server;
pub mod testing;

pub use run::Run;
pub use server::{Patience, ServerError};
