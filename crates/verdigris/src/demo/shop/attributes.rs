//! Attributes as instrumentation libraries set them, by the OpenTelemetry semantic conventions 1.36.

use super::topology::{Database, Role, Service};
use super::trace::{Node, Side};
use crate::demo::random::SplitMix64;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;

/// Who visits: the same in every span of a trace.
pub(super) struct Visitor {
    address: String,
    session: String,
    product: String,
    currency: &'static str,
}

impl Visitor {
    pub(super) fn new(random: &mut SplitMix64) -> Visitor {
        const CURRENCIES: [&str; 5] = ["EUR", "USD", "GBP", "CHF", "JPY"];
        Visitor {
            // TEST-NET-3 (RFC 5737): nobody's address.
            address: format!("203.0.113.{}", random.below(254) + 1),
            session: format!("{:016x}", random.next_u64()),
            product: format!("{:08X}", random.next_u64() as u32),
            currency: CURRENCIES[random.below(CURRENCIES.len() as u64) as usize],
        }
    }
}

/// About ten for each span, whatever its role.
pub(super) fn of_span(node: &Node, visitor: &Visitor, random: &mut SplitMix64) -> Vec<KeyValue> {
    let mut attributes = match node.operation.role {
        Role::Page { method, route } => page(method, route, node.failed, visitor, random),
        Role::Rpc { service, method } => rpc(node, service, method, visitor, random),
        Role::Function { name, file, line } => vec![
            text("code.function.name", name),
            text("code.file.path", file),
            number("code.line.number", line),
            number("thread.id", 1 + random.below(16) as i64),
            text("thread.name", format!("worker-{}", random.below(16))),
            text("session.id", &*visitor.session),
            text("app.product.id", &*visitor.product),
            text("app.user.currency", visitor.currency),
            flag("app.cache.hit", random.below(2) == 0),
        ],
        Role::Query { system, collection, operation, text: query } => {
            let (system, port) = match system {
                Database::Postgresql => ("postgresql", 5432),
                Database::Redis => ("redis", 6379),
            };
            vec![
                text("db.system.name", system),
                text("db.namespace", "shop"),
                text("db.collection.name", collection),
                text("db.operation.name", operation),
                text("db.query.text", query),
                text("db.query.summary", format!("{operation} {collection}")),
                text("server.address", format!("{system}.shop.svc.cluster.local")),
                number("server.port", port),
                text("network.transport", "tcp"),
                number("db.response.returned_rows", random.below(20) as i64),
            ]
        }
    };
    if node.failed {
        attributes.push(text("error.type", error_type(node)));
    }
    attributes
}

fn page(
    method: &'static str,
    route: &'static str,
    failed: bool,
    visitor: &Visitor,
    random: &mut SplitMix64,
) -> Vec<KeyValue> {
    vec![
        text("http.request.method", method),
        text("http.route", route),
        text("url.scheme", "https"),
        text("url.path", route.replace("{product_id}", &visitor.product)),
        number("http.response.status_code", if failed { 500 } else { 200 }),
        text("server.address", "shop.example"),
        number("server.port", 443),
        text("client.address", &*visitor.address),
        text("network.protocol.version", "2"),
        text("user_agent.original", USER_AGENTS[random.below(USER_AGENTS.len() as u64) as usize]),
        text("session.id", &*visitor.session),
    ]
}

const USER_AGENTS: [&str; 3] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
];

fn rpc(
    node: &Node,
    service: &'static str,
    method: &'static str,
    visitor: &Visitor,
    random: &mut SplitMix64,
) -> Vec<KeyValue> {
    /// INTERNAL.
    const FAILED: i64 = 13;
    let called = node.operation.service;
    let mut attributes = vec![
        text("rpc.system", "grpc"),
        text("rpc.service", service),
        text("rpc.method", method),
        number("rpc.grpc.status_code", if node.failed { FAILED } else { 0 }),
        text("server.address", format!("{}.shop.svc.cluster.local", called.name())),
        number("server.port", 8080 + called.index() as i64),
        text("network.transport", "tcp"),
        text("network.type", "ipv4"),
    ];
    match node.side {
        Side::Caller => attributes.extend([
            text("network.peer.address", format!("10.1.{}.7", called.index())),
            number("network.peer.port", 8080 + called.index() as i64),
        ]),
        Side::Callee => attributes.extend([
            number("thread.id", 1 + random.below(16) as i64),
            text("session.id", &*visitor.session),
            text("app.user.currency", visitor.currency),
        ]),
    }
    attributes
}

/// The event that a failed span has.
pub(super) fn exception(node: &Node, time_unix_nano: u64) -> Event {
    Event {
        time_unix_nano,
        name: "exception".into(),
        attributes: vec![
            text("exception.type", error_type(node)),
            text("exception.message", "the operation failed"),
            flag("exception.escaped", true),
        ],
        dropped_attributes_count: 0,
    }
}

fn error_type(node: &Node) -> &'static str {
    match node.operation.role {
        Role::Page { .. } => "500",
        Role::Rpc { .. } => "INTERNAL",
        Role::Function { .. } => "InvalidStateError",
        Role::Query { .. } => "ConnectionError",
    }
}

/// The resource of a service: one instance, that of this seed.
pub(super) fn resource(service: Service, seed: u64) -> Resource {
    let mut random = SplitMix64::nth(seed, service.index() as u64);
    let instance = format!("{:016x}{:016x}", random.next_u64(), random.next_u64());
    let name = service.name();
    let pod = format!("{name}-{}-{}", &instance[..9], &instance[9..14]);
    let node = format!("node-{}", 1 + random.below(4));
    Resource {
        attributes: vec![
            text("service.name", name),
            text("service.version", format!("2.{}.{}", service.index(), random.below(9))),
            text("service.namespace", "shop"),
            text("service.instance.id", &*instance),
            text("deployment.environment.name", "production"),
            text("telemetry.sdk.name", "opentelemetry"),
            text("telemetry.sdk.language", service.language()),
            text("telemetry.sdk.version", "1.36.0"),
            text("host.name", &*pod),
            text("k8s.namespace.name", "shop"),
            text("k8s.deployment.name", name),
            text("k8s.pod.name", &*pod),
            text("k8s.node.name", node),
            text("os.type", "linux"),
        ],
        ..Resource::default()
    }
}

fn text(key: &'static str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn number(key: &'static str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn flag(key: &'static str, value: bool) -> KeyValue {
    attribute(key, Value::BoolValue(value))
}

fn attribute(key: &'static str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
