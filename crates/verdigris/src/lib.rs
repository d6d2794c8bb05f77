//! Verdigris as a program: command line, configuration, wiring, and the only clock and randomness.
//!
//! It is a library so that the end-to-end tests can use the demo's shop, pipelines and back ends.

pub mod activation;
pub mod api;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod condition;
pub mod config;
pub mod demo;
pub mod demonstrate;
pub mod describe;
pub mod health;
pub mod learned;
mod load_out;
pub mod notify;
pub mod notifying;
mod observe;
pub mod plot;
mod private_file;
pub mod proving;
pub mod recorder;
pub mod redaction_key;
mod reload;
pub mod serve;
pub mod signing;
pub mod spools;
pub mod system;
pub mod takeover;
pub mod telemetry;
pub mod view;
pub mod witness;
