//! `bench drift`: two environments of thousands of files, read and compared by meaning, beside what everybody has for that:
//! `diff -r`, which compares lines, and says of another order or another quoting that it differs.

use crate::cpu::median;
use anyhow::{Context, Result, ensure};
use clap::Args;
use drift::tracing::{Environments, rules};
use drift::{SecretKey, Tree, compare};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Args)]
pub struct Options {
    /// Files of each environment
    #[arg(long, default_value_t = 2_000)]
    files: u32,
    /// Turns of each; the median is told
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Where the files are written, and removed again
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// One JSON value
    #[arg(long)]
    json: bool,
}

/// Of so many manifests one has another value in green; all have another order of keys, so that no line-wise tool may say
/// that they are alike.
const FILES_A_CHANGE: u32 = 100;

/// A Deployment, its Service and a Collector's configuration in a ConfigMap: 1.8 kB.
fn manifest(number: u32, green: bool) -> String {
    let replicas = if green && number.is_multiple_of(FILES_A_CHANGE) { 3 } else { 2 };
    let name = format!("service-{number}");
    let metadata = if green {
        format!("metadata:\n  namespace: shop\n  name: {name}\n")
    } else {
        format!("metadata: {{ name: \"{name}\", namespace: shop }} # by hand\n")
    };
    let deployment = format!(
        "apiVersion: apps/v1\nkind: Deployment\n{metadata}spec:\n  replicas: {replicas}\n  selector: {{ matchLabels: {{ app: {name} }} }}\n  \
         template:\n    metadata: {{ labels: {{ app: {name} }} }}\n    spec:\n      containers:\n        - name: app\n          \
         image: registry.example.com/shop/{name}:1.4.{number}\n          ports: [{{ name: http, containerPort: 8080 }}]\n          \
         env:\n            - {{ name: OTEL_SERVICE_NAME, value: {name} }}\n            - {{ name: OTEL_EXPORTER_OTLP_ENDPOINT, value: \
         \"http://collector:4317\" }}\n            - {{ name: DB_PASSWORD, value: not-{number}-secret-but-long }}\n          resources:\n            \
         requests: {{ cpu: 100m, memory: 128Mi }}\n            limits: {{ cpu: 500m, memory: 512Mi }}\n"
    );
    let service = format!(
        "apiVersion: v1\nkind: Service\n{metadata}spec:\n  selector: {{ app: {name} }}\n  ports: [{{ name: http, port: 80, targetPort: 8080 }}]\n"
    );
    let collector = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name}-otel, namespace: shop }}\ndata:\n  collector.yaml: |\n    receivers:\n      \
         otlp: {{ protocols: {{ grpc: {{ endpoint: \"0.0.0.0:4317\" }} }} }}\n    processors:\n      batch: {{ timeout: 5s }}\n      memory_limiter: \
         {{ check_interval: 1s, limit_mib: 512 }}\n    exporters:\n      otlp: {{ endpoint: \"backend:4317\" }}\n    service:\n      pipelines:\n        \
         traces: {{ receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp] }}\n"
    );
    let documents = if green { [service, collector, deployment] } else { [deployment, service, collector] };
    documents.join("---\n")
}

/// Measures and prints.
pub fn run(options: &Options) -> Result<()> {
    ensure!(
        (1..=4_000).contains(&options.files) && options.rounds > 0,
        "expected 1 to 4000 files, and a round at least"
    );
    let folder = options.dir.join("bench-drift");
    let measured = write(&folder, options.files).and_then(|()| measure(&folder, options));
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    measured
}

fn write(folder: &Path, files: u32) -> Result<()> {
    for (name, green) in [("blue", false), ("green", true)] {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        for number in 0..files {
            fs::write(folder.join(format!("{number:04}.yaml")), manifest(number, green))?;
        }
    }
    Ok(())
}

fn measure(folder: &Path, options: &Options) -> Result<()> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let began = now();
        let differences = by_meaning(folder)?;
        ours.push(began.elapsed());
        let expected = options.files.div_ceil(FILES_A_CHANGE) as usize;
        ensure!(differences == expected, "{differences} differences, expected {expected}");
        let began = now();
        by_lines(folder)?;
        theirs.push(began.elapsed());
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    if options.json {
        let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
        println!("{}", json!({ "files": options.files, "ms": ms(ours), "diffMs": ms(theirs), "ratio": ratio }));
        return Ok(());
    }
    let bytes = manifest(1, false).len();
    println!("two environments of {} files, {bytes} B each; medians of {} turns", options.files, options.rounds);
    println!("  by meaning, and the rules of tracing   {:>8.0} ms", ours.as_secs_f64() * 1_000.0);
    println!(
        "  diff -r, by lines                      {:>8.0} ms, {ratio:.1} times as fast",
        theirs.as_secs_f64() * 1_000.0
    );
    Ok(())
}

/// How many differences there are. From the disk, as the gate does, though not by its runner.
fn by_meaning(folder: &Path) -> Result<usize> {
    let key = SecretKey::new([7; 32]);
    let (blue, green) = (files(&folder.join("blue"))?, files(&folder.join("green"))?);
    let (blue, green) = Tree::read_two(&blue, &green, &key);
    let (blue, green) = (blue?, green?);
    black_box(rules(&blue, &green, &Environments::default()));
    Ok(compare(&blue, &green).differences.len())
}

fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?);
    }
    Ok(files)
}

fn by_lines(folder: &Path) -> Result<()> {
    let mut diff = Command::new("diff");
    diff.arg("-r").arg(folder.join("blue")).arg(folder.join("green")).stdout(Stdio::null());
    let status = diff.status().context("diff cannot be run")?;
    ensure!(status.code() == Some(1), "diff ended with {status}, expected 1: they differ");
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}
