//! The controls themselves.

use super::Control;
use crate::kind::Kind::{self, *};

/// Whose control it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Framework {
    /// PCI DSS v4.0.1 (June 2024).
    Pci,
    /// 45 CFR 164, subpart C.
    Hipaa,
    /// Regulation (EU) 2016/679.
    Gdpr,
    /// NIST SP 800-53, revision 5.
    Nist,
    /// AICPA TSP section 100.
    Soc2,
    /// Commission Delegated Regulation (EU) 2024/1774.
    Dora,
}

impl Framework {
    /// All of them, in the order in which tables name them.
    pub const ALL: [Framework; 6] =
        [Framework::Pci, Framework::Hipaa, Framework::Gdpr, Framework::Nist, Framework::Soc2, Framework::Dora];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Framework::Pci => "PCI DSS 4.0.1",
            Framework::Hipaa => "HIPAA",
            Framework::Gdpr => "GDPR",
            Framework::Nist => "NIST SP 800-53 r5",
            Framework::Soc2 => "SOC 2",
            Framework::Dora => "DORA, RTS 2024/1774",
        }
    }

    /// The same as a token, as OSCAL wants a class.
    pub fn token(self) -> &'static str {
        match self {
            Framework::Pci => "pci-dss-4.0.1",
            Framework::Hipaa => "hipaa",
            Framework::Gdpr => "gdpr",
            Framework::Nist => "nist-sp-800-53-r5",
            Framework::Soc2 => "soc-2",
            Framework::Dora => "dora-rts-2024-1774",
        }
    }
}

const ALL: &[Kind] = &Kind::ALL;

/// One row; most have one token, and nothing that is not recorded.
const fn control(
    framework: Framework,
    number: &'static str,
    tokens: &'static [&'static str],
    wants: &'static str,
    records: &'static [Kind],
    by: &'static str,
) -> Control {
    Control { framework, number, tokens, wants, records, by, missing: "" }
}

impl Control {
    const fn but_not(mut self, missing: &'static str) -> Control {
        self.missing = missing;
        self
    }
}

/// All that are mapped.
pub const CONTROLS: &[Control] = &[
    control(
        Framework::Pci,
        "6.5.1",
        &["pci-6.5.1"],
        "changes are made by procedures: reason, description, approval, testing, back-out",
        &[Start, Gate, Approval, Acceptance, Rollback],
        "`metadata.reason`, the steps and the gates of the plan",
    )
    .but_not("security impact, beyond the plan's reason"),
    control(
        Framework::Pci,
        "6.5.2",
        &["pci-6.5.2"],
        "after a significant change all requirements are confirmed in place",
        &[Gate, Observation],
        "`drift`, `security`, and what was measured",
    )
    .but_not("which requirements"),
    control(
        Framework::Pci,
        "6.5.3, 6.5.4",
        &["pci-6.5.3", "pci-6.5.4"],
        "pre-production is separated from production; roles are separated",
        &[Approval, Refusal],
        "the author of a plan cannot approve it, under any name of one principal",
    )
    .but_not("environments outside the plan"),
    control(
        Framework::Pci,
        "6.5.5",
        &["pci-6.5.5"],
        "live PANs are not used in pre-production",
        &[Start],
        "`redaction` of the plan: card numbers are replaced in the copies that green gets",
    )
    .but_not("how many were"),
    control(Framework::Pci, "6.5.6", &["pci-6.5.6"], "test data is removed before production", &[], ""),
    control(
        Framework::Pci,
        "7.2",
        &["pci-7.2"],
        "access is by need to know and least privilege",
        &[Refusal, Principals],
        "a role that is missing; who had which role when",
    )
    .but_not("who granted a role"),
    control(
        Framework::Pci,
        "8.2.1",
        &["pci-8.2.1"],
        "each user has an id of their own",
        &[Approval, Command],
        "the principal's name",
    ),
    control(
        Framework::Pci,
        "10.2.1, 10.2.2",
        &["pci-10.2.1", "pci-10.2.2"],
        "audit logs of access, of actions by administrators, of invalid attempts; user, event, time, outcome, origin, resource",
        &[Approval, Refusal, Command, Principals, Access, Server],
        "`from` of a principal says by which socket or key",
    )
    .but_not("what is read from the files on the server's own disk"),
    control(
        Framework::Pci,
        "10.3",
        &["pci-10.3"],
        "audit logs are protected from destruction and change",
        ALL,
        "the signed log, cosigned by witnesses where there are some; files of mode 0600",
    ),
    control(Framework::Pci, "10.4", &["pci-10.4"], "audit logs are reviewed", ALL, "bundle, report")
        .but_not("that they were"),
    control(
        Framework::Pci,
        "10.5",
        &["pci-10.5"],
        "a year of history, three months of it at hand",
        &[Evidence],
        "entries for ever, or as long as `ledger.keepEntries` says, a year at least; evidence by `evidence.keep`",
    ),
    control(
        Framework::Pci,
        "10.6",
        &["pci-10.6"],
        "consistent time",
        ALL,
        "each record's time is that of the server's clock",
    )
    .but_not("its synchronisation"),
    control(
        Framework::Pci,
        "10.7",
        &["pci-10.7"],
        "failures of critical controls are detected, reported, responded to",
        &[Hold],
        "a silent source, a broken measurement",
    )
    .but_not("the response outside"),
    control(
        Framework::Pci,
        "3.3.1, 3.5.1.1",
        &["pci-3.3.1", "pci-3.5.1.1"],
        "sensitive data is not kept; hashes of PANs are keyed",
        &[Evidence],
        "examples hold names and keys of attributes, never their values",
    ),
    control(
        Framework::Hipaa,
        "164.308(a)(8)",
        &["hipaa-164.308.a.8"],
        "evaluation after environmental or operational changes",
        &[Gate, Observation, Verdict],
        "",
    ),
    control(
        Framework::Hipaa,
        "164.312(b)",
        &["hipaa-164.312.b"],
        "audit controls: mechanisms that record and examine activity",
        ALL,
        "bundle, report",
    ),
    control(
        Framework::Hipaa,
        "164.312(c)(1)",
        &["hipaa-164.312.c.1"],
        "integrity: protection from improper alteration",
        ALL,
        "the signed log, digests of evidence",
    ),
    control(
        Framework::Hipaa,
        "164.312(d)",
        &["hipaa-164.312.d"],
        "who seeks access is the one claimed",
        &[Approval, Command],
        "the principal",
    )
    .but_not("how it is authenticated: that is the server's configuration"),
    control(Framework::Gdpr, "5(2)", &["gdpr-5.2"], "accountability", ALL, ""),
    control(
        Framework::Gdpr,
        "17",
        &["gdpr-17"],
        "erasure",
        &[Evidence, Erasure],
        "of who a principal is, and of the examples of a trace; evidence is deleted by retention, with a record of each deletion",
    ),
    control(
        Framework::Gdpr,
        "25, 32",
        &["gdpr-25", "gdpr-32"],
        "protection by design; security of processing, regularly tested",
        &[Gate, Observation, Verdict],
        "examples without values",
    ),
    control(
        Framework::Gdpr,
        "30",
        &["gdpr-30"],
        "records of processing",
        &[Start],
        "which environments, for what reason",
    ),
    control(
        Framework::Nist,
        "AC-5, AC-6",
        &["ac-5", "ac-6"],
        "separation of duties, least privilege",
        &[Approval, Refusal],
        "",
    ),
    control(
        Framework::Nist,
        "AU-2, AU-3",
        &["au-2", "au-3"],
        "events are logged, with what, when, where, source, outcome, identity",
        ALL,
        "`from` of a principal is the source",
    ),
    control(Framework::Nist, "AU-8", &["au-8"], "time stamps", ALL, "milliseconds of UTC"),
    control(
        Framework::Nist,
        "AU-9, AU-10",
        &["au-9", "au-10"],
        "protection of audit information, non-repudiation",
        ALL,
        "the signed log, cosigned by witnesses where there are some; an approver's own signature",
    ),
    control(
        Framework::Nist,
        "AU-11",
        &["au-11"],
        "retention",
        &[Evidence],
        "entries for ever, or as long as `ledger.keepEntries` says; their hashes stay",
    ),
    control(
        Framework::Nist,
        "AU-12",
        &["au-12"],
        "audit records are generated where the events happen",
        ALL,
        "a decision is durable before it is acted upon (invariant 1)",
    ),
    control(
        Framework::Nist,
        "CM-3, CM-4",
        &["cm-3", "cm-4"],
        "change control, impact analysis",
        &[Start, Gate, Approval, Verdict],
        "",
    ),
    control(
        Framework::Nist,
        "CM-5, CM-6",
        &["cm-5", "cm-6"],
        "access restrictions for change, configuration settings",
        &[Gate, Refusal],
        "`drift`, and who was refused",
    ),
    control(
        Framework::Nist,
        "SI-7",
        &["si-7"],
        "integrity of software, firmware and information",
        &[Start, Server],
        "the signed log; `program` and `version`, and artifacts' digests where the plan has them",
    ),
    control(
        Framework::Nist,
        "SC-8",
        &["sc-8"],
        "confidentiality and integrity in transmission",
        &[],
        "",
    )
    .but_not("TLS: it is configuration (`verdigris.yaml`)"),
    control(
        Framework::Soc2,
        "CC8.1",
        &["soc2-cc8.1"],
        "changes are authorised, designed, tested, approved and implemented",
        &[Start, Gate, Approval, Acceptance, Shift, Verdict, End],
        "",
    ),
    control(
        Framework::Dora,
        "Art. 17",
        &["dora-rts-17"],
        "ICT change management: independence of who approves, testing, fall-back, emergency changes, documentation",
        &[Gate, Approval, Acceptance, Refusal, Rollback, Emergency],
        "bundle; the emergency path with its later review",
    ),
];
