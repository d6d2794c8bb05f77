//! Ours beside each peer that does the same, or the nearest to it.

use super::{Cell, Summary, groups};
use crate::bench::contenders::{Contender, Protocol};
use serde_json::{Value, json};
use std::fmt::Write;

/// Who is held beside whom. Rotel neither splits nor mirrors: a split of ours is held beside all that it does.
const PAIRS: &[(Contender, &[Contender])] = &[
    (Contender::Ours, &[Contender::Rotel, Contender::RotelDiscarding, Contender::Envoy]),
    (Contender::OursDurable, &[Contender::RotelDiscarding]),
    (Contender::OursSplit, &[Contender::Rotel, Contender::RotelDiscarding, Contender::EnvoySplit]),
    (Contender::OursMirror, &[Contender::EnvoyMirror]),
    (Contender::OursMirrorVerified, &[Contender::EnvoyMirror]),
];

/// Ours beside a peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    pub protocol: Protocol,
    pub spans_per_request: u64,
    pub ours: Contender,
    pub peer: Contender,
    /// The peer's CPU time for a million spans over ours: how many times more spans a core of ours does.
    pub spans_per_core: f64,
    /// Our spans a second over the peer's. Where one of them is not busy, generator and sink limit it.
    pub spans_per_s: f64,
    /// Our peak memory over the peer's.
    pub memory: f64,
}

/// Of the medians over the rounds, wherever both were measured.
pub fn ratios(cells: &[Cell]) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    for (protocol, size) in groups(cells) {
        for (ours, peers) in PAIRS {
            let Some(our) = Summary::of(cells, *ours, protocol, size) else { continue };
            for peer in *peers {
                let Some(their) = Summary::of(cells, *peer, protocol, size) else { continue };
                let Some((our_cost, their_cost)) = our.proxy.zip(their.proxy) else { continue };
                ratios.push(Ratio {
                    protocol,
                    spans_per_request: size,
                    ours: *ours,
                    peer: *peer,
                    spans_per_core: their_cost.cpu_per_million.total_s() / our_cost.cpu_per_million.total_s(),
                    spans_per_s: our.spans_per_s / their.spans_per_s,
                    memory: our_cost.peak_resident_mib / their_cost.peak_resident_mib,
                });
            }
        }
    }
    ratios
}

const HEADER: &str = concat!(
    "      spans a                                                   spans a                   peak\n",
    "OTLP  request  ours                    beside                  CPU second     spans/s   memory\n",
);

impl Ratio {
    /// Nothing if there are none.
    pub fn table(ratios: &[Ratio]) -> String {
        if ratios.is_empty() {
            return String::new();
        }
        let mut text = HEADER.to_owned();
        for ratio in ratios {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{:<5} {:>6}   {:<22}  {:<22}  {:>9.2}x  {:>9.2}x  {:>6.2}x",
                ratio.protocol.key(),
                ratio.spans_per_request,
                ratio.ours.name(),
                ratio.peer.name(),
                ratio.spans_per_core,
                ratio.spans_per_s,
                ratio.memory,
            );
        }
        text
    }

    pub fn json(&self) -> Value {
        json!({
            "ours": self.ours.name(),
            "beside": self.peer.name(),
            "protocol": self.protocol.key(),
            "spansPerRequest": self.spans_per_request,
            "spansPerCpuSecondRatio": self.spans_per_core,
            "spansPerSRatio": self.spans_per_s,
            "peakResidentRatio": self.memory,
        })
    }
}
