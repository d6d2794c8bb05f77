//! The judge as a whole, on simulated traffic.

mod external;
mod guarantees;
mod naming;
mod simulation;
mod verdicts;
