use super::*;
use crate::{Fact, Setting, TlsVersion, Validity};
use std::collections::BTreeSet;
use std::slice;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

/// A strict environment of one surface, changed as a test needs it.
fn facts(changed: &[(Setting, Fact)]) -> Facts {
    let mut facts = Facts::default();
    for setting in Setting::ALL {
        let value = match setting {
            Setting::TlsMinVersion => crate::Value::Version(TlsVersion::Tls12),
            Setting::TlsMaxVersion => crate::Value::Version(TlsVersion::Tls13),
            Setting::TlsCiphers | Setting::PortsDebug => crate::Value::Accepts(BTreeSet::new()),
            Setting::CertificateValidity => crate::Value::Validity(Validity::Valid),
            Setting::CertificateSignature | Setting::TlsKeyBits => crate::Value::Strength(128),
            Setting::TlsOffered
            | Setting::TlsRequired
            | Setting::ClientCertificateRequired
            | Setting::AuthRequired
            | Setting::CertificateTrusted
            | Setting::CertificateNames
            | Setting::RedactionKeyedHash
            | Setting::BannerVersion => crate::Value::Holds(true),
        };
        let fact = changed.iter().find(|(one, _)| *one == setting).map(|(_, fact)| fact.clone());
        facts.add("OTLP/gRPC", setting, fact.unwrap_or_else(|| Fact::known(value, "a test says it")));
    }
    facts
}

fn holds(holds: bool) -> Fact {
    Fact::known(crate::Value::Holds(holds), "a test says it")
}

fn accepts(names: &[&str]) -> Fact {
    Fact::known(crate::Value::Accepts(names.iter().map(|name| (*name).to_owned()).collect()), "a test says it")
}

fn ask(blue: &Facts, green: &Facts, exceptions: &[Exception]) -> Assessment {
    let reports = PerEnvironment { blue: &[][..], green: &[][..] };
    let facts = PerEnvironment { blue, green };
    let (policies, context) = (&[][..], &Map::new());
    assess(&Question { facts, reports, at_least: Severity::High, exceptions, policies, context, now: NOW })
}

/// `expect` is the verdict and the beginning of the first reason, where one setting of green is `fact` and blue is strict.
fn check(setting: Setting, fact: Fact, expect: (GateVerdict, &str)) {
    let assessment = ask(&facts(&[]), &facts(&[(setting, fact)]), &[]);
    assert_eq!(assessment.verdict, expect.0, "{:?}", assessment.reasons);
    assert!(assessment.reasons[0].starts_with(expect.1), "{:?}", assessment.reasons);
}

#[test]
fn only_what_is_weaker_fails() {
    check(
        Setting::ClientCertificateRequired,
        holds(false),
        (
            GateVerdict::Fail,
            "green's OTLP/gRPC endpoint takes requests without a client certificate; blue's refuses them",
        ),
    );
    check(
        Setting::TlsMinVersion,
        Fact::known(crate::Value::Version(TlsVersion::Tls10), "accepted"),
        (GateVerdict::Fail, "green's OTLP/gRPC endpoint accepts TLS 1.0 and nothing older; blue's accepts TLS 1.2"),
    );
    check(
        Setting::PortsDebug,
        accepts(&["1777 (pprof)"]),
        (GateVerdict::Fail, "green's OTLP/gRPC endpoint has debugging ports open: 1777 (pprof); blue's has"),
    );
    check(Setting::AuthRequired, holds(true), (GateVerdict::Pass, "green is nowhere less safe than blue"));
    let assessment = ask(&facts(&[(Setting::AuthRequired, holds(false))]), &facts(&[]), &[]);
    assert_eq!(assessment.verdict, GateVerdict::Pass);
    assert_eq!(assessment.reasons[1], "blue's OTLP/gRPC endpoint takes requests without a token; green's refuses them");
}

/// Invariant 4.
#[test]
fn what_is_not_known_is_inconclusive_and_what_failed_is_an_error() {
    let unknown = Fact::Unknown { why: "it answered HTTP status 500".to_owned() };
    check(Setting::AuthRequired, unknown.clone(), (GateVerdict::Inconclusive, "auth.required of green's OTLP/gRPC"));
    let failed = Fact::Failed { why: "it did not answer".to_owned() };
    check(
        Setting::AuthRequired,
        failed.clone(),
        (GateVerdict::Error, "auth.required of green's OTLP/gRPC endpoint could"),
    );
    for fact in [unknown, failed] {
        let assessment = ask(&facts(&[(Setting::AuthRequired, fact)]), &facts(&[]), &[]);
        assert_ne!(assessment.verdict, GateVerdict::Pass);
    }
    let both = facts(&[(Setting::AuthRequired, Fact::Failed { why: "it did not answer".to_owned() })]);
    let weaker = facts(&[(Setting::AuthRequired, Fact::Absent), (Setting::TlsRequired, holds(false))]);
    assert_eq!(ask(&both, &weaker, &[]).verdict, GateVerdict::Fail, "a failure is certain whatever else failed");
    assert_eq!(ask(&Facts::default(), &Facts::default(), &[]).verdict, GateVerdict::Inconclusive);
}

#[test]
fn what_cannot_be_ordered_is_for_a_person() {
    let assessment = ask(
        &facts(&[(Setting::TlsCiphers, accepts(&["RC4"]))]),
        &facts(&[(Setting::TlsCiphers, accepts(&["3DES"]))]),
        &[],
    );
    assert_eq!(assessment.verdict, GateVerdict::Inconclusive);
    assert!(assessment.reasons[0].contains("accepts weak ciphers: 3DES; blue's accepts weak ciphers: RC4: which"));
}

#[test]
fn a_setting_can_be_tolerated_for_a_while() {
    let green = facts(&[(Setting::AuthRequired, holds(false))]);
    let exception = |expires| Exception {
        id: "auth.required".to_owned(),
        component: Some("OTLP/gRPC".to_owned()),
        reason: "the mesh asks for it".to_owned(),
        expires: UnixMillis(expires),
    };
    let tolerated = ask(&facts(&[]), &green, &[exception(NOW.0 + 1)]);
    assert_eq!(tolerated.verdict, GateVerdict::Pass);
    assert!(tolerated.reasons[1].ends_with("; tolerated: the mesh asks for it"), "{:?}", tolerated.reasons);
    let expired = ask(&facts(&[]), &green, &[exception(NOW.0)]);
    assert_eq!(expired.verdict, GateVerdict::Fail);
    assert!(expired.reasons[0].ends_with("the exception for it has expired (the mesh asks for it)"));
}

#[test]
fn an_environment_is_as_safe_as_its_least_safe_endpoint() {
    let mut green = facts(&[]);
    green.add("OTLP/gRPC", Setting::TlsRequired, holds(false));
    green.add("OTLP/gRPC", Setting::TlsRequired, Fact::Failed { why: "it did not answer".to_owned() });
    assert_eq!(ask(&facts(&[]), &green, &[]).verdict, GateVerdict::Fail);
}

fn report(format: Format, ids: &[&str], packages: &[(&str, &str)]) -> Report {
    let vulnerability = |id: &&str| Vulnerability {
        id: (*id).to_owned(),
        aliases: BTreeSet::new(),
        severity: Severity::Critical,
        component: "zlib".to_owned(),
        version: "1".to_owned(),
        source: "grype".to_owned(),
    };
    let package = |(name, licence): &(&str, &str)| Package {
        name: (*name).to_owned(),
        version: String::new(),
        licences: BTreeSet::from([(*licence).to_owned()]),
    };
    let packages = packages.iter().map(package).collect();
    Report { format, vulnerabilities: ids.iter().map(vulnerability).collect(), packages }
}

/// `expect` is the verdict and the first reason, for environments that differ in their reports alone.
fn scanned(blue: &[Report], green: &[Report], policies: &[Policy], expect: (GateVerdict, &str)) {
    let facts = facts(&[]);
    let assessment = assess(&Question {
        facts: PerEnvironment { blue: &facts, green: &facts },
        reports: PerEnvironment { blue, green },
        at_least: Severity::High,
        exceptions: &[],
        policies,
        context: &Map::new(),
        now: NOW,
    });
    assert_eq!((assessment.verdict, assessment.reasons[0].as_str()), expect);
}

#[test]
fn what_scanners_find_in_green_alone_fails() {
    let (old, new) = (report(Format::Grype, &["CVE-1"], &[]), report(Format::Grype, &["CVE-1", "CVE-2"], &[]));
    let fail = (GateVerdict::Fail, "green has CVE-2 (critical) in zlib 1, by grype; blue has not");
    scanned(slice::from_ref(&old), slice::from_ref(&new), &[], fail);
    scanned(
        slice::from_ref(&new),
        slice::from_ref(&old),
        &[],
        (GateVerdict::Pass, "green is nowhere less safe than blue, in what was asked"),
    );
    let words = "there is no report of blue by Grype, so nothing of it can be called new";
    scanned(&[], slice::from_ref(&new), &[], (GateVerdict::Inconclusive, words));
    scanned(&[report(Format::Spdx, &[], &[])], slice::from_ref(&new), &[], (GateVerdict::Inconclusive, words));
}

#[test]
fn policies_deny_and_one_that_comes_to_no_answer_is_an_error() {
    let policy = |rule: &str| Policy { name: "own".to_owned(), text: format!("package verdigris.security\n{rule}") };
    let licences = policy("deny contains m if { some l in input.packages.licences; m := sprintf(\"%s is new\", [l]) }");
    let old = [report(Format::Spdx, &[], &[("a", "MIT")])];
    let new = [report(Format::Spdx, &[], &[("a", "MIT"), ("b", "GPL-3.0-only")])];
    scanned(&old, &new, slice::from_ref(&licences), (GateVerdict::Fail, "policy own: GPL-3.0-only is new"));
    scanned(
        &new,
        &old,
        slice::from_ref(&licences),
        (GateVerdict::Pass, "green is nowhere less safe than blue, in what was asked"),
    );
    let broken = policy("deny contains m if { to_number(\"x\"); m := \"x\" }");
    let assessment = |policy: &Policy| {
        let facts = facts(&[]);
        let reports = PerEnvironment { blue: &[][..], green: &[][..] };
        let facts = PerEnvironment { blue: &facts, green: &facts };
        let (policies, context) = (slice::from_ref(policy), &Map::new());
        assess(&Question { facts, reports, at_least: Severity::High, exceptions: &[], policies, context, now: NOW })
    };
    assert_eq!(assessment(&broken).verdict, GateVerdict::Error);
}
