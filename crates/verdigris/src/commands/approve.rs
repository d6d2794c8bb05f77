//! `verdigris approve`: shows what is being signed, signs it, and hands it in; or any of these alone, where the key is on a
//! machine that reaches no server.

use super::plan::read_plan;
use super::rollout::{path, show};
use crate::api::ApiClient;
use crate::cli::{Approve, Format};
use crate::clock;
use crate::describe::{Exit, Failed, printable, read_text, say, say_as_is, timestamp};
use anyhow::{Context, anyhow};
use control::Offer;
use model::{Environment, ShortDuration};
use rollout::Report;
use rollout::approval::{
    Act, ApproverKey, MAX_SIGNATURE_BYTES, MAX_STATEMENT_BYTES, NAMESPACE, SignedStatement, Statement,
};
use std::fs::OpenOptions;
use std::io::{BufRead, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A private key of Ed25519 has 400 bytes; one of any other kind some thousands, and is refused by its name.
const MAX_KEY_BYTES: u64 = 32 * 1024;

/// Runs it.
pub async fn run(command: &Approve, format: Format) -> Result<Exit, Failed> {
    let api = ApiClient::new(&command.named.server.socket);
    match (&command.sign, &command.statement) {
        (Some(file), _) => sign_offline(command, file, format),
        (None, Some(file)) => hand_in(&api, signed(file, command.signature.as_deref())?, format).await,
        (None, None) => {
            let act = act(command);
            let offer: Offer = api.post(&format!("{}/statement", path(&command.named.rollout)), &act).await?;
            check(&offer, &act)?;
            offered(command, &api, &offer, format).await
        }
    }
}

fn act(command: &Approve) -> Act {
    match (&command.break_glass, command.review) {
        (Some(reason), _) => Act::BreakGlass { reason: reason.clone() },
        (None, true) => Act::Review,
        (None, false) => Act::Approve,
    }
}

/// Nobody signs what the server says without looking: what can be checked here is.
fn check(offer: &Offer, asked: &Act) -> Result<(), Failed> {
    let (found, named) = (offer.plan.digest(), &offer.statement.plan);
    if found != *named {
        return Err(anyhow!("the server shows the plan {found} and has {named} signed: nothing was signed").into());
    }
    if offer.statement.act != *asked || offer.statement.rollout != offer.report.rollout {
        return Err(anyhow!("the server has something else signed than what was asked for: nothing was signed").into());
    }
    Ok(())
}

async fn offered(command: &Approve, api: &ApiClient, offer: &Offer, format: Format) -> Result<Exit, Failed> {
    let statement = &offer.statement;
    if command.out.is_none() && command.key.is_none() {
        match format {
            Format::Json => say(format_args!("{}", serde_json::to_string(offer)?)),
            Format::Text => {
                say_as_is(shown(offer));
                say(format_args!("nothing was signed: `verdigris approve --key FILE` signs, --out FILE writes it"));
            }
        }
        return Ok(Exit::Done);
    }
    eprint!("{}", shown(offer));
    if let Some(out) = &command.out {
        write_new(out, &statement.to_text())?;
        let file = out.display();
        say(format_args!("{file} is to be signed: ssh-keygen -Y sign -f KEY -n {NAMESPACE} {file}"));
        return Ok(Exit::Done);
    }
    let key = read_key(command.key.as_deref().ok_or_else(|| anyhow!("without a key nothing is signed"))?)?;
    confirm(command, &statement.act)?;
    hand_in(api, key.sign(statement), format).await
}

fn sign_offline(command: &Approve, file: &Path, format: Format) -> Result<Exit, Failed> {
    let text = read_text(file, MAX_STATEMENT_BYTES as u64)?;
    let statement =
        Statement::from_text(&text).map_err(|error| Failed::usage(format!("{}: {error}", file.display())))?;
    if statement.expires_at <= clock::now() {
        let expired = timestamp(statement.expires_at);
        let what = format!("{}: it expired at {expired}: write a new one with --out", file.display());
        return Err(anyhow!(what).into());
    }
    eprint!("{}", statement_text(&statement));
    if let Some(path) = &command.plan {
        let (_, plan) = read_plan(path)?;
        if plan.digest() != statement.plan {
            let (path, found) = (path.display(), plan.digest());
            return Err(Failed::usage(format!(
                "{path}: its digest is {found}, and what is signed is {}",
                statement.plan
            )));
        }
        eprint!("  {} has this digest:\n{}", printable(&path.display().to_string()), rollout::plan::preview(&plan));
    }
    let key = read_key(command.key.as_deref().ok_or_else(|| anyhow!("--sign needs --key"))?)?;
    confirm(command, &statement.act)?;
    let out = signature_of(file);
    write_new(&out, &key.sign(&statement).signature)?;
    let (out, file) = (out.display().to_string(), file.display().to_string());
    match format {
        Format::Json => say(format_args!("{}", serde_json::json!({ "statement": file, "signature": out }))),
        Format::Text => {
            say(format_args!("{out} holds the signature: `verdigris approve --statement {file}` hands it in"))
        }
    }
    Ok(Exit::Done)
}

async fn hand_in(api: &ApiClient, signed: SignedStatement, format: Format) -> Result<Exit, Failed> {
    let (statement, key) = signed.open().map_err(|error| Failed::usage(error.to_string()))?;
    let report: Report = api.post("/v1/approvals", &signed).await?;
    if format == Format::Text {
        let (act, rollout) = (statement.act.words(), printable(&statement.rollout.0));
        say(format_args!("{act} of {rollout} is in the ledger, signed by {}", key.fingerprint()));
    }
    show(&report, format)
}

fn signed(file: &Path, signature: Option<&Path>) -> Result<SignedStatement, Failed> {
    let signature = signature.map_or_else(|| signature_of(file), Path::to_owned);
    Ok(SignedStatement {
        statement: read_text(file, MAX_STATEMENT_BYTES as u64)?,
        signature: read_text(&signature, MAX_SIGNATURE_BYTES as u64)?,
    })
}

/// As `ssh-keygen -Y sign` names it.
fn signature_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

fn read_key(file: &Path) -> Result<ApproverKey, Failed> {
    let text = Zeroizing::new(read_text(file, MAX_KEY_BYTES)?);
    ApproverKey::from_openssh(&text).map_err(|error| Failed::usage(format!("{}: {error}", file.display())))
}

/// A file that is there is never written over: it may be what somebody signed.
fn write_new(file: &Path, text: &str) -> Result<(), Failed> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    Ok(write().with_context(|| format!("{}: cannot be written", file.display()))?)
}

/// At a terminal a person says yes; a script must have said so before.
fn confirm(command: &Approve, act: &Act) -> Result<(), Failed> {
    if command.yes {
        return Ok(());
    }
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Failed::usage("nobody is asked where there is no terminal: --yes signs without asking"));
    }
    eprint!("sign {}? [y/N] ", act.words());
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(anyhow!("nothing was signed").into()),
    }
}

/// Everything that a signature binds to, in the words of a person.
fn statement_text(statement: &Statement) -> String {
    let Statement { act, log, rollout, plan, configurations, evidence, checkpoint, .. } = statement;
    let Statement { expires_at, point_of_no_return, kind: _, .. } = statement;
    let mut lines = vec![format!("{} of {}", act.words(), printable(&rollout.0))];
    if let Act::BreakGlass { reason } = act {
        lines.push(format!("  REASON         {}", printable(reason)));
    }
    if let Some(reason) = point_of_no_return {
        lines.push(format!("  NO RETURN      from here on a rollback is not safe: {}", printable(reason)));
    }
    lines.push(format!("  plan           {plan}"));
    for environment in Environment::BOTH {
        let digest = configurations[environment].as_deref().unwrap_or("none is named by the plan");
        lines.push(format!("  {:<14} {digest}", format!("{environment} config")));
    }
    lines.push(format!("  evidence       {evidence}"));
    lines.push(format!("  ledger         {}, {} entries, root {}", printable(log), checkpoint.size, checkpoint.root));
    let left = ShortDuration(expires_at.since_ms(clock::now()));
    lines.push(format!("  holds until    {} ({left} from now)", timestamp(*expires_at)));
    lines.join("\n") + "\n"
}

fn shown(offer: &Offer) -> String {
    let Offer { statement, plan, base_dir, report } = offer;
    let mut lines = vec![format!("  why            {}", printable(&plan.reason))];
    lines.extend(plan.change.iter().map(|change| format!("  change         {}", printable(change))));
    lines.extend(plan.impact.iter().map(|impact| format!("  impact         {}", printable(impact))));
    for environment in Environment::BOTH {
        let of = &plan.environments[environment];
        let artifact = of.artifact.as_ref().map_or(String::new(), |digest| format!(", artifact {digest}"));
        lines.push(format!("  {:<14} {}{artifact}", format!("{environment} version"), printable(&of.version)));
    }
    lines.push(format!("  started by     {}, from {}", printable(&report.started_by), printable(base_dir)));
    lines.push(format!("  stands at      {}", printable(&report.headline)));
    lines.extend(report.exceptions.iter().map(|exception| format!("  !              {}", printable(exception))));
    format!("{}{}\n{}", statement_text(statement), lines.join("\n"), rollout::plan::preview(plan))
}
