//! The YAML as it stands: texts with their place, nothing judged yet. Every key is optional here, so that a missing one
//! is reported beside the other mistakes; an unknown one is refused by serde.

use super::text_or::TextOr;
use serde::Deserialize;
use serde_saphyr::{Error, Options, Spanned};
use std::collections::BTreeMap;

/// A scalar, as it is spelled.
pub(super) type Text = Option<Spanned<String>>;
/// A mapping or a list. Boxed: the whole plan by value, once for each function that reads a part, is more than a thread has of stack.
pub(super) type Section<T> = Option<Spanned<Box<T>>>;

/// Reads one YAML document.
pub(super) fn read(yaml: &str) -> Result<Spanned<RawPlan>, Error> {
    serde_saphyr::from_str_with_options(yaml, options())
}

/// Bounds of what a plan may hold. 64 steps of at most 8 nodes, 200 expected differences of 5, and 1,400 nodes of names in
/// each environment's transformations are 4,312; 20,000 leave room and end an anchor bomb early. Nothing in a plan is nested more than 8 deep.
pub(super) fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 40_000,
            max_nodes: 20_000,
            max_depth: 32,
            flow_nesting_limit: 32,
            max_aliases: 100,
            max_anchors: 100,
            max_merge_keys: 100,
            max_recorded_anchor_events: 20_000,
            max_recorded_anchor_bytes: super::MAX_PLAN_BYTES,
            max_total_scalar_bytes: super::MAX_PLAN_BYTES,
            max_documents: 2,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 8,
            max_alias_expansions_per_anchor: 100,
        },
        with_snippet: false,
        // YAML 1.2: `off` is a word, as it is where a text is asked for.
        strict_booleans: true,
    }
}

macro_rules! raw {
    ($($name:ident { $($field:ident: $kind:ty),* $(,)? })*) => {$(
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub(super) struct $name { $(pub(super) $field: $kind,)* }
    )*};
}

raw! {
    RawPlan {
        api_version: Text,
        kind: Text,
        metadata: Section<RawMetadata>,
        spec: Section<RawSpec>,
    }
    RawMetadata { name: Text, change: Text, reason: Text, impact: Text, authors: Section<Vec<Spanned<String>>> }
    RawSpec {
        subject: Text,
        environments: Section<RawEnvironments>,
        strategy: Section<RawStrategy>,
        gates: Section<RawGates>,
        guards: Section<RawGuards>,
        analysis: Section<RawAnalysis>,
        verification: Section<RawVerification>,
        canary: Section<TextOr<RawCanary>>,
        redaction: Section<RawRedaction>,
        proofs: Section<RawProofs>,
        traffic: Section<RawTraffic>,
        pin: Text,
    }
    RawEnvironments { blue: Section<RawEnvironment>, green: Section<RawEnvironment> }
    RawEnvironment {
        version: Text,
        artifact: Text,
        otlp: Section<RawOtlp>,
        tap: Text,
        backend: Section<TextOr<RawBackend>>,
        query: Section<RawQuery>,
        config: Section<Vec<Spanned<RawConfigSource>>>,
        live: Section<Vec<Spanned<RawConfigSource>>>,
        transformations: Section<RawTransformations>,
    }
    RawTransformations {
        reason: Text,
        attributes: Section<RawAttributeChanges>,
        resource: Section<Vec<Spanned<String>>>,
        parts: Section<Vec<Spanned<String>>>,
        times: Text,
        samples: Text,
    }
    RawAttributeChanges {
        added: Section<Vec<Spanned<String>>>,
        removed: Section<Vec<Spanned<String>>>,
        renamed: Section<BTreeMap<String, Spanned<String>>>,
        changed: Section<Vec<Spanned<String>>>,
    }
    RawOtlp {
        grpc: Text,
        http: Text,
        others: Section<Vec<Spanned<String>>>,
        tls: Section<RawTls>,
        compression: Text,
    }
    RawQuery {
        jaeger: Text,
        jaeger_v2: Text,
        tempo: Text,
        zipkin: Text,
        settle: Text,
        share: Text,
        tls: Section<RawTls>,
        bearer_token_file: Text,
    }
    RawBackend { grpc: Text, tls: Section<RawTls>, compression: Text }
    RawTls { ca: Text, cert: Text, key: Text, server_name: Text }
    RawConfigSource {
        files: Text,
        git: Section<RawGitSource>,
        http: Section<RawHttpSource>,
        command: Section<RawCommandSource>,
    }
    RawGitSource { repository: Text, revision: Text, path: Text }
    RawHttpSource { url: Text, name: Text, tls: Section<RawTls>, bearer_token_file: Text }
    RawCommandSource { run: Section<Vec<Spanned<String>>>, name: Text }
    RawStrategy { steps: Section<Vec<Spanned<RawStep>>> }
    RawStep {
        gate: Text,
        mirror: Section<RawFor>,
        set_weight: Text,
        analysis: Section<RawAnalysisStep>,
        pause: Section<RawFor>,
        bake: Section<RawFor>,
        point_of_no_return: Section<RawPoint>,
    }
    RawFor { r#for: Text }
    RawPoint { reason: Text, role: Text, count: Text, expires: Text }
    RawAnalysisStep { until: Text, at_most: Text }
    RawGates {
        drift: Section<RawDriftGate>,
        approval: Section<RawApprovalGate>,
        security: Section<RawSecurityGate>,
        acceptance: Section<RawAcceptanceGate>,
        tests: Section<RawTestsGate>,
        migration: Section<RawMigrationGate>,
        probe: Section<RawProbeGate>,
        dependencies: Section<RawDependenciesGate>,
        load: Section<RawLoadGate>,
    }
    RawTestsGate {
        at_least: Text,
        max_age: Text,
        max_skipped: Text,
        built: Text,
        like_blue: Text,
        reports: Section<RawTestReports>,
        properties: Section<Vec<Spanned<String>>>,
        key_file: Text,
        exceptions: Section<Vec<Spanned<RawTestException>>>,
    }
    RawTestReports { blue: Section<Vec<Spanned<RawTestSource>>>, green: Section<Vec<Spanned<RawTestSource>>> }
    RawTestSource { files: Text, command: Section<Vec<Spanned<String>>> }
    RawTestException { test: Text, reason: Text, expires: Text }
    RawMigrationGate {
        blue: Section<RawDatabase>,
        green: Section<RawDatabase>,
        tables: Section<Vec<Spanned<RawTable>>>,
        queries: Section<Vec<Spanned<RawQueryCheck>>>,
        schema: Section<RawSchemaCheck>,
        older_traces: Section<RawOlderTraces>,
    }
    RawOlderTraces {
        services: Section<Vec<Spanned<String>>>,
        since: Text,
        sample: Text,
        at_least: Text,
        least: Text,
    }
    RawDatabase { dsn_file: Text, dsn_variable: Text, tls: Section<RawTls> }
    RawTable {
        name: Text,
        key: Section<Vec<Spanned<String>>>,
        columns: Section<Vec<Spanned<String>>>,
        left_out: Section<Vec<Spanned<RawLeftOut>>>,
        filter: Text,
        rows: Text,
    }
    RawLeftOut { column: Text, reason: Text }
    RawQueryCheck { name: Text, sql: Text, green: Text }
    RawSchemaCheck {
        schemas: Section<Vec<Spanned<String>>>,
        expected: Section<Vec<Spanned<RawSchemaDifference>>>,
    }
    RawSchemaDifference { path: Text, reason: Text }
    RawProbeGate {
        calls: Section<Vec<Spanned<RawCall>>>,
        agents: Section<RawAgents>,
        from_controller: Text,
        slower_by: Text,
        slower_by_at_least: Text,
    }
    RawCall {
        name: Text,
        http: Text,
        tcp: Text,
        tls: Text,
        dns: Text,
        grpc_health: Text,
        status: Text,
        method: Text,
        server_name: Text,
        min_validity: Text,
        records: Text,
        service: Text,
        repetitions: Text,
        timeout: Text,
    }
    RawAgents { blue: Section<RawAgent>, green: Section<RawAgent> }
    RawAgent { url: Text, token_file: Text, tls: Section<RawTls> }
    RawDependenciesGate {
        at_least: Text,
        more_errors: Text,
        slower_by: Text,
        slower_by_at_least: Text,
        by: Text,
        same: Section<BTreeMap<String, Spanned<String>>>,
        exceptions: Section<Vec<Spanned<RawDependencyException>>>,
    }
    RawDependencyException { dependency: Text, reason: Text, expires: Text }
    RawLoadGate {
        peak: Text,
        topology: Text,
        recording: Text,
        identity: Text,
        multiple: Text,
        r#for: Text,
        warm_up: Text,
        loss_at_most: Text,
        quantile: Text,
        slower_by: Text,
    }
    RawSecurityGate {
        at_least: Text,
        exceptions: Section<Vec<Spanned<RawException>>>,
        policies: Section<Vec<Spanned<RawPolicy>>>,
        reports: Section<RawReports>,
        ports: Section<Vec<Spanned<RawDebugPort>>>,
        context: Section<BTreeMap<String, Spanned<String>>>,
    }
    RawException { id: Text, component: Text, reason: Text, expires: Text }
    RawPolicy { shipped: Text, name: Text, rego: Text }
    RawReports { blue: Section<Vec<Spanned<String>>>, green: Section<Vec<Spanned<String>>> }
    RawDebugPort { port: Text, name: Text }
    RawDriftGate {
        expected: Section<Vec<Spanned<RawExpected>>>,
        expected_live: Section<Vec<Spanned<RawExpected>>>,
    }
    RawExpected { path: Text, r#in: Text, reason: Text, expires: Text }
    RawApprovalGate { role: Text, count: Text, expires: Text, break_glass: Section<RawBreakGlass> }
    RawBreakGlass { review_within: Text }
    RawAcceptanceGate {
        testers: Section<Vec<Spanned<String>>>,
        count: Text,
        expires: Text,
        traces: Text,
        route: Section<RawTesterRoute>,
    }
    RawTesterRoute { header: Text, resource_attribute: Text }
    RawProofs { cosignatures: Text }
    RawGuards {
        span_loss: Section<RawAtMost>,
        error_rate: Section<RawWorse>,
        latency: Section<RawLatency>,
        service_latency: Section<RawLatency>,
        blind_spots: Section<RawAtMost>,
        findings: Section<RawWorse>,
        drift: Section<RawEvery>,
        leaks: Section<TextOr<RawLeaks>>,
        metrics: Section<Vec<Spanned<RawMetric>>>,
    }
    RawMetric {
        name: Text,
        prometheus: Section<RawPrometheus>,
        stores: Text,
        events: Section<TextOr<RawPair>>,
        total: Section<TextOr<RawPair>>,
        every: Text,
        worse_than_active_by: Text,
        on_error: Text,
        critical: Text,
    }
    RawPrometheus { url: Text, tls: Section<RawTls>, bearer_token_file: Text }
    RawPair { blue: Text, green: Text }
    RawAtMost { at_most: Text }
    RawWorse { worse_than_active_by: Text }
    RawLatency { quantile: Text, worse_than_active_by: Text }
    RawEvery { every: Text }
    RawAnalysis { false_alarm: Text, false_promotion: Text, on_inconclusive: Text, batch: Text }
    RawVerification { horizon: Text, linger: Text }
    RawCanary { every: Text, on_leak: Text }
    RawLeaks { on_leak: Text, expected: Section<Vec<Spanned<RawTolerated>>> }
    RawTolerated { key: Text, reason: Text, expires: Text }
    RawRedaction {
        classes: Section<BTreeMap<String, Spanned<String>>>,
        keys: Section<BTreeMap<String, Spanned<String>>>,
    }
    RawTraffic { expected: Text, errors: Text }
}
