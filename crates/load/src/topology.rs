//! Synthetic services that call each other, and requests as they would export them. Pure: the same seed gives the same
//! bytes.

mod encode;

use crate::random::Random;
use crate::template::Group;
use encode::encode;
pub(crate) use encode::later_ns;

/// Spans of one trace at most: a chain as long as a topology may be, twice.
const MAX_SPANS_PER_TRACE: usize = 1_000;
/// Services of a topology at most; each makes two spans of a chain.
const MAX_SERVICES: usize = 256;
/// Spans of a request at most; a span of ours is below 2 KiB, so a request is below 20 MiB.
const MAX_SPANS_PER_REQUEST: usize = 10_000;
/// Requests among which a trace is spread at most.
const MAX_REQUESTS_PER_TRACE: usize = 64;
/// Instances of a service at most.
const MAX_INSTANCES: usize = 1_000;

/// Services, what they do, and whom they call.
#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    services: Vec<Service>,
}

#[derive(Clone, Debug, PartialEq)]
struct Service {
    name: String,
    operations: Vec<Operation>,
}

#[derive(Clone, Debug, PartialEq)]
struct Operation {
    name: String,
    kind: Kind,
    /// How long it takes besides what it calls, on the average.
    own_us: u64,
    calls: Vec<Call>,
    /// Whether it calls all at once, or one after the other.
    parallel: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Call {
    service: usize,
    operation: usize,
    times: usize,
}

/// What an operation is, which its attributes follow from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Http,
    Rpc,
    Database,
    Consumer,
}

/// How requests look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// About so many spans in each request.
    pub spans_per_request: usize,
    /// Among so many requests a trace is spread: 1 leaves traces whole.
    pub requests_per_trace: usize,
    /// Instances of each service: a request has a resource for each that it holds spans of.
    pub instances: usize,
    /// The share of traces with an error, 0 to 1.
    pub error_share: f64,
}

impl Default for Shape {
    /// Batches of 100 spans, whole traces, one instance, an error in a hundred traces.
    fn default() -> Shape {
        Shape { spans_per_request: 100, requests_per_trace: 1, instances: 1, error_share: 0.01 }
    }
}

/// A topology or shape that is none.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TopologyError {
    /// No such preset.
    #[error("there is no topology {name:?}; expected shop, chain or fanout")]
    Unknown {
        /// What was given.
        name: String,
    },
    /// A number out of its range.
    #[error("{what} is {found}; expected {least} to {most}")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// What was given.
        found: usize,
        /// The least.
        least: usize,
        /// The most.
        most: usize,
    },
    /// A share is none.
    #[error("the share of traces with errors is {found}; expected 0 to 1")]
    Share {
        /// What was given.
        found: f64,
    },
}

/// One span of a trace, before it has ids.
#[derive(Clone, Debug)]
struct Planned {
    service: usize,
    name: String,
    kind: Kind,
    /// OTLP's SpanKind.
    span_kind: i32,
    parent: Option<usize>,
    start_ns: u64,
    end_ns: u64,
    failed: bool,
    /// The trace's instance of each service.
    instance: usize,
}

impl Topology {
    /// `shop`, `chain` (of eight) or `fanout` (to sixteen).
    pub fn preset(name: &str) -> Result<Topology, TopologyError> {
        match name {
            "shop" => Ok(Topology::shop()),
            "chain" => Topology::chain(8),
            "fanout" => Topology::fanout(16),
            _ => Err(TopologyError::Unknown { name: name.chars().take(64).collect() }),
        }
    }

    /// A shop: ten services, a front end with three pages, databases and a queue; 3 to 35 spans a trace.
    pub fn shop() -> Topology {
        use Kind::{Consumer, Database, Http, Rpc};
        let call = |service, operation, times| Call { service, operation, times };
        let service = |name: &str, operations| Service { name: name.to_owned(), operations };
        let operation =
            |name: &str, kind, own_us, calls| Operation { name: name.to_owned(), kind, own_us, calls, parallel: false };
        let services = vec![
            service(
                "frontend",
                vec![
                    operation("GET /", Http, 1_500, vec![call(1, 0, 1), call(2, 0, 1), call(3, 0, 2)]),
                    operation("GET /product/{id}", Http, 1_200, vec![call(1, 1, 1), call(2, 0, 1), call(9, 0, 1)]),
                    operation("POST /cart/checkout", Http, 2_500, vec![call(4, 0, 1)]),
                ],
            ),
            service(
                "catalog",
                vec![
                    operation("ListProducts", Rpc, 700, vec![call(8, 0, 1)]),
                    operation("GetProduct", Rpc, 300, vec![call(8, 0, 1)]),
                ],
            ),
            service("cart", vec![operation("GetCart", Rpc, 400, vec![call(8, 1, 1)])]),
            service("currency", vec![operation("Convert", Rpc, 100, vec![])]),
            service(
                "checkout",
                vec![operation(
                    "PlaceOrder",
                    Rpc,
                    3_000,
                    vec![call(2, 0, 1), call(1, 1, 3), call(3, 0, 2), call(5, 0, 1), call(6, 0, 1), call(7, 0, 1)],
                )],
            ),
            service("payment", vec![operation("Charge", Rpc, 6_000, vec![])]),
            service("shipping", vec![operation("Quote", Http, 900, vec![call(8, 0, 1)])]),
            service("email", vec![operation("orders process", Consumer, 4_000, vec![])]),
            service(
                "storage",
                vec![
                    operation("SELECT products", Database, 500, vec![]),
                    operation("HGETALL cart", Database, 150, vec![]),
                ],
            ),
            service("ads", vec![operation("GetAds", Rpc, 250, vec![call(8, 1, 1)])]),
        ];
        Topology { services }
    }

    /// So many services, each of which calls the next.
    pub fn chain(services: usize) -> Result<Topology, TopologyError> {
        within("the number of services", services, 1, MAX_SERVICES)?;
        let service = |number: usize| {
            let calls = (number + 1 < services).then_some(Call { service: number + 1, operation: 0, times: 1 });
            Service {
                name: format!("link-{number}"),
                operations: vec![step(number, calls.into_iter().collect(), false)],
            }
        };
        Ok(Topology { services: (0..services).map(service).collect() })
    }

    /// One service that calls so many others at once.
    pub fn fanout(leaves: usize) -> Result<Topology, TopologyError> {
        within("the number of leaves", leaves, 1, MAX_SERVICES - 1)?;
        let calls = (1..=leaves).map(|service| Call { service, operation: 0, times: 1 }).collect();
        let root = Service { name: "gather".to_owned(), operations: vec![step(0, calls, true)] };
        let leaf = |number: usize| Service {
            name: format!("leaf-{number}"),
            operations: vec![step(number, Vec::new(), false)],
        };
        Ok(Topology { services: std::iter::once(root).chain((1..=leaves).map(leaf)).collect() })
    }

    /// So many groups of requests, at least one.
    pub fn groups(&self, shape: &Shape, count: usize, seed: u64) -> Result<Vec<Group>, TopologyError> {
        within("spans per request", shape.spans_per_request, 1, MAX_SPANS_PER_REQUEST)?;
        within("requests per trace", shape.requests_per_trace, 1, MAX_REQUESTS_PER_TRACE)?;
        within("instances", shape.instances, 1, MAX_INSTANCES)?;
        if !(0.0..=1.0).contains(&shape.error_share) {
            return Err(TopologyError::Share { found: shape.error_share });
        }
        let mut random = Random(seed);
        Ok((0..count.max(1)).map(|_| self.group(shape, &mut random)).collect())
    }

    fn group(&self, shape: &Shape, random: &mut Random) -> Group {
        let wanted = shape.spans_per_request * shape.requests_per_trace;
        let (mut traces, mut spans) = (Vec::new(), 0);
        while spans < wanted {
            let trace = self.trace(shape, traces.len(), random);
            spans += trace.len();
            traces.push(trace);
        }
        Group::new(&encode(&self.services, &traces, shape.requests_per_trace, random))
    }

    /// One trace, its first span the root.
    fn trace(&self, shape: &Shape, number: usize, random: &mut Random) -> Vec<Planned> {
        let mut spans = Vec::new();
        let instance = number % shape.instances;
        let operations = &self.services[0].operations;
        let operation = random.below(operations.len() as u64) as usize;
        self.call(Call { service: 0, operation, times: 1 }, None, 0, instance, random, &mut spans);
        if random.share() < shape.error_share {
            // An error shows in the span where it happens, and in all that wait for it.
            let mut at = Some(random.below(spans.len() as u64) as usize);
            while let Some(failed) = at {
                spans[failed].failed = true;
                at = spans[failed].parent;
            }
        }
        spans
    }

    /// Adds what a call makes, and says when it ends. Presets call no service that leads back to them, so it ends; the
    /// bound on spans would end it too.
    fn call(
        &self,
        call: Call,
        parent: Option<usize>,
        start_ns: u64,
        instance: usize,
        random: &mut Random,
        spans: &mut Vec<Planned>,
    ) -> u64 {
        if spans.len() >= MAX_SPANS_PER_TRACE {
            return start_ns;
        }
        let service = &self.services[call.service];
        let operation = &service.operations[call.operation];
        let at = spans.len();
        let (name, kind) = (operation.name.clone(), operation.kind);
        let span_kind = match kind {
            Kind::Http | Kind::Rpc => 2,
            Kind::Database => 3,
            Kind::Consumer => 5,
        };
        let planned = Planned {
            service: call.service,
            name,
            kind,
            span_kind,
            parent,
            start_ns,
            end_ns: start_ns,
            failed: false,
            instance,
        };
        spans.push(planned);
        // Half of the average at least, and now and then much more: as real latencies are skewed.
        let own_ns = (operation.own_us as f64 * 1_000.0 * (0.5 + 0.5 * random.exponential())) as u64;
        let begin = start_ns + own_ns / 2;
        let (mut now, mut last) = (begin, begin);
        for next in &operation.calls {
            for _ in 0..next.times {
                let from = if operation.parallel { begin } else { now };
                now = self.remote(*next, at, from, instance, random, spans);
                last = last.max(now);
            }
        }
        spans[at].end_ns = last + own_ns / 2;
        spans[at].end_ns
    }

    /// What the caller sees of a call, and the call. A database's own side is not instrumented.
    fn remote(
        &self,
        call: Call,
        parent: usize,
        start_ns: u64,
        instance: usize,
        random: &mut Random,
        spans: &mut Vec<Planned>,
    ) -> u64 {
        let operation = &self.services[call.service].operations[call.operation];
        if operation.kind == Kind::Database {
            return self.call(call, Some(parent), start_ns, instance, random, spans);
        }
        if spans.len() >= MAX_SPANS_PER_TRACE {
            return start_ns;
        }
        let network_ns = 50_000 + random.below(100_000);
        let at = spans.len();
        spans.push(Planned {
            service: spans[parent].service,
            name: operation.name.clone(),
            kind: operation.kind,
            span_kind: if operation.kind == Kind::Consumer { 4 } else { 3 },
            parent: Some(parent),
            start_ns,
            end_ns: start_ns,
            failed: false,
            instance,
        });
        let end = self.call(call, Some(at), start_ns + network_ns, instance, random, spans);
        spans[at].end_ns = end + network_ns;
        spans[at].end_ns
    }
}

fn step(number: usize, calls: Vec<Call>, parallel: bool) -> Operation {
    let kind = if number.is_multiple_of(2) { Kind::Http } else { Kind::Rpc };
    let name = if kind == Kind::Http { format!("GET /step/{number}") } else { format!("Step{number}") };
    Operation { name, kind, own_us: 800, calls, parallel }
}

fn within(what: &'static str, found: usize, least: usize, most: usize) -> Result<(), TopologyError> {
    if (least..=most).contains(&found) { Ok(()) } else { Err(TopologyError::OutOfRange { what, found, least, most }) }
}

#[cfg(test)]
mod tests;
