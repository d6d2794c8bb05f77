//! The two environments: where each is reached, and that they are two.

use super::endpoint::{self, Endpoint};
use super::problems::{Place, Problems};
use super::quantity::{digest, line, name, same_endpoint};
use super::raw::{RawEnvironment, RawEnvironments, Section};
use super::sources::sources;
use super::transformations::transformations;
use super::{EnvironmentPlan, query};
use model::{Environment, PerEnvironment, Transport, Upstream};

/// Characters of a version; a container tag has at most 128.
const MAX_VERSION_CHARACTERS: usize = 128;

/// What was read of one environment, and the places that a comparison of both may name.
struct Read {
    plan: EnvironmentPlan,
    otlp: Place,
    tap: Place,
    whole: Place,
    backend: Option<Place>,
    query: Option<Place>,
}

/// Both, if they differ.
pub(super) fn environments(
    problems: &mut Problems,
    parent: &Place,
    raw: &Section<RawEnvironments>,
) -> Option<PerEnvironment<EnvironmentPlan>> {
    let (at, raw) = problems.section(parent, "environments", raw, "the environments `blue` and `green`")?;
    let mut read = |colour: Environment, raw| environment(problems, &at, colour, raw);
    let (blue, green) = (read(Environment::Blue, &raw.blue), read(Environment::Green, &raw.green));
    let (blue, green) = (blue?, green?);
    let differ = two(problems, &blue, &green) & no_loop(problems, &blue, &green) & two_stores(problems, &blue, &green);
    differ.then_some(PerEnvironment { blue: blue.plan, green: green.plan })
}

fn environment(
    problems: &mut Problems,
    parent: &Place,
    colour: Environment,
    raw: &Section<RawEnvironment>,
) -> Option<Read> {
    let (at, raw) = problems.section(parent, colour.name(), raw, "an environment with its version and `otlp`")?;
    let wanted = "the version that runs there, such as \"0.131.0\"";
    let version = problems.needed(&at, "version", &raw.version, wanted, |text| line(text, MAX_VERSION_CHARACTERS));
    let artifact = problems.optional(&at, "artifact", &raw.artifact, digest);
    let otlp = endpoint::otlp(problems, &at, &raw.otlp);
    let tap = problems.or(&at, "tap", &raw.tap, colour.name().to_owned(), name);
    let backend = endpoint::backend(problems, &at, &raw.backend);
    let config = sources(problems, &at, "config", &raw.config);
    let live = sources(problems, &at, "live", &raw.live);
    let query = query::query(problems, &at, &raw.query, raw.tap.is_none());
    let transformations = transformations(problems, &at, &raw.transformations);
    let (Some(version), Some(artifact), Some((protocol, otlp, others)), Some(tap), Some(backend), Some(config)) =
        (version, artifact, otlp, tap, backend, config)
    else {
        return None;
    };
    let (query, transformations, live) = (query?, transformations?, live?);
    if !live.is_empty() && config.is_empty() {
        let help = "what runs there is held against what was declared";
        problems.refuse_because(&at, "`live` without `config`", "`config`: where what was declared lies", help);
        return None;
    }
    let (backend_at, backend, backend_transport) = match backend {
        Some(Endpoint { at, url, transport }) => (Some(at), Some(url), transport),
        None => (None, None, Transport::default()),
    };
    let upstream =
        Upstream { endpoint: otlp.url, others, protocol, transport: otlp.transport, tap, backend, backend_transport };
    Some(Read {
        plan: EnvironmentPlan { version, artifact, upstream, config, live, query, transformations },
        otlp: otlp.at,
        tap: raw.tap.as_ref().map_or_else(|| at.missing("tap"), |tap| at.key("tap", tap)),
        backend: backend_at,
        query: raw.query.as_ref().map(|section| at.key("query", section)),
        whole: at,
    })
}

/// Green differs from blue: another endpoint and another tap, and something new in it.
fn two(problems: &mut Problems, blue: &Read, green: &Read) -> bool {
    let (b, g) = (&blue.plan, &green.plan);
    let blues = |endpoint: &&str| b.upstream.endpoints().any(|blue| same_endpoint(blue, endpoint));
    let shared = g.upstream.endpoints().find(blues);
    let endpoint = shared.is_some();
    if let Some(shared) = shared {
        let found = format!("{shared}, blue's endpoint");
        let expected = "an endpoint of its own";
        problems.refuse_because(&green.otlp, found, expected, "green equals blue, so nothing would be rolled out");
    }
    let tap = b.upstream.tap == g.upstream.tap;
    if tap {
        let found = format!("{}, blue's tap", g.upstream.tap);
        let help = "what comes out of green could not be told from what comes out of blue";
        problems.refuse_because(&green.tap, found, "a tap of its own", help);
    }
    let content = b.version == g.version && b.artifact == g.artifact && b.config == g.config;
    if content {
        let found = format!("blue's version {}, artifact and configuration", g.version);
        let help = "green equals blue, so nothing would be rolled out";
        problems.refuse_because(&green.whole, found, "another version, artifact or configuration", help);
    }
    !(endpoint || tap || content)
}

/// A tap that hands on to a collector would get its own output back.
fn no_loop(problems: &mut Problems, blue: &Read, green: &Read) -> bool {
    let mut looped = false;
    for read in [blue, green] {
        let (Some(at), Some(backend)) = (&read.backend, &read.plan.upstream.backend) else { continue };
        if [blue, green].iter().any(|other| other.plan.upstream.endpoints().any(|it| same_endpoint(backend, it))) {
            let help = "the tap would feed a collector with what a collector put out";
            problems.refuse_because(at, format!("{backend}, a collector's endpoint"), "the back end's endpoint", help);
            looped = true;
        }
    }
    !looped
}

/// Both or neither are looked at in their stores, and in two of them: what is measured in two ways differs by the
/// measuring, and what lies in one place cannot be told apart.
fn two_stores(problems: &mut Problems, blue: &Read, green: &Read) -> bool {
    let query = |read: &'_ Read| read.plan.query.clone();
    let replaces_tap = |read: &Read| query(read).is_some_and(|query| query.replaces_tap);
    for (one, other) in [(blue, green), (green, blue)] {
        let Some(at) = one.query.as_ref().filter(|_| replaces_tap(one) && !replaces_tap(other)) else { continue };
        let help = "what came out of one environment would be measured otherwise than what came out of the other";
        let expected = "`query` without `tap` in both environments, or a `tap` here";
        problems.refuse_because(at, "`query` without `tap` in one environment", expected, help);
        return false;
    }
    if let (Some(b), Some(g), Some(at)) = (query(blue), query(green), &green.query)
        && same_endpoint(&b.url, &g.url)
    {
        let help = "what came out of green could not be told from what came out of blue";
        problems.refuse_because(at, format!("{}, blue's trace store", g.url), "a store of its own", help);
        return false;
    }
    true
}
