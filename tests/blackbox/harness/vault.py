"""A Vault on a thread, strict as the real one about tokens, AppRole, paths, methods and check-and-set: key-value engines of version 2 at `secret`
and of version 1 at `kv`. It can be sealed, slow, forbid all, lose tokens, or be written to by somebody else. The tests that have it run against a real
OpenBao too (harness/openbao.py), by `scripts/test --openbao`."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "token-of-the-gateway"
TTL_SECONDS = 32 * 86400
DENIED = "1 error occurred:\n\t* permission denied\n\n"
UNSUPPORTED = "1 error occurred:\n\t* unsupported operation\n\n"
NO_SUCH_PATH = "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use."
ENVELOPE = {"request_id": "r", "lease_id": "", "renewable": False, "lease_duration": 0, "data": None, "wrap_info": None, "warnings": None, "auth": None}


class Refusal(Exception):
    def __init__(self, status, *words):
        super().__init__(status, words)
        self.status, self.words = status, list(words)


class Vault:
    def __init__(self, port=0):
        self.lock = threading.RLock()
        self.entries = {}  # of version 2: a list of versions each; None: destroyed
        self.flat = {}  # of version 1
        self.tokens = {TOKEN}
        self.proofs = {}  # by way of logging in: what it takes
        self.is_sealed = self.is_forbidden = self.is_restricted = False
        self.delay = 0
        self.behind = 0  # so many writes find that somebody else has written first
        self.logins = 0
        vault = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self):
                length = int(self.headers.get("Content-Length") or 0)
                status, body = vault.answer(self.command, self.path, self.headers, self.rfile.read(length))
                data = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = do

            def log_message(self, *_):
                pass

        self.handler = Handler
        self.server = None
        self.start(port)

    def start(self, port=None):
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port if port is None else port), self.handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.delay = 0
        self.stop()

    def stop(self):
        """Nobody listens there from now on; start() takes it up again with all that it holds."""
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.thread.join(5)
        self.server = None

    # What a test does to it.

    def put(self, path, **members):
        """Somebody else writes a version (secret/data/... or kv/...)."""
        with self.lock:
            if path.startswith("secret/data/"):
                self.entries.setdefault(path.removeprefix("secret/data/"), []).append(members)
            else:
                self.flat[path.removeprefix("kv/")] = members

    def remove(self, path):
        with self.lock:
            self.entries.pop(path.removeprefix("secret/data/"), None)
            self.flat.pop(path.removeprefix("kv/"), None)

    def delete_latest(self, path):
        """As `vault kv delete`: a 404 with a body from now on."""
        with self.lock:
            self.entries[path.removeprefix("secret/data/")][-1] = None

    def get(self, path):
        with self.lock:
            versions = self.entries.get(path.removeprefix("secret/data/"), [None])
            return versions[-1] if path.startswith("secret/") else self.flat.get(path.removeprefix("kv/"))

    def let_log_in(self, by, **proof):
        """By approle (role_id, secret_id) or kubernetes (role, jwt)."""
        self.proofs[by] = proof

    def forget_logins(self):
        """Their tokens are refused from now on."""
        with self.lock:
            self.tokens &= {TOKEN}

    def restrict(self):
        """The gateway may only read entries from now on, and not look at what they are."""
        self.is_restricted = True

    def away(self, how):
        if how == "sealed":
            self.is_sealed = True
        elif how == "forbidden":
            self.is_forbidden = True
        elif how == "gone":
            self.stop()
        elif how == "slow":
            self.delay = 30

    def back(self):
        """From whatever away() did."""
        self.is_sealed = self.is_forbidden = False
        self.delay = 0
        if not self.server:
            self.start()

    def ask(self, method, path, body=None, token=TOKEN):
        """The status and the answer of one request, as if it had come from outside."""
        return self.answer(method, f"/v1/{path}", {"X-Vault-Token": token}, b"" if body is None else json.dumps(body).encode())

    # What it answers.

    def answer(self, method, target, headers, body):
        if self.delay:
            time.sleep(self.delay)
        with self.lock:
            url = urlsplit(target)
            try:
                if not url.path.startswith("/v1/"):
                    raise Refusal(404, "no handler for route")
                if self.is_sealed:
                    raise Refusal(503, "Vault is sealed")
                status, said = self.route(method, url.path.removeprefix("/v1/"), parse_qs(url.query), headers, body)
                return status, None if said is None else {**ENVELOPE, **said}
            except Refusal as refusal:
                return refusal.status, {"errors": refusal.words}

    def route(self, method, path, query, headers, body):
        by = path.removeprefix("auth/").removesuffix("/login")
        if path == f"auth/{by}/login" and by in self.proofs and method in ("POST", "PUT"):
            return self.log_in(by, json.loads(body))
        token = headers.get("X-Vault-Token")
        if token not in self.tokens:
            raise Refusal(403, "permission denied")
        if not self.allows(method, path):
            raise Refusal(403, DENIED)
        if path == "auth/token/lookup-self" and method == "GET":
            return 200, {"data": {"id": token, "ttl": TTL_SECONDS, "renewable": True, "expire_time": "2027-01-01T00:00:00Z", "type": "service"}}
        if path == "auth/token/renew-self" and method in ("POST", "PUT"):
            return 200, {"auth": {"client_token": token, "lease_duration": TTL_SECONDS, "renewable": True}}
        if path.startswith("sys/internal/ui/mounts/") and method == "GET":
            mount = path.removeprefix("sys/internal/ui/mounts/").split("/")[0]
            if mount not in ("secret", "kv"):
                raise Refusal(403, f"preflight capability check returned 403, please ensure client's policies grant access to path \"{mount}/\"")
            version = "2" if mount == "secret" else "1"
            return 200, {"data": {"path": mount + "/", "type": "kv", "options": {"version": version}}}
        mount, slash, rest = path.partition("/")
        is_list = method == "LIST" or query.get("list") == ["true"]
        if mount == "kv" and slash:
            return self.version_1(method, rest, is_list, body)
        if mount != "secret" or not slash:
            raise Refusal(403, DENIED)
        kind, slash, rest = rest.partition("/")
        if kind == "data" and slash:
            return self.data(method, rest, is_list, query.get("version", ["0"])[0], body)
        if kind == "metadata" and slash:
            return self.metadata(method, rest, is_list)
        return 404, {"warnings": [NO_SUCH_PATH]}

    def allows(self, method, path):
        if self.is_restricted and not path.startswith(("auth/token/", "sys/internal/")):
            return method == "GET" and path.startswith("secret/data/")
        return not self.is_forbidden

    def log_in(self, by, asked):
        self.logins += 1
        if by == "approle" and asked != self.proofs[by]:
            raise Refusal(400, "invalid role or secret ID")
        if asked.get("role") != self.proofs[by].get("role"):
            raise Refusal(400, f'invalid role name "{asked.get("role")}"')
        if asked != self.proofs[by]:
            raise Refusal(403, "permission denied")
        token = f"hvs.of-login-{self.logins}"
        self.tokens.add(token)
        return 200, {"auth": {"client_token": token, "accessor": "a", "lease_duration": TTL_SECONDS, "renewable": True}}

    @staticmethod
    def about(number, is_deleted=False):
        return {"created_time": "2026-11-21T10:00:00Z", "custom_metadata": None, "destroyed": False, "version": number,
                "deletion_time": "2026-11-21T11:00:00Z" if is_deleted else ""}

    def data(self, method, path, is_list, version, body):
        if is_list:
            raise Refusal(405, UNSUPPORTED)
        if method == "GET":
            return self.read_data(path, int(version))
        if method == "DELETE":
            if path in self.entries:
                self.entries[path][-1] = None
            return 204, None
        if path.endswith("/") or not path:
            raise Refusal(400, "cannot write to a path ending in '/'")
        return self.write_data(path, json.loads(body))

    def read_data(self, path, version):
        versions = self.entries.get(path, [])
        number = version or len(versions)
        if not versions or number > len(versions):
            raise Refusal(404)
        if versions[number - 1] is None:
            return 404, {"data": {"data": None, "metadata": self.about(number, True)}}
        return 200, {"data": {"data": versions[number - 1], "metadata": self.about(number)}}

    def write_data(self, path, asked):
        data = asked.get("data")
        if data is None:
            raise Refusal(400, "no data provided")
        if not isinstance(data, dict):
            raise Refusal(400, "error converting input for field \"data\": '' expected type 'map[string]interface {}', got unconvertible type 'string'")
        if self.behind:
            self.behind -= 1
            versions = self.entries.setdefault(path, [])
            versions.append(versions[-1] if versions else {"note": "somebody else's"})
        cas = asked.get("options", {}).get("cas")
        if cas is not None and cas != len(self.entries.get(path, [])):
            raise Refusal(400, "check-and-set parameter did not match the current version")
        self.entries.setdefault(path, []).append(data)
        return 200, {"data": self.about(len(self.entries[path]))}

    def metadata(self, method, path, is_list):
        if is_list:
            return self.listed(self.below(self.entries, path.rstrip("/")))
        if path not in self.entries:
            if method == "DELETE":
                return 204, None
            raise Refusal(404)
        if method == "DELETE":
            del self.entries[path]
            return 204, None
        versions = self.entries[path]
        one = {str(at + 1): {"created_time": "2026-11-21T10:00:00Z", "deletion_time": "2026-11-21T11:00:00Z" if v is None else "",
                             "destroyed": False} for at, v in enumerate(versions)}
        return 200, {"data": {"current_version": len(versions), "oldest_version": 1, "max_versions": 0, "cas_required": False,
                              "delete_version_after": "0s", "versions": one}}

    def version_1(self, method, path, is_list, body):
        if is_list:
            return self.listed(self.below(self.flat, path.rstrip("/")))
        if method == "GET":
            if path not in self.flat:
                raise Refusal(404)
            return 200, {"lease_id": "", "lease_duration": 2764800, "renewable": False, "data": self.flat[path]}
        if method == "DELETE":
            self.flat.pop(path, None)
            return 204, None
        data = json.loads(body)
        if not data:
            raise Refusal(400, "missing data fields")
        self.flat[path] = data
        return 204, None

    @staticmethod
    def below(entries, folder):
        rests = [path.removeprefix(folder + "/") if folder else path for path in entries if not folder or path.startswith(folder + "/")]
        return sorted({rest if "/" not in rest else rest.split("/")[0] + "/" for rest in rests})

    @staticmethod
    def listed(names):
        if not names:
            raise Refusal(404)
        return 200, {"data": {"keys": names}}
