//! Issue 2 from end to end: the binary as processes, held to what the issue says of it. Nothing here looks into a
//! process: what is known comes from its output, its exit code, its API and its files.
//!
//! The binary is the one that `VERDIGRIS_BIN` names, otherwise the one that cargo built for these tests. What needs the
//! real collectors and clients of `cargo xtask e2e-setup`, or minutes of real traffic, is in [`e2e`]; the rest needs
//! nothing but the binary. Ports are always the system's choice, and nothing waits but through [`wait::eventually`].

mod accepting;
mod approvals;
mod audited;
mod bad_input;
mod behaviour;
mod e2e;
mod erasing;
mod following;
mod gating;
mod learning;
mod ledger_files;
mod lessons;
mod load;
mod loading;
mod operating;
mod operators;
mod plan;
mod process;
mod proofs;
mod recorded;
mod rehearsed;
mod requests;
mod rotated;
mod server;
mod stage;
mod stopped;
mod telemetry;
mod tls;
mod trace_store;
mod traces;
mod wait;
mod web_port;
mod without_tap;
mod witnesses;
