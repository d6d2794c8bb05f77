//! The judge as a whole, on simulated traffic.

mod evidence;
mod external;
mod guarantees;
mod naming;
mod noise;
mod operations;
mod persisted;
mod services;
pub(crate) mod simulation;
mod verdicts;

use model::{ArmCounts, PerEnvironment};

/// A batch of which only is known how many traces green, the candidate, and blue were assigned.
pub(crate) fn assigned(candidate: u64, active: u64) -> PerEnvironment<ArmCounts> {
    let arm = |assigned| ArmCounts { assigned, ..ArmCounts::default() };
    PerEnvironment { blue: arm(active), green: arm(candidate) }
}
