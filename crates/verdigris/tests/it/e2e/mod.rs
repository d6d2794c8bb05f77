//! What takes real peers or minutes of traffic. `cargo xtask test --fast` leaves this module out by its name.

mod activation;
mod api;
mod audits;
mod conformance;
mod demo;
mod gates;
mod kills;
mod lab;
mod metrics;
mod old_senders;
mod pages;
mod peers;
mod prometheus;
mod real;
mod reference;
mod sdk;
mod ssh;
mod takeovers;
mod tokens;
