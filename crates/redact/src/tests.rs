//! What is found, what is left, and what takes its place: one line each. `corpus.rs` counts over thousands.

use super::*;

const KEY: Key = Key([7; 32]);

/// All classes masked, the addresses too.
pub(crate) fn everything() -> Policy {
    Policy::default().with(Class::Ipv4, Action::Mask).with(Class::Ipv6, Action::Mask)
}

/// The text after redaction; the same where nothing is found.
#[track_caller]
fn check(key: &str, text: &str, expected: &str) {
    let redactor = Redactor::new(&everything(), &KEY);
    let key = (!key.is_empty()).then_some(key);
    let edited = redactor.text(key, text, &mut Counts::default());
    assert_eq!(edited.as_deref().unwrap_or(text), expected, "of {text:?} under {key:?}");
    assert_ne!(edited.as_deref(), Some(text), "an edit changes something");
    assert_eq!(redactor.text(key, expected, &mut Counts::default()), None, "{expected:?} is done");
}

#[track_caller]
fn untouched(key: &str, text: &str) {
    check(key, text, text);
}

#[test]
fn cards() {
    check("", "4111111111111111", "[payment-card]");
    check("note", "paid with 4111 1111 1111 1111 12/27 123.", "paid with [payment-card] 12/27 123.");
    check("", "5555-5555-5555-4444, 378282246310005", "[payment-card], [payment-card]");
    check("", "3782 822463 10005 and 2223003122003222", "[payment-card] and [payment-card]");
    check("", "3782 8224 6310 005, 3056 9309 0259 04", "[payment-card], [payment-card]");
    check("", r#"{"pan":"6212345678901232","n":1}"#, r#"{"pan":"[payment-card]","n":1}"#);
    check("url.full", "https://a.b/pay?cc=30569309025904&x=1", "https://a.b/pay?cc=[payment-card]&x=1");
    check("", "https://a.b/?q=%204111111111111111%20", "https://a.b/?q=%20[payment-card]%20");
    check("", r"line\n4111111111111111\tend", r"line\n[payment-card]\tend");
    check("", "卡号4111111111111111。", "卡号[payment-card]。");
    check("card.number", "4000000000006", "[payment-card]");
    check("", "track ;4111111111111111=25121010000?", "track ;[payment-card]=25121010000?");
    untouched("", "4111111111111112");
    untouched("order.id", "4111111111111111");
    untouched("", "order_id=4111111111111111");
    untouched("", "4000000000006");
    untouched("", "0.4111111111111111");
    untouched("", "00-0123456789abcdef0123456789abcdef-4111111111111111-01");
    untouched("", "a4111111111111111");
    untouched("", "4111111111111111a");
}

#[test]
fn accounts_and_national_numbers() {
    check("", "to DE89370400440532013000.", "to [iban].");
    check("", "GB82 WEST 1234 5698 7654 32 now", "[iban] now");
    check("", "FR1420041010050500013M02606", "[iban]");
    untouched("", "DE89370400440532013001");
    untouched("", "DE8937040044053201300");
    check("", "ssn 123-45-6789", "ssn [us-ssn]");
    check("user.ssn", "123456789", "[us-ssn]");
    check("", "SSN: 123456789", "SSN: [us-ssn]");
    untouched("", "123456789");
    untouched("", "666-45-6789 000-12-3456 900-12-3456 123-00-4567 123-45-0000");
    check("", "943 476 5919", "[nhs-number]");
    check("nhs_number", "9434765919", "[nhs-number]");
    check("", "NHS number 9434765919, order 9434765919", "NHS number [nhs-number], order 9434765919");
    untouched("", "143 476 5918");
    check("provider.npi", "1234567893", "[us-npi]");
    untouched("provider.npi", "1234567894");
    untouched("", "1234567893");
}

#[test]
fn people() {
    check("", "mail to jane.doe+x@mail.example.org.", "mail to [email].");
    check("", "?user=jane%40example.org&x=1", "?user=[email]&x=1");
    check("", "4111111111111111@example.org", "[email]");
    untouched("", "git@github.com:a/b.git @decorator a@b a@1.2.3");
    check("", "call +44 20 7946 0958 now", "call [phone] now");
    check("", "+1 (555) 123-4567x12", "[phone]");
    check("", "(555) 123-4567, 555-123-4567, 020 7946 0958, 06.12.34.56.78", "[phone], [phone], [phone], [phone]");
    check("contact.phone", "5551234567", "[phone]");
    untouched("", "5551234567 2025-11-30 17:35:31 1.234.567 2024-01-01T00:00:00+01:00");
    check("user.dob", "1980-03-12", "[birth-date]");
    check("", "born 12.03.1980", "born [birth-date]");
    check("", r#"{"birthDate":"1980-03-12T00:00:00Z"}"#, r#"{"birthDate":"[birth-date]T00:00:00Z"}"#);
    untouched("created", "1980-03-12");
}

#[test]
fn addresses() {
    check("", "from 10.2.33.114:8080", "from [ipv4]:8080");
    check("", "2001:db8::1 ::ffff:10.0.0.1 [fe80::1]:80", "[ipv6] [ipv6] [[ipv6]]:80");
    untouched("service.version", "1.2.3.4");
    untouched("", "1.2.3.4.5 256.1.1.1 12:34:56 00:11:22:33:44:55:66:77 std::abc dead::beef");
}

#[test]
fn tokens_and_keys() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln";
    check("", &format!("got {jwt}, ok"), "got [jwt], ok");
    check("", &format!("Bearer {jwt}"), "Bearer [jwt]");
    untouched("", "eyJub25lIjoxfQ.eyJzdWIiOiIxIn0.c2ln");
    check("", "Authorization: Bearer abcdef123456", "Authorization: [authorization]");
    check("", "with bearer abcdef123456.", "with bearer [authorization].");
    check("", "Basic dXNlcjpwYXNz", "Basic [authorization]");
    check("http.request.header.authorization", "Digest username=x", "[authorization]");
    untouched("", "Bearer authentication failed; Basic understanding");
    check("", "AKIAIOSFODNN7EXAMPLE", "[cloud-key]");
    check("", "key=AIzaSyA-1234567890abcdefghijklmnopqrstu", "key=[cloud-key]");
    check("", "ghp_0123456789abcdefghijABCDEFGHIJ012345", "[cloud-key]");
    check("", "sk_live_0123456789abcdefABCDEF01 xoxb-123456789012-abcdef", "[cloud-key] [cloud-key]");
    check("", "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key=[cloud-key]");
    check("", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n", "[private-key]\n");
    check("", "x -----BEGIN EC PRIVATE KEY-----\nMIIE", "x [private-key]");
    check("", r"-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----", "[certificate]");
    untouched("", "-----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY-----");
}

#[test]
fn passwords_and_secrets() {
    check("", "postgres://app:s3cret@db.example.org/x", "postgres://app:[url-password]@db.example.org/x");
    check("", "app:s3cret@tcp(db:3306)/x", "app:[url-password]@tcp(db:3306)/x");
    untouched("", "https://jane@example.org/x http://a.b:80/@x");
    check("db.password", "hunter2", "[secret]");
    check("", "?user=a&password=hunter2&x=1", "?user=a&password=[secret]&x=1");
    check("", r#"{"password": "hun\"ter2", "a": 1}"#, r#"{"password": "[secret]", "a": 1}"#);
    check("", r#"{\"password\":\"hunter2\"}"#, r#"{\"password\":\"[secret]\"}"#);
    check("", "Server=x;Password=hunter2;", "Server=x;Password=[secret];");
    check("", "client_secret=Zx81kqPw92LmVb7T", "client_secret=[secret]");
    check("app.api_key", "Zx81kqPw92LmVb7T", "[secret]");
    untouched("auth.token", "0123456789abcdef0123456789abcdef");
    untouched("app.token", "c2a7b1f0-5b0a-4c3e-9d36-0f2d1f1b8a11");
    untouched("gen_ai.usage.input_token", "1234567");
    untouched("password.policy", "strong");
    untouched("db.password", "********");
}

#[test]
fn lists() {
    check("baggage", "user=jane%40example.org;p=1, plan = gold ", "user=[email];p=1, plan = gold ");
    check("baggage", "card=4000000000006,order.id=4111111111111111", "card=[payment-card],order.id=4111111111111111");
    check("tracestate", "a=jane@example.org,dd=s:1;p:00f067aa0ba902b7", "a=[email],dd=s:1;p:00f067aa0ba902b7");
}

#[test]
fn actions() {
    let policy = Policy::default().with(Class::PaymentCard, Action::Hash).with(Class::Email, Action::Drop);
    let policy = policy.with(Class::UsSsn, Action::Keep).with_key("raw", Action::Keep).unwrap();
    let policy = policy.with_key("user.name", Action::Mask).unwrap().with_key("user.id", Action::Hash).unwrap();
    let redactor = Redactor::new(&policy, &KEY);
    let mut counts = Counts::default();
    let mut edit = |key: &str, text: &str| redactor.text(Some(key), text, &mut counts);
    let hashed = edit("a", "4111111111111111").unwrap();
    assert_eq!(edit("b", "is 4111-1111-1111-1111").unwrap(), format!("is {hashed}"), "joins stay possible");
    assert_eq!(edit("b", "is 5555555555554444 a@b.org"), Some(String::new()));
    assert_eq!(edit("a", "123-45-6789"), None);
    assert_eq!(edit("raw", "4111111111111111"), None);
    assert_eq!(edit("user.name", "Jane").as_deref(), Some("[redacted]"));
    let id = edit("user.id", "7").unwrap();
    assert_eq!(edit("user.id", "7").as_deref(), Some(&*id));
    assert_eq!(edit("user.id", &id), None);
    assert_eq!((counts.of(Class::PaymentCard), counts.of(Class::Email), counts.by_key, counts.total()), (3, 1, 3, 7));
    let other = Redactor::new(&policy, &Key([8; 32])).text(None, "4111111111111111", &mut Counts::default());
    assert_ne!(other, Some(hashed));
}

#[test]
fn policies_have_one_form() {
    let read = |text: &str| serde_json::from_str::<Policy>(text);
    let policy = read(r#"{"keys":{"b":"keep","a":"drop"},"classes":{"email":"hash"}}"#).unwrap();
    let written = serde_json::to_string(&policy).unwrap();
    assert!(
        written.starts_with(r#"{"classes":{"authorization":"mask","birth-date":"mask","certificate":"mask","#),
        "{written}"
    );
    assert!(written.ends_with(r#""us-ssn":"mask"},"keys":{"a":"drop","b":"keep"}}"#), "{written}");
    assert_eq!(read(&written).unwrap(), policy);
    assert!(read(r#"{"classes":{"e-mail":"hash"}}"#).is_err());
    assert!(read(r#"{"rules":{}}"#).is_err());
    assert!(read(r#"{"keys":{"":"keep"}}"#).is_err());
    for class in Class::ALL {
        assert_eq!(serde_json::to_string(&class).unwrap(), format!("{:?}", class.name()));
        assert_eq!(Class::ALL[class as usize], class);
    }
}
