use super::*;

#[track_caller]
fn secret_name(name: &str, secret: bool) {
    assert_eq!(names::is_secret(name), secret, "{name}");
}

#[test]
fn names_say_what_is_secret() {
    for name in [
        "password",
        "DB_PASSWORD",
        "api_key",
        "apiKey",
        "X-API-Key",
        "Authorization",
        "privateKey",
        "AWS_SECRET_ACCESS_KEY",
        "clientSecret",
        "sentry.dsn",
        "access_token",
        "x-honeycomb-team",
        "slack_webhook_url",
        "connectionString",
        "signing_key",
        "GITHUB_TOKEN",
        "--token",
        "credentials",
    ] {
        secret_name(name, true);
    }
    for name in [
        "tokenizer",
        "passthrough",
        "secretName",
        "secretKeyRef",
        "password_file",
        "imagePullSecrets",
        "key",
        "keyspace",
        "token_url",
        "endpoint",
        "author",
        "monkey",
        "max_connections",
        "compass",
        "session",
    ] {
        secret_name(name, false);
    }
}

#[track_caller]
fn check(text: &str, shown: Option<&str>) {
    let seen = match visible(text) {
        Visible::Whole => Some(text.to_owned()),
        Visible::Masked { shown, .. } => Some(shown),
        Visible::Nothing => None,
    };
    assert_eq!(seen.as_deref(), shown, "{text}");
}

/// Made for these tests; no service knows them.
#[test]
fn shapes_are_secret() {
    for text in [
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
        "AKIAQ3EXAMPLEKEY4TWZ",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "xoxb-123456789012-abcdefghijkl",
        "AIzaSyA-abcdefghijklmnopqrstuvwxyz12345",
        "Bearer abcdef123456",
        "basic dXNlcjpwYXNz",
        "0123456789abcdef0123456789abcdef",
        "Zx8Qv2Lm9Rt4Wp7Yc3Nb6Hd1",
        "--api-key=abc123",
        "Server=db;User Id=sa;Password=Hunter2;",
        "host=db user=u password=hunter2",
        "https://hooks.slack.com/services/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",
    ] {
        check(text, None);
    }
}

#[test]
fn ordinary_values_are_shown() {
    for text in [
        "otel-collector.observability.svc.cluster.local:4317",
        "ghcr.io/open-telemetry/opentelemetry-collector-releases/opentelemetry-collector-contrib:0.131.0",
        "checkout-7d9f8b6c5d-x2x4z",
        "/var/run/secrets/kubernetes.io/serviceaccount/token",
        "parentbased_traceidratio",
        "tracecontext,baggage,b3multi",
        "https://example.com/path?x=1&y=2",
        "${env:API_TOKEN}",
        "Bearer ${env:API_TOKEN}",
        "The token bucket allows basic limits and bearer checks",
        "service.namespace=shop,deployment.environment=green",
        "GOMEMLIMIT=400MiB",
    ] {
        check(text, Some(text));
    }
}

#[test]
fn of_a_url_the_password_alone_is_hidden() {
    check(
        "postgres://shop:hunter2@db:5432/orders?sslmode=require",
        Some("postgres://shop:(secret)@db:5432/orders?sslmode=require"),
    );
    check("postgres://shop:h/u@nter2@db:5432/orders", Some("postgres://shop:(secret)@db:5432/orders"));
    check("https://token123@git.example.com/x", Some("https://(secret)@git.example.com/x"));
    check("ssh://git@example.com/x", Some("ssh://git@example.com/x"));
    check("https://example.com/x?sig=abc%2F&v=1", Some("https://example.com/x?sig=(secret)&v=1"));
    check("amqp://u:one@a,amqp://u:two@b", Some("amqp://u:(secret)@a,amqp://u:(secret)@b"));
    check("https://a/x?next=https://u:one@b/", Some("https://a/x?next=https://u:(secret)@b/"));
}
