//! `ledger` in `verdigris.yaml`: who witnesses it, and how long its entries are kept. The keys that sign it are in
//! [`super::keys`].

use super::endpoint::RawClientTls;
use super::keys::RawKey;
use crate::witness::{MAX_WITNESSES, Witness, WitnessClient, Witnesses};
use ledger::WitnessKey;
use rollout::plan::parse_duration_within;
use serde::Deserialize;
use std::path::Path;

/// `ledger`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawLedger {
    #[serde(default)]
    witnesses: Vec<RawWitness>,
    #[serde(default)]
    quorum: Option<usize>,
    #[serde(default)]
    keep_entries: Option<String>,
    #[serde(default)]
    pub(super) key: Option<RawKey>,
    #[serde(default)]
    pub(super) next_key: Option<RawKey>,
}

/// One of `ledger.witnesses`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawWitness {
    url: String,
    key: String,
    #[serde(default)]
    tls: Option<RawClientTls>,
}

/// How long entries of parts of the ledger that ended may be kept: a year, as PCI DSS 4.0.1 (10.5.1) has it, to a hundred.
const KEEP_ENTRIES_MS: (u64, u64) = (365 * 24 * 3_600_000, 36_500 * 24 * 3_600_000);

impl RawLedger {
    /// In milliseconds; none if they are kept for ever.
    pub(super) fn keep_entries_ms(&self) -> Result<Option<u64>, String> {
        let parse = |text: &String| {
            let expected = |expected| format!("ledger.keepEntries: found {text:?}, expected {expected}");
            parse_duration_within(text, KEEP_ENTRIES_MS).map_err(expected)
        };
        self.keep_entries.as_ref().map(parse).transpose()
    }

    /// Relative paths start from the folder.
    pub(super) fn witnesses(self, folder: &Path) -> Result<Witnesses, String> {
        let RawLedger { witnesses, quorum, .. } = self;
        if witnesses.len() > MAX_WITNESSES {
            let found = witnesses.len();
            return Err(format!("ledger.witnesses: found {found}, expected {MAX_WITNESSES} at most"));
        }
        let mut asked: Vec<Witness> = Vec::new();
        for (index, raw) in witnesses.into_iter().enumerate() {
            let witness = raw.read(folder).map_err(|error| format!("ledger.witnesses[{index}].{error}"))?;
            if let Some(other) = asked.iter().position(|other| other.key.id() == witness.key.id()) {
                return Err(format!("ledger.witnesses[{index}].key: it is that of witnesses[{other}] too"));
            }
            asked.push(witness);
        }
        if let Some(quorum) = quorum.filter(|quorum| !(1..=asked.len()).contains(quorum)) {
            let most = asked.len();
            return Err(format!("ledger.quorum: found {quorum}, expected 1 to the number of ledger.witnesses, {most}"));
        }
        Ok(Witnesses { asked, quorum })
    }
}

impl RawWitness {
    fn read(self, folder: &Path) -> Result<Witness, String> {
        let key: WitnessKey = self.key.parse().map_err(|error| format!("key: {error}"))?;
        let mut tls = model::ClientTls::default();
        if let Some(raw) = self.tls {
            if !self.url.starts_with("https://") {
                return Err("tls: found tls for a witness without https://, expected none".to_owned());
            }
            tls = raw.files(folder).map_err(|error| format!("tls: {error}"))?;
        }
        WitnessClient::new(&self.url, &tls).map_err(|error| format!("url: {error}"))?;
        Ok(Witness { url: self.url, key, tls })
    }
}
