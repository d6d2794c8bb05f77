//! `otlp` held to hostile bytes, by the targets that libFuzzer runs too (crate `fuzz-targets`).

mod dice;
mod hostile;
mod seeds;
