//! The command line, as DESIGN.md has it.

mod agent;
mod approve;
mod audit;
mod drift;
mod gate;
mod judge;
mod keys;
mod load;
mod ops;
mod record;
mod redact;
mod trace;
mod verify;
mod witness;

pub use agent::Agent;
pub use approve::Approve;
pub use audit::{Audit, BundleAt, Export, Selected};
pub use drift::Drift;
pub use gate::Gate;
pub use judge::{Axis, Effect, Judge, Replay, Simulate};
pub use keys::{Key, KeyFile, RotateKey};
pub use load::{Load, Phases, Rate, Shaped, To};
pub use ops::{ConfigAt, ConfigCommand, Man, Shell};
pub use record::Record;
pub use redact::{Redact, Scan};
pub use trace::{Diff, Look, Show, Trace};
pub use verify::{Learn, Verify, Watch, Which};
pub use witness::Witness;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Rolls a tracing system from its blue environment to its green one, and proves at every step that nothing was lost.
#[derive(Debug, Parser)]
#[command(name = "verdigris", version, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one JSON value on standard output.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// A whole rollout on this machine, nothing else needed.
    Demo(Demo),
    /// The gateway, the controller and the API, from verdigris.yaml.
    Serve(Serve),
    /// Plans.
    #[command(subcommand)]
    Plan(Plan),
    /// A gate of a plan by itself: needs neither rollout nor server.
    Gate(Gate),
    /// Makes the calls of a probe gate inside of an environment, for a server that asks with its token.
    Agent(Agent),
    /// What differs in meaning between two configurations: files or folders. Secrets are compared and never shown.
    Drift(Drift),
    /// Load for the environments of a plan: synthetic traces, or a recording. Needs no server.
    Load(Load),
    /// Records what a running server's gateway receives, sealed, to be sent again by `load`.
    Record(Record),
    /// Rollouts of a running server.
    #[command(subcommand)]
    Rollout(Rollout),
    /// Shows what an approval of a rollout binds to, signs it with a key of your own, and hands it in.
    Approve(Approve),
    /// The ledger: needs no server.
    #[command(subcommand)]
    Ledger(Ledger),
    /// Bundles that `ledger export` wrote: offline, by the ledger's key alone.
    #[command(subcommand)]
    Audit(Audit),
    /// The judge by itself: on simulated traffic, and again on recorded evidence.
    #[command(subcommand)]
    Judge(Judge),
    /// Verification by itself: on recorded spans, or on a running server's traffic.
    #[command(subcommand)]
    Verify(Verify),
    /// Redaction by itself.
    #[command(subcommand)]
    Redact(Redact),
    /// Traces side by side: two files, or what was sent beside what came out.
    #[command(subcommand)]
    Trace(Trace),
    /// The server's configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Looks at ports, disk, clock, certificates, endpoints and the ledger of a server, and says what to do. Changes nothing.
    Doctor(ConfigAt),
    /// Prints the completions of a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Writes man pages into a folder.
    Man(Man),
    /// Cosigns another ledger's checkpoints (C2SP tlog-witness): a server, best on a machine of somebody else's.
    Witness(Witness),
}

/// `verdigris demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// What is wrong with green.
    #[arg(long, value_enum, default_value_t = Fault::None)]
    pub fault: Fault,
    /// The traces' seed: the same seed makes the same traces.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Traces a second.
    #[arg(long, default_value_t = 150.0, value_parser = rate)]
    pub rate: f64,
    /// Where the ledger and the evidence are kept; without it among the temporary files.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Plain lines, even on a terminal.
    #[arg(long)]
    pub plain: bool,
    /// Keep the pages open when the rollout has ended, until Enter is pressed or standard input ends.
    #[arg(long)]
    pub hold: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (1.0..=5_000.0).contains(&rate) => Ok(rate),
        _ => Err("expected 1 to 5000 traces a second".to_owned()),
    }
}

/// What the demo does to green.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// Nothing: it is promoted.
    None,
    /// The spans of one service never come out.
    BlindSpot,
    /// One span in fifty is lost.
    SpanLoss,
    /// One attribute of one service is dropped.
    AttributeDrop,
    /// One attribute of one service comes out masked.
    Mask,
    /// Secrets come out that should be masked.
    Leak,
    /// The spans of one service get another parent.
    Reparent,
    /// Everything comes out late.
    Slow,
    /// One export in five is refused.
    Errors,
    /// Green goes away in the middle of a step.
    Crash,
}

/// `verdigris serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// The server's configuration.
    #[arg(long, default_value = "verdigris.yaml", value_name = "FILE")]
    pub config: PathBuf,
    /// Take over from the server that runs on the same data folder: it passes its listening sockets and its ledger on,
    /// finishes what it took and ends. No connection is refused or reset by it. If this server cannot start, that one
    /// goes on.
    #[arg(long)]
    pub takeover: bool,
}

/// `verdigris plan`.
#[derive(Debug, Subcommand)]
pub enum Plan {
    /// Validates a plan, and prints what would happen, step by step.
    Check {
        /// The plan.
        plan: PathBuf,
    },
}

/// Where the server is.
#[derive(Clone, Debug, Args)]
pub struct Server {
    /// The server's socket.
    #[arg(long, env = "VERDIGRIS_SOCKET", default_value = "verdigris-data/verdigris.sock", value_name = "PATH")]
    pub socket: PathBuf,
}

/// Which rollout: the one that started last, if none is named.
#[derive(Clone, Debug, Args)]
pub struct Named {
    /// The rollout; the one that started last if it is not named.
    #[arg(default_value = "last")]
    pub rollout: String,
    #[command(flatten)]
    /// Where the server is.
    pub server: Server,
}

/// `verdigris rollout`.
#[derive(Debug, Subcommand)]
pub enum Rollout {
    /// Starts the rollout that a plan describes.
    Start {
        /// The plan.
        plan: PathBuf,
        /// Stay, show how it goes, and exit as it ends.
        #[arg(long)]
        watch: bool,
        /// Plain lines, even on a terminal.
        #[arg(long)]
        plain: bool,
        #[command(flatten)]
        /// Where the server is.
        server: Server,
    },
    /// All rollouts.
    List {
        #[command(flatten)]
        /// Where the server is.
        server: Server,
    },
    /// Where a rollout stands, and what it waits for.
    Status {
        #[command(flatten)]
        /// Which.
        named: Named,
    },
    /// Shows a rollout live until it ends, and exits as it ends; with plain lines or JSON also when it is held.
    Watch {
        #[command(flatten)]
        /// Which.
        named: Named,
        /// Plain lines, even on a terminal.
        #[arg(long)]
        plain: bool,
    },
    /// Stops advancing; guards go on.
    Pause {
        #[command(flatten)]
        /// Which.
        named: Named,
    },
    /// Goes on after a pause, or analyses again after a hold.
    Resume {
        #[command(flatten)]
        /// Which.
        named: Named,
    },
    /// Ends the wait of the present step and goes on; no gate is skipped.
    Promote {
        #[command(flatten)]
        /// Which.
        named: Named,
    },
    /// Back to the active environment, at once.
    Rollback {
        #[command(flatten)]
        /// Which.
        named: Named,
        /// Why; it stands in the ledger.
        #[arg(long)]
        reason: Option<String>,
        /// Although the plan's point of no return is passed, so that it is not safe; needs a reason.
        #[arg(long, requires = "reason")]
        past_the_point_of_no_return: bool,
    },
    /// A named tester accepts green, after trying it out.
    Accept {
        #[command(flatten)]
        /// Which.
        named: Named,
        #[command(flatten)]
        /// What you saw.
        note: Note,
    },
    /// A named tester refuses green: the rollout goes back.
    Refuse {
        #[command(flatten)]
        /// Which.
        named: Named,
        #[command(flatten)]
        /// Why; needed.
        note: Note,
    },
    /// Signs an approval of a rollout and hands it in: the same as `verdigris approve`.
    Approve(Approve),
}

/// A tester's words. They are sealed outside the ledger, and can be erased.
#[derive(Clone, Debug, Args)]
#[group(multiple = false)]
pub struct Note {
    /// In plain text, at most 1,024 bytes.
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// The same from a file.
    #[arg(long, value_name = "FILE")]
    pub note_file: Option<PathBuf>,
}

/// Which ledger.
#[derive(Clone, Debug, Args)]
pub struct LedgerAt {
    /// The ledger's folder.
    #[arg(long, default_value = "verdigris-data/ledger", value_name = "DIR")]
    pub dir: PathBuf,
    /// The verifier key, or a file that holds it. Without it the key beside the ledger is taken, which proves that the
    /// ledger holds together, and not whose it is.
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
}

/// `verdigris ledger`.
#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// The records, in words.
    Show {
        #[command(flatten)]
        /// Which ledger.
        at: LedgerAt,
        /// From this entry on.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// So many entries.
        #[arg(long)]
        most: Option<u64>,
        /// Leave out the observations.
        #[arg(long)]
        decisions: bool,
    },
    /// Recomputes every hash up to the signed checkpoint, and makes every decision again.
    Verify {
        #[command(flatten)]
        /// Which ledger.
        at: LedgerAt,
        /// The verifier key of a witness, or a file that holds it; can be given several times.
        #[arg(long, value_name = "KEY")]
        witness: Vec<String>,
        /// So many of these witnesses must have cosigned a beginning of the ledger.
        #[arg(long, value_name = "N", requires = "witness", value_parser = clap::value_parser!(u8).range(1..=15))]
        quorum: Option<u8>,
    },
    /// One rollout as a file for an auditor: records, proofs, checkpoint and evidence.
    Export(Export),
    /// A blob of evidence from a running server, which records who looked at it.
    Evidence {
        /// The blob's digest, `sha256:…`, as records name it.
        digest: String,
        #[command(flatten)]
        /// Where the server is.
        server: Server,
    },
    /// Destroys what is kept of a person, or the kept examples of a trace, by a running server. What was recorded stays
    /// provable.
    Erase {
        /// The name of a principal, or `trace:` and a trace id.
        subject: String,
        #[command(flatten)]
        /// Where the server is.
        server: Server,
    },
    /// Has another key sign the ledger from here on, by a record and a checkpoint that both keys sign. The server must be stopped.
    RotateKey(RotateKey),
    /// The private key that signs the ledger.
    #[command(subcommand)]
    Key(Key),
    /// A proof that an entry is in the ledger (C2SP tlog-proof).
    Proof {
        /// The entry.
        index: u64,
        #[command(flatten)]
        /// Which ledger.
        at: LedgerAt,
    },
}
