//! The judge as a whole, on simulated traffic.

mod guarantees;
mod naming;
mod simulation;
mod verdicts;
