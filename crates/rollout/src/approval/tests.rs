use super::*;

pub(super) fn statement() -> Statement {
    Statement {
        kind: StatementType::V1,
        act: Act::Approve,
        log: "example.com/ledger".into(),
        rollout: RolloutId("collector.1".into()),
        plan: "sha256:aa".into(),
        configurations: PerEnvironment { blue: None, green: Some("sha256:bb".into()) },
        evidence: crate::EvidenceRoot::default().to_string(),
        checkpoint: LogHead { size: 7, root: "cm9vdA==".into() },
        expires_at: UnixMillis(1_700_000_000_000),
        point_of_no_return: None,
    }
}

/// Golden: what is signed, and by this key always the same signature (RFC 8032). `ssh-keygen -Y verify` takes it, which the
/// integration tests check.
#[test]
fn the_bytes_that_are_signed_and_the_signature_are_these() {
    let key = ApproverKey::from_seed(&[7; 32]);
    let signed = key.sign(&statement());
    insta::assert_snapshot!(format!("{}\n{}\n{}", key.public(), signed.statement, signed.signature));
    let (opened, by) = signed.open().unwrap();
    assert_eq!((opened, by), (statement(), key.public()));
}

#[test]
fn a_private_key_is_read_from_what_it_writes() {
    let key = ApproverKey::from_seed(&[9; 32]);
    let again = ApproverKey::from_openssh(&key.to_openssh()).unwrap();
    assert_eq!(again.public(), key.public());
    assert_eq!(format!("{key:?}"), format!("ApproverKey({})", key.public().fingerprint()));
    assert!(matches!(ApproverKey::from_openssh("no key"), Err(ApproverKeyError::Shape(_))));
}

#[test]
fn a_public_key_is_one_text_whatever_its_comment() {
    let line = ApproverKey::from_seed(&[9; 32]).public().to_string();
    let commented = PublicKey::from_line(&format!("{line} ada@example.com\n")).unwrap();
    assert_eq!(commented.to_string(), line);
    let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC8";
    for bad in ["", "ssh-ed25519", "ssh-ed25519 AAAA", rsa, &"x".repeat(3_000)] {
        assert!(PublicKey::from_line(bad).is_err(), "{bad}");
    }
}

fn changed(change: impl FnOnce(&mut SignedStatement)) -> String {
    let mut signed = ApproverKey::from_seed(&[7; 32]).sign(&statement());
    change(&mut signed);
    signed.open().unwrap_err().to_string()
}

#[test]
fn any_change_of_a_byte_is_found() {
    let signed = ApproverKey::from_seed(&[7; 32]).sign(&statement());
    for (at, byte) in signed.statement.bytes().enumerate() {
        let mut bytes = signed.statement.clone().into_bytes();
        bytes[at] = byte ^ 1;
        let Ok(statement) = String::from_utf8(bytes) else { continue };
        let altered = SignedStatement { statement, ..signed.clone() };
        assert!(altered.open().is_err(), "byte {at} of the statement");
    }
    let armored = signed.signature.find('\n').unwrap() + 1..signed.signature.rfind("\n-----END").unwrap();
    for at in armored {
        let mut bytes = signed.signature.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let altered = SignedStatement { signature: String::from_utf8(bytes).unwrap(), ..signed.clone() };
        assert!(altered.open().is_err(), "byte {at} of the signature");
    }
}

#[test]
fn what_is_no_signed_statement_is_refused_with_the_reason() {
    let longer = changed(|signed| signed.statement.push('\n'));
    assert!(longer.contains("canonical"), "{longer}");
    let spaced = changed(|signed| signed.statement = signed.statement.replace(",", ", "));
    assert!(spaced.contains("canonical"), "{spaced}");
    let unknown = changed(|signed| signed.statement = signed.statement.replace("\"act\"", "\"Act\""));
    assert!(unknown.contains("no statement"), "{unknown}");
    let none = changed(|signed| signed.signature = "none".into());
    assert!(none.contains("ssh-keygen -Y sign"), "{none}");
    assert!(changed(|signed| signed.signature = "x".repeat(5_000)).contains("5000 bytes"));
    assert!(changed(|signed| signed.statement = "x".repeat(9_000)).contains("9000 bytes"));
}

#[test]
fn a_signature_that_was_made_for_something_else_does_not_hold() {
    let key = ssh_key::PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[7; 32]));
    let text = statement().to_text();
    let signature = key.sign("file", ssh_key::HashAlg::Sha512, text.as_bytes()).unwrap();
    let signature = signature.to_pem(LineEnding::LF).unwrap();
    let error = SignedStatement { statement: text, signature }.open().unwrap_err().to_string();
    assert!(error.contains("\"file\"") && error.contains(NAMESPACE), "{error}");
}

#[test]
fn a_broken_glass_needs_a_reason() {
    for reason in [String::new(), "  ".into(), "x".repeat(501)] {
        let signed =
            ApproverKey::from_seed(&[7; 32]).sign(&Statement { act: Act::BreakGlass { reason }, ..statement() });
        assert!(matches!(signed.open(), Err(SignatureError::Statement(StatementError::Reason { .. }))));
    }
}
