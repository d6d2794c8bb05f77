#!/usr/bin/env python3
"""Approves a rollout with a passkey in a real Chromium, and has the bundle verified.

A virtual authenticator (W3C WebDriver extension of WebAuthn, section 11) makes a passkey at /passkeys; its line goes into
verdigris.yaml; the page of approvals signs with it; the rollout goes on, and `audit verify --approvers` takes it. Needs
`chromium` and `chromedriver` on the PATH, and the binary: e2e/passkey.py [target/debug/verdigris] [FOLDER FOR SCREENSHOTS].

The pages come through a proxy on localhost that speaks HTTP to the server's Unix socket and adds the policy that the port has.
"""

import base64
import http.client
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
LIMIT_S = 60
STEPS = 600

PLAN = """apiVersion: verdigris.dev/v1alpha1
kind: Rollout
metadata: {{ name: e2e, reason: A passkey approves }}
spec:
  subject: pipeline
  environments:
    blue: {{ version: "1", otlp: {{ grpc: "{blue}" }} }}
    green: {{ version: "2", otlp: {{ grpc: "{green}" }} }}
  strategy:
    steps: [{{ gate: approval }}, {{ setWeight: 100% }}, {{ pause: {{}} }}, {{ bake: {{ for: 1s }} }}]
  gates: {{ approval: {{ role: approver, count: 1, expires: 1h, breakGlass: {{ reviewWithin: 1h }} }} }}
  guards: {{ spanLoss: {{ atMost: 1% }} }}
  analysis: {{ falseAlarm: 0.001, onInconclusive: hold }}
  canary: off
"""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT_S)
        self.sock.connect(self.path)


def proxy(path):
    class Handler(http.server.BaseHTTPRequestHandler):
        def forward(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            server = UnixConnection(path)
            keep = {k: v for k, v in self.headers.items() if k.lower() in ("content-type", "accept")}
            server.request(self.command, self.path, body, keep)
            answer = server.getresponse()
            said = answer.read()
            self.send_response(answer.status)
            for name in ("content-type", "location"):
                if answer.getheader(name):
                    self.send_header(name, answer.getheader(name))
            self.send_header("content-security-policy", POLICY)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = forward

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


class Browser:
    def __init__(self, folder):
        port = free_port()
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL)
        self.base = f"http://127.0.0.1:{port}"
        eventually("chromedriver", lambda: self.ask("GET", "/status")["ready"])
        flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
        flags += f" --disable-component-update --disable-sync --user-data-dir={folder}/chromium --window-size=1280,1400"
        wanted = {"goog:chromeOptions": {"args": flags.split()}, "goog:loggingPrefs": {"browser": "ALL"}}
        wanted["webauthn:virtualAuthenticators"] = True
        made = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.base += "/session/" + made["sessionId"]

    def ask(self, method, path, body=None):
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.base + path, data, {"content-type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from None

    def go(self, url):
        self.ask("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector):
        found = self.ask("POST", "/element", {"using": "css selector", "value": selector})
        return next(iter(found.values()))

    def click(self, selector):
        self.ask("POST", f"/element/{self.find(selector)}/click")

    def type(self, selector, text):
        self.ask("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def shoot(self, path):
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    def errors(self):
        logged = self.ask("POST", "/se/log", {"type": "browser"})
        return [line["message"] for line in logged if line["level"] in ("SEVERE", "WARNING")]

    def authenticator(self, verified):
        options = {"protocol": "ctap2", "transport": "internal", "hasUserVerification": True}
        options |= {"hasResidentKey": True, "isUserVerified": verified}
        return self.ask("POST", "/webauthn/authenticator", options)

    def close(self):
        try:
            self.ask("DELETE", "")
        finally:
            self.driver.terminate()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def eventually(what, look):
    last = None
    for _ in range(STEPS):
        try:
            last = look()
            if last:
                return last
        except (OSError, KeyError, RuntimeError) as error:
            last = error
        time.sleep(LIMIT_S / STEPS)
    raise SystemExit(f"never: {what}; last seen: {last!r}")


def main():
    binary = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/debug/verdigris")
    shots = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        config, uid = folder / "verdigris.yaml", os.getuid()
        blue, green = (f"http://127.0.0.1:{free_port()}" for _ in range(2))

        def configure(principals):
            listen = '{ grpc: "127.0.0.1:0", http: "127.0.0.1:0" }'
            text = f'listen: {listen}\ntaps:\n  blue: {listen}\n  green: {listen}\nserving: {{ otlp: {{ grpc: "{blue}" }} }}\ndata: data\n'
            config.write_text(text + "principals:\n" + principals)

        def verdigris(*arguments, code=0):
            ran = subprocess.run([binary, *arguments], capture_output=True, text=True, cwd=folder, timeout=LIMIT_S)
            assert ran.returncode == code, (arguments, ran)
            return ran.stdout + ran.stderr

        configure(f"  - {{ name: ada, roles: [author], uids: [{uid}] }}\n")
        server = subprocess.Popen(
            [binary, "serve", "--format", "json", "--config", str(config)],
            stdout=subprocess.PIPE, stderr=open(folder / "log", "w"), text=True, cwd=folder,
        )
        browser = None
        try:
            said = json.loads(server.stdout.readline())
            path = str(folder / "data/verdigris.sock")
            plan = folder / "plan.yaml"
            plan.write_text(PLAN.format(blue=blue, green=green))
            verdigris("rollout", "start", str(plan), "--socket", path)
            site = f"http://localhost:{proxy(path)}"
            browser = Browser(folder)
            authenticator = browser.authenticator(True)

            # An IP address has no passkeys, and the page says so.
            browser.go(site.replace("localhost", "127.0.0.1") + "/passkeys")
            assert "IP address" in browser.text("[role=status]"), browser.text("[role=status]")
            browser.go(site + "/passkeys")
            browser.click("[data-passkey] button")
            line = eventually("a line", lambda: browser.text("[data-made=line]"))
            assert line.startswith("webauthn ") and line.endswith(f" localhost {site}"), line
            fingerprint = browser.text("[data-made=fingerprint]")
            if shots:
                browser.shoot(shots / "passkeys.png")

            # Whoever keeps verdigris.yaml says whose it is.
            configure(f'  - {{ name: ada, roles: [author] }}\n  - {{ name: bob, roles: [approver], uids: [{uid}], keys: ["{line}"] }}\n')
            server.send_signal(signal.SIGHUP)

            def known():
                browser.go(site + "/passkeys")
                return fingerprint in browser.text("main")

            eventually("the passkey to be bob's", known)

            approvals = site + "/rollouts/e2e.1/approvals"

            def offered():
                browser.go(approvals)
                return browser.text("#statement")

            eventually("a statement", offered)
            if shots:
                browser.shoot(shots / "approvals.png")
            # A pasted text that is no signature is refused, in words.
            browser.type("#signature", "no signature")
            browser.click("form[method=post] button")
            eventually("a refusal", lambda: "no signature as `ssh-keygen" in browser.text("[role=alert]"))

            # Nobody is recognised: nothing is signed, nothing is handed in.
            uv = f"/webauthn/authenticator/{authenticator}/uv"
            browser.ask("POST", uv, {"isUserVerified": False})
            browser.go(approvals)
            browser.click("[data-passkey] button")
            eventually("nothing signed", lambda: "Nothing was signed" in browser.text("[data-passkey] [role=status]"))
            assert "nobody yet" in browser.text("#given")
            browser.ask("POST", uv, {"isUserVerified": True})

            browser.go(approvals)
            browser.click("[data-passkey] button")
            eventually("the approval", lambda: "bob" in browser.text("#given") or "bob" in browser.text("main h2 + p"))
            status = lambda: json.loads(verdigris("rollout", "status", "--format", "json", "--socket", path))
            report = eventually("the shift", lambda: (it := status())["weightOrdered"] == 10_000 and it)
            assert [it["by"] for it in report["approvals"]] == ["bob"], report["approvals"]
            if shots:
                browser.go(approvals)
                browser.shoot(shots / "approved.png")
            # The refusal of above, and that RSA is not taken: Chromium would rather have it among the algorithms.
            known = ("409", "favicon", "pubKeyCredParams")
            wrong = [line for line in browser.errors() if not any(it in line for it in known)]
            assert not wrong, wrong

            key = said["ledger"]["verifierKey"]
            verdigris("ledger", "verify", "--dir", "data/ledger", "--key", key)
            verdigris("ledger", "export", "e2e.1", "--dir", "data/ledger", "--key", key, "--out", "bundle.tar")
            shown = verdigris("ledger", "show", "--dir", "data/ledger")
            assert f"a passkey at {site}" in shown, shown
            audit = ["audit", "verify", "bundle.tar", "--key", "data/ledger.key.pub", "--approvers", "allowed"]
            (folder / "allowed").write_text(f"bob {line} bob's phone\n")
            assert json.loads(verdigris(*audit, "--format", "json"))["approvals"] == 1
            (folder / "allowed").write_text(f"bob {line.replace('localhost http', 'localhost https')}\n")
            refused = verdigris(*audit, code=5)
            assert "none of the 1 key(s) that are known" in refused, refused
            verdigris("audit", "replay", "bundle.tar", "--key", "data/ledger.key.pub")
            print(f"bob approved e2e.1 with the passkey {fingerprint}; the auditor's check holds")
        finally:
            if browser:
                browser.close()
            server.terminate()
            server.wait(LIMIT_S)


if __name__ == "__main__":
    main()
