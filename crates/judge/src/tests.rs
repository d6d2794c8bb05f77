//! The judge as a whole, on simulated traffic.

mod guarantees;
mod naming;
mod noise;
mod operations;
mod simulation;
mod verdicts;
