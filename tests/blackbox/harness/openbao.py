"""A real OpenBao, from $OPENBAO, that tests handle as they do the double (harness/vault.py). The gateway reaches it through a relay that passes every byte
as it is, and that can be slow or gone where a server can't be told to."""

import contextlib
import json
import os
import re
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

from .vault import TOKEN

ROOT = "root-of-openbao"
ALLOWED = 'path "secret/*" {capabilities = ["create", "read", "update", "delete", "list"]} path "kv/*" {capabilities = ["create", "read", "update", "delete", "list"]}'
GRANTED = {"token_policies": ["gateway"], "token_ttl": "1h"}
REVIEWER = "token-of-the-reviewer"
READING = 'path "secret/data/*" {capabilities = ["read"]}'
FORBIDDEN = 'path "*" {capabilities = ["deny"]}'
REQUEST = re.compile(rb"^(GET|POST|PUT|DELETE|LIST) (/v1/[^ ?]*)\S* HTTP/1.1\r\n", re.MULTILINE)
STARTED_WITHIN = 30


class Relay:
    """A port that leads to another one. on_request sees each request before the server does."""

    def __init__(self, to, on_request):
        self.to, self.on_request = to, on_request
        self.delay = 0
        self.port = 0
        self.listener = None
        self.start()

    def start(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        self.open = []
        threading.Thread(target=self.accept, args=(self.listener, self.open), daemon=True).start()

    def stop(self):
        if not self.listener:
            return
        listener, self.listener = self.listener, None
        for one in (listener, *self.open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def accept(self, listener, opened):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self.to))
                opened += [client, server]
                threading.Thread(target=self.pump, args=(client, server, self.look), daemon=True).start()
                threading.Thread(target=self.pump, args=(server, client, self.hold), daemon=True).start()

    def pump(self, source, sink, before):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                before(data)
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def look(self, data):
        for method, path in REQUEST.findall(data):
            self.on_request(method.decode(), path.decode())

    def hold(self, _):
        if self.delay:
            time.sleep(self.delay)


class Reviewer:
    """What a cluster's API says of a service account's token."""

    def __init__(self, jwt):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = {"authenticated": False}
                if self.headers["Authorization"] == f"Bearer {REVIEWER}" and asked["spec"]["token"] == jwt:
                    status = {"authenticated": True, "user": {"username": "system:serviceaccount:llm:gateway", "uid": "uid-1"}}
                data = json.dumps({**asked, "status": status}).encode()
                self.send_response(201)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class OpenBao:
    """A server in memory, of one test: engines at `secret` and `kv`, and the gateway's token."""

    def __init__(self):
        self.behind = 0
        self.requests = []
        self.relay = self.reviewer = None
        self.folder = tempfile.TemporaryDirectory(prefix="openbao-")
        self.log = Path(self.folder.name) / "log"
        self.port = free_port()
        self.process = self.run()
        try:
            self.wait_for(lambda: "Root Token:" in self.log.read_text())
            self.unseal_key = re.search(r"Unseal Key: (\S+)", self.log.read_text()).group(1)
            self.furnish()
            self.relay = Relay(self.port, self.on_request)
        except BaseException:
            self.close()
            raise
        self.address = f"http://127.0.0.1:{self.relay.port}"

    def run(self):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("BAO_", "VAULT_"))}
        arguments = ["server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={ROOT}", f"-dev-listen-address=127.0.0.1:{self.port}"]
        with open(self.log, "wb") as log:
            return subprocess.Popen([os.environ["OPENBAO"], *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder.name,
                                    env={**env, "HOME": self.folder.name})

    def furnish(self):
        self.call("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
        self.call("PUT", "sys/policies/acl/gateway", {"policy": ALLOWED})
        self.call("POST", "auth/token/create", {"id": TOKEN, "policies": ["gateway"], "no_parent": True})
        self.wait_for(lambda: self.ask("GET", "secret/data/none", token=ROOT)[0] == 404)

    def close(self):
        for started in (self.relay, self.reviewer):
            if started:
                started.stop()
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def wait_for(self, what):
        until = time.monotonic() + STARTED_WITHIN
        while not what():
            assert self.process.poll() is None and time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)

    def ask(self, method, path, body=None, token=TOKEN):
        """The status and the answer of one request, not through the relay."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/{path}", data, {"X-Vault-Token": token}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as answer:
            return answer.code, json.loads(answer.read() or b"null")

    def call(self, method, path, body=None):
        status, answer = self.ask(method, path, body, ROOT)
        assert status in (200, 204), (method, path, status, answer)
        return answer

    # What a test does to it; as the double's.

    def put(self, path, **members):
        self.call("POST", path, {"data": members} if path.startswith("secret/") else members)

    def remove(self, path):
        self.call("DELETE", path.replace("secret/data/", "secret/metadata/"))

    def delete_latest(self, path):
        self.call("DELETE", path)

    def get(self, path):
        answer = self.call("GET", path)
        return answer["data"]["data"] if path.startswith("secret/") else answer["data"]

    def let_log_in(self, by, **proof):
        self.call("POST", f"sys/auth/{by}", {"type": by})
        if by == "approle":
            self.call("POST", "auth/approle/role/gateway", GRANTED)
            self.call("POST", "auth/approle/role/gateway/role-id", {"role_id": proof["role_id"]})
            self.call("POST", "auth/approle/role/gateway/custom-secret-id", {"secret_id": proof["secret_id"]})
        else:
            self.reviewer = Reviewer(proof["jwt"])
            cluster = {"kubernetes_host": self.reviewer.address, "kubernetes_ca_cert": trustme.CA().cert_pem.bytes().decode()}
            self.call("POST", "auth/kubernetes/config", {**cluster, "token_reviewer_jwt": REVIEWER, "disable_local_ca_jwt": True})
            bound = {"bound_service_account_names": ["gateway"], "bound_service_account_namespaces": ["llm"]}
            self.call("POST", f"auth/kubernetes/role/{proof['role']}", {**bound, **GRANTED})

    def forget_logins(self):
        for by in ("approle", "kubernetes"):
            self.call("PUT", f"sys/leases/revoke-prefix/auth/{by}/login")

    @property
    def logins(self):
        return sum(path.endswith("/login") for _, path in self.requests)

    def restrict(self):
        self.call("PUT", "sys/policies/acl/gateway", {"policy": READING})

    def away(self, how):
        if how == "sealed":
            self.call("PUT", "sys/seal")
        elif how == "forbidden":
            self.call("PUT", "sys/policies/acl/gateway", {"policy": FORBIDDEN})
        elif how == "gone":
            self.relay.stop()
        elif how == "slow":
            self.relay.delay = 30

    def back(self):
        self.relay.delay = 0
        if not self.relay.listener:
            self.relay.start()
        if self.ask("GET", "sys/seal-status")[1]["sealed"]:
            self.call("PUT", "sys/unseal", {"key": self.unseal_key})
            self.wait_for(lambda: self.ask("GET", "secret/data/none", token=ROOT)[0] == 404)
        self.call("PUT", "sys/policies/acl/gateway", {"policy": ALLOWED})

    # What the relay sees.

    def on_request(self, method, path):
        self.requests.append((method, path))
        if self.behind and method in ("POST", "PUT") and path.startswith("/v1/secret/data/"):
            self.behind -= 1
            path = path.removeprefix("/v1/")
            status, answer = self.ask("GET", path, token=ROOT)
            self.put(path, **(answer["data"]["data"] if status == 200 else {"note": "somebody else's"}))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
