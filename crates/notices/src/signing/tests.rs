use super::*;

/// The example of the specification's own libraries (standard-webhooks, `libraries/*/webhook` tests).
#[test]
fn signs_as_the_standard_does() {
    let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn what_is_no_secret_is_refused_without_being_repeated() {
    let check = |text: &str, expected: SecretError| {
        let error = SigningSecret::parse(text).unwrap_err();
        assert_eq!(error, expected);
        assert!(!error.to_string().contains("hunter2"));
    };
    check("hunter2", SecretError::Form);
    check("whsec_hunter2!", SecretError::Form);
    check("whsec_aHVudGVyMg==", SecretError::Length { bytes: 7 });
    let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    assert_eq!(format!("{secret:?}"), "SigningSecret(…)");
}
