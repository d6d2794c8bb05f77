//! The gates' runners: each asks one question of the two environments and comes back with a [`model::GateResult`].
//!
//! A runner never decides what follows, and never puts a configuration's value into a reason: values may be secrets.

pub mod drift;
pub mod probe;
