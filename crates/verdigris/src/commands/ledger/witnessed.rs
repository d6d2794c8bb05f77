//! `--witness KEY --quorum N`: the witnesses that somebody trusts; and for `ledger verify`, who of them cosigned how much of a ledger,
//! from the files beside it.

use super::key_text;
use crate::describe::{Failed, timestamp};
use crate::witness::{MAX_WITNESSES, quorum_size};
use anyhow::anyhow;
use ledger::{VerifierKey, WitnessKey};
use model::UnixMillis;
use serde_json::{Value, json};
use store::{CosignedHead, Reader};

/// The witnesses that somebody trusts.
pub(in crate::commands) struct Asked {
    pub(in crate::commands) witnesses: Vec<WitnessKey>,
    pub(in crate::commands) quorum: Option<usize>,
}

/// What they cosigned.
pub(super) struct Witnessed<'asked> {
    asked: &'asked Asked,
    heads: Vec<CosignedHead<'asked>>,
    /// How many entries the quorum cosigned, if one was asked for.
    pub(super) quorum_size: Option<u64>,
}

impl Asked {
    /// From the command line.
    pub(in crate::commands) fn read(arguments: &[String], quorum: Option<u8>) -> Result<Asked, Failed> {
        let mut witnesses: Vec<WitnessKey> = Vec::new();
        for argument in arguments {
            let key = key_text(argument)?.trim().parse::<WitnessKey>();
            let key = key.map_err(|error| Failed::usage(format!("--witness: {error}")))?;
            if witnesses.iter().any(|other| other.id() == key.id()) {
                return Err(Failed::usage(format!("--witness: {} is named twice", key.name())));
            }
            witnesses.push(key);
        }
        if witnesses.len() > MAX_WITNESSES {
            return Err(Failed::usage(format!("--witness: expected {MAX_WITNESSES} witnesses at most")));
        }
        let quorum = quorum.map(usize::from);
        if let Some(quorum) = quorum.filter(|quorum| *quorum > witnesses.len()) {
            let words = format!("--quorum: found {quorum}, expected at most the {} witnesses named", witnesses.len());
            return Err(Failed::usage(words));
        }
        Ok(Asked { witnesses, quorum })
    }

    /// What they cosigned of this ledger. A cosignature that does not belong to it, or too few of them, and it does not hold.
    pub(super) fn look(&self, reader: &Reader, keys: &[VerifierKey]) -> Result<Witnessed<'_>, Failed> {
        let heads = reader.cosigned(keys, &self.witnesses).map_err(|error| Failed::not_verified(anyhow!(error)))?;
        let sizes = heads.iter().map(|it| it.head.size).collect();
        let reached = self.quorum.map(|quorum| (quorum, quorum_size(sizes, quorum)));
        let quorum_size = match reached {
            None => None,
            Some((_, Some(size))) => Some(size),
            Some((quorum, None)) => {
                let words = format!("{} of the witnesses cosigned this ledger, expected {quorum}", heads.len());
                return Err(Failed::not_verified(anyhow!(words)));
            }
        };
        Ok(Witnessed { asked: self, heads, quorum_size })
    }
}

impl Witnessed<'_> {
    fn head_of(&self, witness: &WitnessKey) -> Option<&CosignedHead<'_>> {
        self.heads.iter().find(|it| it.witness == witness)
    }

    /// One value for each witness that was named.
    pub(super) fn json(&self) -> Vec<Value> {
        let one = |witness: &WitnessKey| {
            let head = self.head_of(witness);
            json!({
                "name": witness.name().as_str(),
                "size": head.map(|it| it.head.size),
                "root": head.map(|it| it.head.root.to_string()),
                "at": head.map(|it| time(it.at_s)),
            })
        };
        self.asked.witnesses.iter().map(one).collect()
    }

    /// For people, of a ledger of so many entries.
    pub(super) fn lines(&self, size: u64) -> Vec<String> {
        let one = |witness: &WitnessKey| match self.head_of(witness) {
            Some(it) => {
                let (cosigned, at, name) = (it.head.size, time(it.at_s), witness.name());
                format!("  witness    {name} cosigned the first {cosigned} of {size} entries at {at}")
            }
            None => format!("  witness    {} cosigned nothing", witness.name()),
        };
        let mut lines: Vec<String> = self.asked.witnesses.iter().map(one).collect();
        if let (Some(quorum), Some(cosigned)) = (self.asked.quorum, self.quorum_size) {
            lines.push(format!("  quorum     {quorum} witness(es) cosigned the first {cosigned} of {size} entries"));
        }
        lines
    }
}

/// When a witness cosigned.
pub(in crate::commands) fn time(at_s: u64) -> String {
    timestamp(UnixMillis(at_s.saturating_mul(1_000)))
}
