//! Curves of shares, as letters on a terminal and as SVG: what `verdigris judge simulate` shows.

mod letters;
mod svg;

pub use letters::{number, percent};

#[cfg(test)]
mod tests;

/// One or more panels above each other that share their horizontal axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// What all of it shows.
    pub title: String,
    /// What it was made from, in one line.
    pub subtitle: String,
    /// The horizontal axis.
    pub axis: Axis,
    /// From top to bottom; all have the same curves in the same order.
    pub panels: Vec<Panel>,
}

/// The horizontal axis, from 0 on.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it counts, with its unit.
    pub label: String,
    /// Where it ends; above 0.
    pub end: f64,
}

/// One panel; its vertical axis is a share from 0 to `top`.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// What the share is of.
    pub title: String,
    /// The highest share that is shown, above 0.0 and up to 1.0.
    pub top: f64,
    /// A level that is promised, drawn as a thin line.
    pub promised: Option<f64>,
    /// The curves.
    pub curves: Vec<Curve>,
}

/// A share that only grows along the axis, by a step wherever a run comes to the point.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name.
    pub label: String,
    /// Where the steps are, in order, on the axis.
    pub steps: Vec<f64>,
    /// Of how many runs.
    pub runs: u64,
}

impl Curve {
    /// The share at a point of the axis.
    pub fn share_at(&self, x: f64) -> f64 {
        self.steps.partition_point(|step| *step <= x) as f64 / self.runs.max(1) as f64
    }

    /// The share at the end of the axis.
    pub fn last(&self, axis: &Axis) -> f64 {
        self.share_at(axis.end)
    }
}

/// A round number at or above a positive one, and a distance of ticks that divides it into 4 to 8 parts.
fn rounded_up(number: f64) -> (f64, f64) {
    let decade = libm::exp2(libm::floor(libm::log10(number)) * std::f64::consts::LOG2_10);
    let steps = [0.2, 0.25, 0.5, 1.0, 2.0].map(|step| step * decade);
    // The largest number is below 10 decades, and 5 steps of 2 are that.
    let step = steps.into_iter().find(|step| number / step <= 6.0).unwrap_or(2.0 * decade);
    // A hair below, so that a number that is a multiple of the step stays what it is.
    ((number / step - 1e-9).ceil() * step, step)
}
