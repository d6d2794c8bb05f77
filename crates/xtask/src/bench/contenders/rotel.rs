//! Rotel (PyPI `rotel`), started as its help says, on free ports.

use super::{Protocol, Proxy, Stage, free_port, listening};
use crate::bench::running::Side;
use anyhow::{Context, Result};

/// What it does with what it has batched.
#[derive(Clone, Copy)]
pub enum Exporter {
    /// Sends it to the first sink. It is told not to compress, as the others do not; whether it obeys, the sink sees.
    Otlp,
    /// Throws it away: what it would cost without sending is a lower bound of what the whole costs.
    Blackhole,
}

pub fn start(stage: &Stage<'_>, exporter: Exporter) -> Result<Proxy> {
    let (grpc, http) = (free_port()?, free_port()?);
    let (grpc_text, http_text) = (grpc.to_string(), http.to_string());
    let receiver = ["start", "--otlp-grpc-endpoint", &grpc_text, "--otlp-http-endpoint", &http_text];
    let sink = format!("http://{}", stage.ground.sinks[0]);
    let exporter: &[&str] = match exporter {
        Exporter::Otlp => &[
            "--otlp-exporter-endpoint",
            &sink,
            "--otlp-exporter-protocol",
            stage.protocol.key(),
            "--otlp-exporter-compression",
            "none",
        ],
        Exporter::Blackhole => &["--exporter", "blackhole"],
    };
    let program = stage.ground.rotel.as_deref().context("Rotel was not set up")?;
    let arguments = [&receiver[..], exporter].concat();
    let mut running = stage.ground.launcher.start(Side::Proxy, program, &arguments, &stage.folder.join("log"))?;
    let address = match stage.protocol {
        Protocol::Grpc => grpc,
        Protocol::Http => http,
    };
    listening(&mut running, address)?;
    Ok(Proxy { running, address, taps: None, api: None })
}
