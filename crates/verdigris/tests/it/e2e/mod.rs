//! What takes real peers or minutes of traffic. `cargo xtask test --fast` leaves this module out by its name.

mod conformance;
mod demo;
mod kills;
mod lab;
mod peers;
mod real;
mod sdk;
