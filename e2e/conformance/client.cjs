/**
 * Sends what files of OTLP/JSON say, through the real OpenTelemetry SDK and its exporters for JavaScript: the same command
 * line and the same output as client.py, which says more. The protocol may be http/json too. Besides, each entry of the
 * output has `warnings`, what the SDK logged as such: it tells of a partial success in no other way.
 *
 * Needs the packages of e2e/package.json: run it with NODE_PATH=target/e2e/node/node_modules.
 */
'use strict';

const fs = require('node:fs');
const { parseArgs } = require('node:util');
const { createTraceState, diag, DiagLogLevel, ROOT_CONTEXT, trace, TraceFlags } = require('@opentelemetry/api');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BasicTracerProvider, BatchSpanProcessor, SamplingDecision } = require('@opentelemetry/sdk-trace-base');
const { MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const { BatchLogRecordProcessor, LoggerProvider } = require('@opentelemetry/sdk-logs');

const PACKAGES = { grpc: 'grpc', 'http/protobuf': 'proto', 'http/json': 'http' };
const EXPORTERS = {
  traces: ['trace', 'OTLPTraceExporter'],
  metrics: ['metrics', 'OTLPMetricExporter'],
  logs: ['logs', 'OTLPLogExporter'],
};

/** A new exporter of one signal. */
function exporter(target, signal) {
  const [name, constructor] = EXPORTERS[signal];
  const { [constructor]: Exporter } = require(`@opentelemetry/exporter-${name}-otlp-${PACKAGES[target.protocol]}`);
  const compression = target.gzip ? 'gzip' : 'none';
  const options = { compression, timeoutMillis: target.timeoutMillis };
  const [ca, cert, key] = [target.ca, target.cert, target.key].map(path => path && fs.readFileSync(path));
  if (target.protocol === 'grpc') {
    options.url = target.endpoint;
    if (target.endpoint.startsWith('https:')) {
      options.credentials = require('@grpc/grpc-js').credentials.createSsl(ca, key, cert);
    }
  } else {
    options.url = `${target.endpoint}/v1/${signal}`;
    if (target.endpoint.startsWith('https:')) {
      options.httpAgentOptions = { ca, cert, key };
    }
  }
  return new Exporter(options);
}

/** Sends what is left. What was refused fails the shutdown too; `watch` has counted that. */
async function shutDown(provider) {
  await provider.shutdown().catch(() => {});
}

/** Counts what the exporter says, in exports. */
function watch(outcome, exporter) {
  const send = exporter.export.bind(exporter);
  exporter.export = (data, done) =>
    send(data, result => {
      outcome[result.code === 0 ? 'acknowledged' : 'refused'] += 1;
      done(result);
    });
  return exporter;
}

/** What an AnyValue is in JavaScript. Its numbers are doubles; who wrote the file knows that. */
function value(anyValue) {
  const [[kind, content]] = Object.entries(anyValue);
  switch (kind) {
    case 'intValue':
      return Number(content);
    case 'bytesValue':
      return new Uint8Array(Buffer.from(content, 'base64'));
    case 'arrayValue':
      return content.values.map(value);
    case 'kvlistValue':
      return attributes(content.values);
    default:
      return content;
  }
}

function attributes(keyValues) {
  return Object.fromEntries(keyValues.map(keyValue => [keyValue.key, value(keyValue.value)]));
}

function resource(items) {
  return resourceFromAttributes(attributes(items.resource.attributes), { schemaUrl: items.schemaUrl || undefined });
}

function scope(items) {
  return [items.scope.name, items.scope.version || undefined, { schemaUrl: items.schemaUrl || undefined }];
}

/** The SDK's time: seconds and nanoseconds. */
function time(unixNano) {
  const nanos = BigInt(unixNano);
  return [Number(nanos / 1_000_000_000n), Number(nanos % 1_000_000_000n)];
}

function contextOf(traceId, spanId, state) {
  return { traceId, spanId, traceFlags: TraceFlags.SAMPLED, traceState: state ? createTraceState(state) : undefined };
}

/** A context whose span is this one; an empty one if there is none. */
function within(traceId, spanId) {
  return spanId ? trace.setSpanContext(ROOT_CONTEXT, contextOf(traceId, spanId)) : ROOT_CONTEXT;
}

/** Gives the next span the ids and the trace state that the file has for it. */
class Script {
  span = {};
  generateSpanId = () => this.span.spanId;
  generateTraceId = () => this.span.traceId;
  shouldSample = (_context, _traceId, _name, _kind, attributes) => ({
    decision: SamplingDecision.RECORD_AND_SAMPLED,
    attributes,
    traceState: this.span.traceState ? createTraceState(this.span.traceState) : undefined,
  });
}

async function sendTraces(request, exporter) {
  for (const resourceSpans of request.resourceSpans) {
    const script = new Script();
    const provider = new BasicTracerProvider({
      resource: resource(resourceSpans),
      sampler: script,
      idGenerator: script,
      spanProcessors: [new BatchSpanProcessor(exporter())],
    });
    for (const scopeSpans of resourceSpans.scopeSpans) {
      const tracer = provider.getTracer(...scope(scopeSpans));
      for (const span of scopeSpans.spans) {
        script.span = span;
        sendSpan(tracer, span);
      }
    }
    await shutDown(provider);
  }
}

function sendSpan(tracer, span) {
  const links = span.links.map(link => ({
    context: contextOf(link.traceId, link.spanId, link.traceState),
    attributes: attributes(link.attributes),
  }));
  const options = {
    kind: span.kind - 1,
    attributes: attributes(span.attributes),
    links,
    startTime: time(span.startTimeUnixNano),
  };
  const started = tracer.startSpan(span.name, options, within(span.traceId, span.parentSpanId));
  for (const event of span.events) {
    started.addEvent(event.name, attributes(event.attributes), time(event.timeUnixNano));
  }
  if (span.status?.code) {
    started.setStatus({ code: span.status.code, message: span.status.message || undefined });
  }
  started.end(time(span.endTimeUnixNano));
}

async function sendLogs(request, exporter) {
  for (const resourceLogs of request.resourceLogs) {
    const provider = new LoggerProvider({
      resource: resource(resourceLogs),
      processors: [new BatchLogRecordProcessor({ exporter: exporter() })],
    });
    for (const scopeLogs of resourceLogs.scopeLogs) {
      const logger = provider.getLogger(...scope(scopeLogs));
      for (const record of scopeLogs.logRecords) {
        logger.emit({
          timestamp: time(record.timeUnixNano),
          observedTimestamp: time(record.observedTimeUnixNano),
          severityNumber: record.severityNumber,
          severityText: record.severityText || undefined,
          eventName: record.eventName || undefined,
          body: value(record.body),
          attributes: attributes(record.attributes),
          context: within(record.traceId, record.spanId),
        });
      }
    }
    await shutDown(provider);
  }
}

async function sendMetrics(request, exporter) {
  for (const resourceMetrics of request.resourceMetrics) {
    // The one export is that of the shutdown.
    const reader = new PeriodicExportingMetricReader({ exporter: exporter(), exportIntervalMillis: 3_600_000 });
    const provider = new MeterProvider({ resource: resource(resourceMetrics), readers: [reader] });
    for (const scopeMetrics of resourceMetrics.scopeMetrics) {
      const meter = provider.getMeter(...scope(scopeMetrics));
      for (const metric of scopeMetrics.metrics) {
        sendMetric(meter, metric);
      }
    }
    await shutDown(provider);
  }
}

function sendMetric(meter, metric) {
  const options = { description: metric.description || undefined, unit: metric.unit || undefined };
  let points, measure;
  if (metric.gauge) {
    const gauge = meter.createGauge(metric.name, options);
    [points, measure] = [metric.gauge.dataPoints, (value, attributes) => gauge.record(value, attributes)];
  } else if (metric.histogram) {
    const histogram = meter.createHistogram(metric.name, options);
    [points, measure] = [metric.histogram.dataPoints, (value, attributes) => histogram.record(value, attributes)];
  } else {
    const int = { ...options, valueType: 0 };
    const sum = metric.sum.isMonotonic ? meter.createCounter(metric.name, int) : meter.createUpDownCounter(metric.name, int);
    [points, measure] = [metric.sum.dataPoints, (value, attributes) => sum.add(value, attributes)];
  }
  for (const point of points) {
    // A histogram's point is of one measurement, so that its sum is that.
    measure(point.asInt !== undefined ? Number(point.asInt) : point.asDouble ?? point.sum, attributes(point.attributes));
  }
}

const EMPTY = { traces: [], metrics: { resource: resourceFromAttributes({}), scopeMetrics: [] }, logs: [] };
const SENDERS = { traces: sendTraces, metrics: sendMetrics, logs: sendLogs };

async function send(target, path) {
  const requests = JSON.parse(fs.readFileSync(path, 'utf8'));
  const outcomes = { warnings: [] };
  const log = () => {};
  const warn = (...words) => outcomes.warnings.push(words.join(' '));
  diag.setLogger({ error: log, warn, info: log, debug: log, verbose: log }, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  for (const [signal, request] of Object.entries(requests)) {
    const outcome = { acknowledged: 0, refused: 0 };
    const empty = watch(outcome, exporter(target, signal));
    await new Promise(resolve => empty.export(EMPTY[signal], resolve));
    await empty.shutdown();
    await SENDERS[signal](request, () => watch(outcome, exporter(target, signal)));
    outcomes[signal] = outcome;
  }
  return outcomes;
}

async function main() {
  const { values } = parseArgs({
    options: {
      endpoint: { type: 'string' },
      protocol: { type: 'string' },
      ca: { type: 'string' },
      cert: { type: 'string' },
      key: { type: 'string' },
      'export-timeout': { type: 'string', default: '10' },
      send: { type: 'string', multiple: true },
    },
  });
  if (!values.endpoint || !values.send || !PACKAGES[values.protocol]) {
    console.error('usage: client.cjs --endpoint URL --protocol grpc|http/protobuf|http/json --send plain:FILE|gzip:FILE …');
    return 2;
  }
  const outcomes = [];
  for (const sending of values.send) {
    const [, compression, path] = /^(plain|gzip):(.+)$/.exec(sending) ?? [];
    if (!compression) {
      console.error(`--send ${sending}: expected plain:FILE or gzip:FILE`);
      return 2;
    }
    const timeoutMillis = Number(values['export-timeout']) * 1000;
    outcomes.push(await send({ ...values, gzip: compression === 'gzip', timeoutMillis }, path));
  }
  console.log(JSON.stringify(outcomes));
  return 0;
}

main().then(code => process.exit(code));
