use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

/// `expect` are the vulnerabilities in words, with what else they are called.
fn check(report: &Value, expect: &[&str]) -> Report {
    let report = import(report.to_string().as_bytes()).unwrap();
    let words = |one: &Vulnerability| {
        one.aliases.iter().fold(one.to_string(), |words, alias| format!("{words}, alias {alias}"))
    };
    assert_eq!(report.vulnerabilities.iter().map(words).collect::<Vec<_>>(), expect);
    report
}

fn refused(report: &Value, expect: &str) {
    assert_eq!(import(report.to_string().as_bytes()).unwrap_err().to_string(), expect);
}

fn packages(report: &Report) -> Vec<String> {
    let words = |one: &Package| format!("{} {} {:?}", one.name, one.version, one.licences);
    report.packages.iter().map(words).collect()
}

fn grype() -> Value {
    json!({
        "matches": [
            {
                "vulnerability": { "id": "GHSA-jfh8", "severity": "Critical", "fix": { "versions": ["2.15.0"] } },
                "relatedVulnerabilities": [{ "id": "CVE-2021-44228" }, { "id": "GHSA-jfh8" }],
                "artifact": { "name": "log4j-core", "version": "2.14.1", "type": "java-archive" }
            },
            { "vulnerability": { "id": "CVE-1" }, "relatedVulnerabilities": null, "artifact": { "name": "zlib" } }
        ],
        "ignoredMatches": [{ "vulnerability": { "id": "CVE-2" }, "artifact": { "name": "a" } }],
        "descriptor": { "name": "grype", "version": "0.90.0" }
    })
}

#[test]
fn grype_names_matches() {
    let expect = [
        "GHSA-jfh8 (critical) in log4j-core 2.14.1, by grype, alias CVE-2021-44228",
        "CVE-1 (unrated) in zlib, by grype",
    ];
    check(&grype(), &expect);
    let mut broken = grype();
    broken["matches"][1]["vulnerability"]["id"] = json!(7);
    let error = import(broken.to_string().as_bytes()).unwrap_err().to_string();
    let expect =
        "matches[1].vulnerability.id of the Grype report: invalid type: integer `7`, expected a string at line 1";
    assert!(error.starts_with(expect), "{error}");
}

#[test]
fn trivy_names_results() {
    let trivy = json!({
        "SchemaVersion": 2,
        "Results": [
            {
                "Target": "alpine",
                "Vulnerabilities": [
                    { "VulnerabilityID": "CVE-1", "PkgName": "musl", "InstalledVersion": "1.2", "Severity": "HIGH", "VendorIDs": ["ALP-1"] },
                    { "VulnerabilityID": "CVE-2", "PkgName": "musl", "Severity": "UNKNOWN" }
                ],
                "Packages": [{ "Name": "musl", "Version": "1.2", "Licenses": ["MIT"] }]
            },
            { "Target": "secrets" }
        ]
    });
    let report =
        check(&trivy, &["CVE-1 (high) in musl 1.2, by trivy, alias ALP-1", "CVE-2 (unrated) in musl, by trivy"]);
    assert_eq!(packages(&report), [r#"musl 1.2 {"MIT"}"#]);
    refused(&json!({ "SchemaVersion": 1 }), "SchemaVersion of the Trivy report is 1, expected 2");
}

#[test]
fn cyclonedx_names_components_by_reference() {
    let mut bom = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "metadata": { "component": { "bom-ref": "app", "name": "collector", "version": "0.109" } },
        "components": [{
            "bom-ref": "pkg:a", "name": "a", "version": "1", "licenses": [{ "license": { "id": "MIT" } }],
            "components": [{ "bom-ref": "pkg:b", "name": "b", "licenses": [{ "expression": "MIT OR Apache-2.0" }] }]
        }],
        "vulnerabilities": [
            {
                "id": "CVE-1", "source": { "name": "NVD" },
                "ratings": [{ "score": 5.0 }, { "severity": "high" }, { "severity": "unknown", "score": 6.5 }],
                "affects": [{ "ref": "pkg:b" }, { "ref": "pkg:a" }, { "ref": "pkg:gone" }]
            },
            { "id": "CVE-2", "analysis": { "state": "not_affected" } },
            { "id": "CVE-3", "analysis": { "state": "exploitable" }, "references": [{ "id": "GHSA-3" }] }
        ]
    });
    let report = check(
        &bom,
        &[
            "CVE-1 (high) in a 1, by NVD",
            "CVE-1 (high) in b, by NVD",
            "CVE-1 (high) in pkg:gone, by NVD",
            "CVE-3 (unrated), by cyclonedx, alias GHSA-3",
        ],
    );
    assert_eq!(packages(&report), [r#"a 1 {"MIT"}"#, r#"b  {"MIT OR Apache-2.0"}"#, "collector 0.109 {}"]);
    bom["specVersion"] = json!("2.0");
    refused(&bom, "specVersion of the CycloneDX report is 2.0, expected 1.4, 1.5 or 1.6");
}

#[test]
fn spdx_names_packages() {
    let spdx = json!({
        "spdxVersion": "SPDX-2.3",
        "packages": [
            { "name": "a", "versionInfo": "1", "licenseConcluded": "NOASSERTION", "licenseDeclared": "GPL-3.0-only" },
            { "name": "b" }
        ]
    });
    let report = check(&spdx, &[]);
    assert_eq!(packages(&report), [r#"a 1 {"GPL-3.0-only"}"#, "b  {}"]);
    refused(
        &json!({ "spdxVersion": "SPDX-3.0" }),
        "spdxVersion of the SPDX report is SPDX-3.0, expected SPDX-2.3 (or 2.2)",
    );
}

fn sarif(results: &Value) -> Value {
    json!({
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "semgrep", "rules": [
                { "id": "scored", "properties": { "security-severity": "9.8", "tags": ["security"] } },
                { "id": "levelled", "defaultConfiguration": { "level": "error" } }
            ] } },
            "results": results
        }]
    })
}

#[test]
fn sarif_names_results() {
    let place = json!([{ "physicalLocation": { "artifactLocation": { "uri": "collector.yaml" } } }]);
    let results = json!([
        { "ruleId": "scored", "level": "note", "locations": place },
        { "ruleIndex": 1 },
        { "rule": { "id": "elsewhere" } },
        { "ruleId": "levelled", "level": "note" },
        { "ruleId": "scored", "suppressions": [{ "kind": "external", "status": "accepted" }] },
        { "ruleId": "scored", "suppressions": [{ "kind": "external", "status": "rejected" }] },
        { "ruleId": "scored", "kind": "pass" },
        { "ruleId": "scored", "baselineState": "absent" }
    ]);
    check(
        &sarif(&results),
        &[
            "scored (critical) in collector.yaml, by semgrep",
            "levelled (high), by semgrep",
            "elsewhere (medium), by semgrep",
            "levelled (low), by semgrep",
            "scored (critical), by semgrep",
        ],
    );
    refused(&sarif(&json!([{ "level": "error" }])), "runs[0].results[0].ruleId of the SARIF report: names no rule");
    refused(&sarif(&Value::Null), "runs[0].results of the SARIF report: is missing: the scanner did not finish");
}

#[test]
fn what_is_no_report_is_refused() {
    assert!(matches!(import(b"not JSON"), Err(ImportError::Json { .. })));
    assert_eq!(import(b"{}"), Err(ImportError::Unknown));
    let long = vec![b' '; MAX_REPORT_BYTES + 1];
    assert_eq!(import(&long), Err(ImportError::TooLong { bytes: long.len() }));
    let many = json!({ "matches": vec![grype()["matches"][0].clone(); MAX_ITEMS + 1] });
    let error = import(many.to_string().as_bytes()).unwrap_err().to_string();
    assert!(error.contains("more than 50000 elements"), "{error}");
}

proptest! {
    #[test]
    fn a_broken_report_is_read_or_refused_in_words(at in 0_usize..600, byte: u8) {
        let mut bytes = grype().to_string().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Err(error) = import(&bytes) {
            let words = error.to_string();
            prop_assert!(!words.contains(char::is_control) && words.len() < 2_400, "{words}");
        }
    }
}
