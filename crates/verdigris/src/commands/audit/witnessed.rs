//! `audit … --witness KEY --quorum N`: who of those whom somebody trusts cosigned a bundle's checkpoint, and who else.

use super::super::ledger::witnessed::{Asked, time};
use crate::describe::Failed;
use anyhow::anyhow;
use audit::{CosignedBy, Verified};
use ledger::WitnessKey;
use serde_json::{Value, json};

/// What the witnesses whose keys were named, and others, cosigned of a bundle.
pub(super) struct Witnessed<'asked> {
    asked: &'asked Asked,
    cosigned: &'asked [CosignedBy],
}

impl Witnessed<'_> {
    pub(super) fn of<'asked>(asked: &'asked Asked, verified: &'asked Verified) -> Result<Witnessed<'asked>, Failed> {
        let witnessed = Witnessed { asked, cosigned: &verified.cosigned };
        let named = asked.witnesses.iter().filter(|witness| witnessed.at_s(witness).is_some()).count();
        match asked.quorum {
            Some(quorum) if named < quorum => {
                let words = format!("{named} of the witnesses cosigned the bundle's checkpoint, expected {quorum}");
                Err(Failed::not_verified(anyhow!(words)))
            }
            Some(_) | None => Ok(witnessed),
        }
    }

    /// When a witness cosigned it.
    fn at_s(&self, witness: &WitnessKey) -> Option<u64> {
        self.cosigned.iter().find(|it| it.witness == *witness).map(|it| it.at_s)
    }

    /// Cosignatures of keys that are in the bundle alone: they fit, and nobody here says whose they are.
    fn others(&self) -> impl Iterator<Item = &CosignedBy> {
        self.cosigned.iter().filter(|it| !self.asked.witnesses.contains(&it.witness))
    }

    /// A value for each witness that was named, and each other that cosigned it.
    pub(super) fn json(&self) -> Vec<Value> {
        let named = self.asked.witnesses.iter().map(|witness| (witness, self.at_s(witness), true));
        let others = self.others().map(|it| (&it.witness, Some(it.at_s), false));
        let one = |(witness, at_s, named): (&WitnessKey, Option<u64>, bool)| json!({ "name": witness.name().as_str(), "at": at_s.map(time), "keyPinned": named });
        named.chain(others).map(one).collect()
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let named = self.asked.witnesses.iter().map(|witness| match self.at_s(witness) {
            Some(at_s) => format!("  witness    {} cosigned the checkpoint at {}", witness.name(), time(at_s)),
            None => format!("  witness    {} cosigned nothing of it", witness.name()),
        });
        let others = self.others().map(|it| {
            let (name, at) = (it.witness.name(), time(it.at_s));
            format!(
                "  cosigned   at {at} by a key that says that it is {name}; to know whose it is, name it with --witness"
            )
        });
        let quorum =
            self.asked.quorum.map(|quorum| format!("  quorum     {quorum} witness(es) cosigned the checkpoint"));
        named.chain(others).chain(quorum).collect()
    }
}
