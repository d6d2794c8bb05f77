"""How much of a core open live views take: pages of one rollout, each following its server-sent events.

    live_views.py BINARY [VIEWS] [SECONDS]

Starts a server and a rollout whose mirror step counts down, opens so many views by the web port, and reads the processor time
of the server from /proc before and after. Prints JSON. Python reads what they are sent, so it is not counted.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CONFIG = """listen: { grpc: "127.0.0.1:0", http: "127.0.0.1:0" }
taps:
  blue: { grpc: "127.0.0.1:0", http: "127.0.0.1:0" }
  green: { grpc: "127.0.0.1:0", http: "127.0.0.1:0" }
serving: { otlp: { grpc: "http://127.0.0.1:9" } }
data: data
web: { listen: "127.0.0.1:0" }
"""
PLAN = """apiVersion: verdigris.dev/v1alpha1
kind: Rollout
metadata: { name: views, reason: To be looked at }
spec:
  subject: pipeline
  environments:
    blue: { version: "1", otlp: { grpc: "http://127.0.0.1:9" } }
    green: { version: "2", otlp: { grpc: "http://127.0.0.1:19" } }
  strategy:
    steps: [{ mirror: { for: 1h } }, { setWeight: 100% }, { bake: { for: 1s } }]
  guards: { spanLoss: { atMost: 1% } }
  analysis: { falseAlarm: 0.001, onInconclusive: hold }
  canary: off
"""


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def view(host, port, token, counts, at):
    reader, writer = await asyncio.open_connection(host, port)
    head = f"GET /rollouts/views.1/events HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
    writer.write(head.encode())
    status = await reader.readline()
    assert b" 200 " in status, status
    while chunk := await reader.read(65536):
        counts[at] += chunk.count(b"event: change") + chunk.count(b"event:change")


async def watch(pid, url, token, views, seconds):
    host, port = url.removeprefix("http://").split(":")
    counts = [0] * views
    tasks = [asyncio.create_task(view(host, int(port), token, counts, at)) for at in range(views)]
    await asyncio.sleep(3)
    before, said = cpu_seconds(pid), sum(counts)
    await asyncio.sleep(seconds)
    used = cpu_seconds(pid) - before
    alive = sum(not task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    return {"views": alive, "events": sum(counts) - said, "core": round(used / seconds, 4)}


def main():
    binary = Path(sys.argv[1]).resolve()
    views, seconds = int((sys.argv[2:] or ["200"])[0]), float((sys.argv[3:] or ["20"])[0])
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "verdigris.yaml").write_text(CONFIG, encoding="utf-8")
        (folder / "plan.yaml").write_text(PLAN, encoding="utf-8")
        serve = [binary, "serve", "--format", "json", "--config", folder / "verdigris.yaml"]
        server = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            said = json.loads(server.stdout.readline())
            token = Path(said["web"]["operatorToken"]).read_text(encoding="ascii").strip()
            start = [binary, "rollout", "start", folder / "plan.yaml", "--socket", said["socket"]]
            subprocess.run(start, check=True, stdout=subprocess.DEVNULL)
            for count in (0, views):
                print(json.dumps(asyncio.run(watch(server.pid, said["web"]["url"], token, count, seconds))), flush=True)
        finally:
            server.terminate()
            server.wait()


main()
