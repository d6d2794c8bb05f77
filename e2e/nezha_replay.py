"""Replays real traces as OTLP through the real exporters of the Python SDK.

Each pod of the data has a buffer of its own, as each app has: a trace leaves in as many requests as it has pods, at
different times. A span counts as acknowledged when the exporter returned SUCCESS for its request, never otherwise. Its
key, `trace_id span_id kind` (hex, hex, OTLP's SpanKind), is then appended to --acked. What the exporter gives up is
sent again, the same spans and so the same bytes, until --deadline seconds have passed since it was handed over.

Prints one JSON line of totals at the end, also after SIGTERM or SIGINT. Exit code 0 when every span was acknowledged,
1 when not, 2 for wrong usage.
"""

import argparse
import csv
import dataclasses
import hashlib
import json
import lzma
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

COLUMNS = 8
# One request: at 350 bytes a span, 512 spans (the SDK's own batch size) are 180 KB, far below every receiver's 4 MiB.
MAX_SPANS_PER_REQUEST = 512
# Requests that wait for an exporter: at 180 KB each, 256 are 46 MB. A full queue stops the replay's clock.
MAX_REQUESTS_WAITING = 256
# Between two attempts of ours; the exporter's own backoff (1 s, 2 s, 4 s within --export-timeout) comes before it.
RETRY_PAUSE_S = 0.1
# OTLP's SpanKind is one more than the SDK's.
OTLP_KIND_OFFSET = 1


@dataclasses.dataclass(frozen=True)
class Row:
    """One span of the data."""

    trace_id: str
    span_id: str
    parent_id: str | None
    pod: str
    operation: str
    start_ns: int
    end_ns: int

    @property
    def service(self) -> str:
        return self.pod.rsplit("-", 2)[0]


@dataclasses.dataclass
class Totals:
    """What is printed at the end."""

    traces: int = 0
    spans: int = 0
    acknowledged: int = 0
    not_acknowledged: int = 0
    requests: int = 0
    failed_requests: int = 0
    loops: int = 0
    rows_skipped: int = 0
    rows_repeated: int = 0
    seconds: float = 0.0
    behind_s: float = 0.0


def read_rows(data: Path, totals: Totals) -> list[Row]:
    """Every span once, in the files' order: without header lines, repeated rows, and rows that are none."""
    files = sorted(data.rglob("*.csv.xz"))
    if not files:
        sys.exit(f"nezha_replay: no *.csv.xz under {data}: expected the minutes of the Nezha data set")
    seen: set[tuple[str, str]] = set()
    rows: list[Row] = []
    for file in files:
        with lzma.open(file, "rt", encoding="utf-8", newline="") as lines:
            for fields in csv.reader(lines):
                if not fields or fields[0] == "TraceID":
                    continue
                row = parse_row(fields)
                if row is None:
                    totals.rows_skipped += 1
                elif (row.trace_id, row.span_id) in seen:
                    totals.rows_repeated += 1
                else:
                    seen.add((row.trace_id, row.span_id))
                    rows.append(row)
    return rows


def parse_row(fields: list[str]) -> Row | None:
    """A row whose ids and times can be sent, or None."""
    if len(fields) != COLUMNS:
        return None
    trace_id, span_id, parent, pod, operation, start, end, _duration = fields
    try:
        widths = len(trace_id) == 32 and len(span_id) == 16
        numbers = int(trace_id, 16) > 0 and int(span_id, 16) > 0 and int(end) >= int(start) > 0
        parent_id = None if parent in ("root", "") else f"{int(parent, 16):016x}"
    except ValueError:
        return None
    return Row(trace_id, span_id, parent_id, pod, operation, int(start), int(end)) if widths and numbers else None


def group_traces(rows: list[Row]) -> list[list[Row]]:
    """The traces in the order in which they start; the rows of each in the files' order."""
    traces: dict[str, list[Row]] = {}
    for row in rows:
        traces.setdefault(row.trace_id, []).append(row)
    return sorted(traces.values(), key=lambda trace: (min(row.start_ns for row in trace), trace[0].trace_id))


def replayed_trace_id(trace_id: str, seed: int, loop: int) -> int:
    """The data's own id in the first loop of seed 0, otherwise a fresh one, the same in every run."""
    if seed == 0 and loop == 0:
        return int(trace_id, 16)
    digest = hashlib.blake2b(f"{seed}/{loop}/{trace_id}".encode(), digest_size=16).digest()
    return int.from_bytes(digest) or 1


def kinds(trace: list[Row]) -> dict[str, SpanKind]:
    """The data has no kinds: a span that another service called is a server, one that calls another a client."""
    by_id = {row.span_id: row for row in trace}
    found = {row.span_id: SpanKind.INTERNAL for row in trace}
    for row in trace:
        parent = by_id.get(row.parent_id) if row.parent_id else None
        if parent is not None and parent.service != row.service and found[parent.span_id] is SpanKind.INTERNAL:
            found[parent.span_id] = SpanKind.CLIENT
        if row.parent_id is None or (parent is not None and parent.service != row.service):
            found[row.span_id] = SpanKind.SERVER
    return found


def attributes(operation: str) -> dict[str, str]:
    """What an instrumentation would have said of this operation, by its name's form."""
    if operation.startswith("hipstershop."):
        service, _, method = operation.partition("/")
        return {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
    if operation.startswith("HTTP "):
        return {"http.request.method": operation.removeprefix("HTTP ")}
    if operation.startswith("/"):
        return {"http.route": operation}
    return {"code.function.name": operation}


class Maker:
    """Makes the SDK's spans from rows."""

    def __init__(self, seed: int, note: str | None = None) -> None:
        self.seed = seed
        self.note = {"payment.note": note} if note else {}
        self.resources: dict[str, Resource] = {}
        self.scope = InstrumentationScope("nezha", "2023")

    def spans(self, trace: list[Row], loop: int) -> Iterator[tuple[str, ReadableSpan]]:
        """The pod and the span of each row, shifted so that the trace's last span ends now."""
        trace_id = replayed_trace_id(trace[0].trace_id, self.seed, loop)
        shift_ns = time.time_ns() - max(row.end_ns for row in trace)
        kind_of = kinds(trace)
        for row in trace:
            yield (
                row.pod,
                ReadableSpan(
                    name=row.operation,
                    context=context(trace_id, row.span_id),
                    parent=context(trace_id, row.parent_id) if row.parent_id else None,
                    resource=self.resource(row),
                    attributes=attributes(row.operation) | ({} if row.parent_id else self.note),
                    kind=kind_of[row.span_id],
                    instrumentation_scope=self.scope,
                    start_time=row.start_ns + shift_ns,
                    end_time=row.end_ns + shift_ns,
                ),
            )

    def resource(self, row: Row) -> Resource:
        """One resource for each pod: the encoder groups spans by it."""
        if row.pod not in self.resources:
            self.resources[row.pod] = Resource({"service.name": row.service, "k8s.pod.name": row.pod})
        return self.resources[row.pod]


def context(trace_id: int, span_id: str) -> SpanContext:
    return SpanContext(trace_id, int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def make_exporter(protocol: str, endpoint: str, timeout_s: float, gzip: bool) -> SpanExporter:
    """The real exporter. `endpoint` is `http://host:port` for both protocols."""
    if protocol == "grpc":
        from grpc import Compression
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        compression = Compression.Gzip if gzip else Compression.NoCompression
        return OTLPSpanExporter(endpoint=endpoint, insecure=True, timeout=timeout_s, compression=compression)
    from opentelemetry.exporter.otlp.proto.http import Compression as HttpCompression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter

    return HttpSpanExporter(
        endpoint=endpoint.rstrip("/") + "/v1/traces",
        timeout=timeout_s,
        compression=HttpCompression.Gzip if gzip else HttpCompression.NoCompression,
    )


class Sender:
    """A few exporters, each with a thread, behind one bounded queue."""

    def __init__(self, arguments: argparse.Namespace, totals: Totals, acked: IO[str] | None) -> None:
        self.totals = totals
        self.acked = acked
        self.deadline_s: float = arguments.deadline
        self.drain_s: float = arguments.drain
        self.drain_until_s: float | None = None
        self.lock = threading.Lock()
        self.waiting: queue.Queue[tuple[float, list[ReadableSpan]] | None] = queue.Queue(MAX_REQUESTS_WAITING)
        self.threads = [
            threading.Thread(
                target=self.run,
                args=(make_exporter(arguments.protocol, arguments.endpoint, arguments.export_timeout, arguments.gzip),),
            )
            for _ in range(arguments.exporters)
        ]
        for thread in self.threads:
            thread.start()

    def send(self, spans: list[ReadableSpan]) -> None:
        """Waits while the queue is full: while the receiver is gone, at most until the deadline of what is tried."""
        self.waiting.put((time.monotonic(), spans))

    def begin_drain(self) -> None:
        """From now on nothing is tried for longer than --drain, however full the queue is."""
        if self.drain_until_s is None:
            self.drain_until_s = time.monotonic() + self.drain_s

    def finish(self) -> None:
        """Returns when everything was acknowledged or given up, at most --drain and one export later."""
        self.begin_drain()
        for _ in self.threads:
            self.waiting.put(None)
        for thread in self.threads:
            thread.join()

    def run(self, exporter: SpanExporter) -> None:
        while (request := self.waiting.get()) is not None:
            handed_over_s, spans = request
            self.deliver(exporter, handed_over_s, spans)
        exporter.shutdown()

    def deliver(self, exporter: SpanExporter, handed_over_s: float, spans: list[ReadableSpan]) -> None:
        while time.monotonic() < self.give_up_s(handed_over_s):
            with self.lock:
                self.totals.requests += 1
            if exporter.export(spans) is SpanExportResult.SUCCESS:
                self.acknowledge(spans)
                return
            with self.lock:
                self.totals.failed_requests += 1
            time.sleep(RETRY_PAUSE_S)
        with self.lock:
            self.totals.not_acknowledged += len(spans)

    def give_up_s(self, handed_over_s: float) -> float:
        deadline_s = handed_over_s + self.deadline_s
        return deadline_s if self.drain_until_s is None else min(deadline_s, self.drain_until_s)

    def acknowledge(self, spans: list[ReadableSpan]) -> None:
        with self.lock:
            self.totals.acknowledged += len(spans)
            if self.acked is not None:
                self.acked.write("".join(key(span) for span in spans))
                self.acked.flush()


def key(span: ReadableSpan) -> str:
    ids = span.get_span_context()
    assert ids is not None, "every span of this program has a context"
    return f"{ids.trace_id:032x} {ids.span_id:016x} {span.kind.value + OTLP_KIND_OFFSET}\n"


class Buffers:
    """What each pod has not yet handed to an exporter."""

    def __init__(self, sender: Sender, flush_s: float) -> None:
        self.sender = sender
        self.flush_s = flush_s
        self.spans: dict[str, list[ReadableSpan]] = {}
        self.since_s: dict[str, float] = {}

    def add(self, pod: str, span: ReadableSpan) -> None:
        if pod not in self.spans:
            self.spans[pod] = []
            self.since_s[pod] = time.monotonic()
        self.spans[pod].append(span)
        if len(self.spans[pod]) >= MAX_SPANS_PER_REQUEST:
            self.flush(pod)

    def flush(self, pod: str) -> None:
        self.sender.send(self.spans.pop(pod))
        del self.since_s[pod]

    def flush_old(self, now_s: float) -> None:
        for pod in [pod for pod, since_s in self.since_s.items() if now_s - since_s >= self.flush_s]:
            self.flush(pod)

    def flush_all(self) -> None:
        for pod in list(self.spans):
            self.flush(pod)


def replay(arguments: argparse.Namespace, stop: threading.Event, totals: Totals, sender: Sender) -> None:
    """Sends trace after trace, evenly spaced, until the loops are done or `stop` is set."""
    traces = group_traces(read_rows(arguments.data, totals))
    maker = Maker(arguments.seed, arguments.note)
    buffers = Buffers(sender, arguments.flush_ms / 1000)
    began_s = time.monotonic()
    # A timer and no look at the clock in the loop: `send` waits while the receiver is gone.
    timer = threading.Timer(arguments.seconds, end, (stop, sender)) if arguments.seconds is not None else None
    if timer is not None:
        timer.start()
    while not stop.is_set() and (arguments.loops is None or totals.loops < arguments.loops):
        for trace in traces:
            due_s = began_s + totals.traces / arguments.rate
            if not wait_until(due_s, buffers, stop):
                break
            totals.behind_s = max(totals.behind_s, round(time.monotonic() - due_s, 3))
            for pod, span in maker.spans(trace, totals.loops):
                buffers.add(pod, span)
                totals.spans += 1
            totals.traces += 1
        else:
            totals.loops += 1
    buffers.flush_all()
    if timer is not None:
        timer.cancel()
    totals.seconds = round(time.monotonic() - began_s, 3)


def end(stop: threading.Event, sender: Sender) -> None:
    """No further trace, and --drain seconds for what is under way."""
    stop.set()
    sender.begin_drain()


def wait_until(due_s: float, buffers: Buffers, stop: threading.Event) -> bool:
    """Waits, handing over buffers as they come of age. False when told to stop."""
    while not stop.is_set():
        now_s = time.monotonic()
        buffers.flush_old(now_s)
        if now_s >= due_s:
            return True
        stop.wait(min(due_s - now_s, buffers.flush_s / 4))
    return False


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Replays the Nezha traces as OTLP.")
    parser.add_argument("data", type=Path, help="folder with *.csv.xz, searched with its subfolders")
    parser.add_argument("--endpoint", required=True, help="http://host:port, for grpc and for http")
    parser.add_argument("--protocol", choices=["grpc", "http"], default="grpc")
    parser.add_argument("--gzip", action="store_true", help="compress the requests")
    parser.add_argument("--rate", type=positive, default=50.0, help="traces a second")
    parser.add_argument("--seconds", type=positive, help="how long; without end by default")
    parser.add_argument("--loops", type=int, help="how often over the data; without end by default")
    parser.add_argument("--seed", type=int, default=0, help="0 keeps the data's trace ids in the first loop")
    parser.add_argument("--exporters", type=int, default=4, help="exporters, and so connections")
    parser.add_argument("--flush-ms", type=positive, default=200.0, help="how long a pod collects spans")
    parser.add_argument("--export-timeout", type=positive, default=5.0, help="seconds of one export call")
    parser.add_argument("--deadline", type=positive, default=60.0, help="seconds after which a request is given up")
    parser.add_argument("--drain", type=positive, default=30.0, help="seconds for what is under way at the end")
    parser.add_argument("--note", help="text of an attribute payment.note of every root span")
    parser.add_argument("--acked", type=Path, help="file to which the keys of acknowledged spans are appended")
    return parser.parse_args()


def positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return value


def main() -> int:
    arguments = parse_arguments()
    stop = threading.Event()
    totals = Totals()
    acked = open(arguments.acked, "a", encoding="ascii") if arguments.acked else None
    sender = Sender(arguments, totals, acked)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: end(stop, sender))
    try:
        replay(arguments, stop, totals, sender)
    finally:
        sender.finish()
        if acked is not None:
            acked.close()
    print(json.dumps(dataclasses.asdict(totals)), flush=True)
    return 0 if totals.acknowledged == totals.spans else 1


if __name__ == "__main__":
    sys.exit(main())
