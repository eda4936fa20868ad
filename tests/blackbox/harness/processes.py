"""The gateway and the simulator as child processes. Each is stopped by its own pid, and looked at when it has ended:
a sanitizer's finding, an unexpected exit status, or a secret in anything that it showed fails the
test that stopped it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

from . import wire
from .prometheus import Metrics

BINARY = os.environ.get("BELLWETHER") or str(Path(__file__).parents[3] / "build/bellwether")
FINDINGS = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|: runtime error: |SUMMARY: \w+Sanitizer")
SECRET = re.compile(r"(?:sk-|AIza)[A-Za-z0-9_-]+")
STARTED_WITHIN = 20
STOPPED_WITHIN = 40


def secrets_in(text):
    """Each `sk-…` and `AIza…` of a configuration is a secret; patterns of names are not."""
    return {secret for secret in SECRET.findall(text) if len(secret) > 6}


class Process:
    """A child process and all that it wrote."""

    def __init__(self, arguments, env=None, cwd=None, limits=None):
        clean = {
            name: value for name, value in os.environ.items() if not re.search(r"_API_KEYS?$|_KEYS$|CONFIG_PATH", name)
        }
        self.process = subprocess.Popen(
            [BINARY, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**clean, **(env or {})},
            cwd=cwd,
            preexec_fn=limits,
        )
        self.lines = []
        self.is_told_to_end = False
        self.changed = threading.Condition()
        self.readers = [
            threading.Thread(target=self.read, args=(pipe,), daemon=True)
            for pipe in (self.process.stdout, self.process.stderr)
        ]
        for reader in self.readers:
            reader.start()

    @property
    def pid(self):
        return self.process.pid

    @property
    def output(self):
        return "\n".join(self.lines)

    def read(self, pipe):
        for line in pipe:
            with self.changed:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def wait_line(self, pattern, within=STARTED_WITHIN, after=0):
        """The first match of the pattern in a line, from line number `after` on."""
        until = time.monotonic() + within
        with self.changed:
            while True:
                for line in self.lines[after:]:
                    if match := re.search(pattern, line):
                        return match
                left = until - time.monotonic()
                if left <= 0 or not any(reader.is_alive() for reader in self.readers):
                    raise AssertionError(f"no line like {pattern!r} from pid {self.pid}:\n{self.output}")
                self.changed.wait(min(left, 0.2))

    def send_signal(self, number):
        self.is_told_to_end |= number in (signal.SIGTERM, signal.SIGINT)
        self.process.send_signal(number)

    def kill(self):
        """Ends it like a crash of the machine would: no check of how it ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.join(0)

    def join(self, within):
        """The exit status; killed if it does not end in time."""
        try:
            status = self.process.wait(within or None)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"pid {self.pid} did not end within {within} s:\n{self.output[-4000:]}") from None
        for reader in self.readers:
            reader.join(5)
        return status

    def stop(self, number=signal.SIGTERM, within=STOPPED_WITHIN):
        """Ends it, or waits for its end where a test has begun it; looks at how it ended."""
        if self.process.poll() is None and not self.is_told_to_end:
            self.send_signal(number)
        status = self.join(within)
        assert not FINDINGS.search(self.output), self.output
        assert status == 0, f"pid {self.pid} ended with {status}:\n{self.output[-4000:]}"


class Simulator(Process):
    """bellwether sim, playing a scenario: a dict, or YAML text."""

    def __init__(self, directory, scenario=None, listen="127.0.0.1:0", arguments=()):
        options = ["--listen", listen]
        if scenario is not None:
            path = Path(directory) / f"scenario-{time.monotonic_ns()}.yaml"
            path.write_text(scenario if isinstance(scenario, str) else json.dumps(scenario))
            options += ["--scenario", str(path)]
        super().__init__(["sim", *options, *arguments])
        match = self.wait_line(r"listens on https?://(127\.0\.0\.1):(\d+)")
        self.address = (match[1], int(match[2]))
        self.base_url = f"http://{match[1]}:{match[2]}/v1"

    def call(self, method, path, body=None):
        data = b"" if body is None else json.dumps(body).encode()
        with wire.Wire(self.address) as connection:
            answer = connection.ask(wire.request(method, path, {"Content-Length": str(len(data))}, data))
        assert answer.status == 200, answer
        return answer.json

    def scenario(self, scenario=None, name=None):
        """Plays this scenario from now on; all counts begin anew."""
        if name:
            return self.call("POST", f"/sim/scenario?name={name}")
        return self.call("POST", "/sim/scenario", {"idle_timeout": "10m", **(scenario or {})})

    def set(self, key, **facts):
        return self.call("POST", f"/sim/keys/{key}", facts)

    def stats(self, key=None):
        return self.call("GET", f"/sim/keys/{key}" if key else "/sim/stats")

    def generations(self, key):
        """How many chats and the like a key was asked for."""
        return sum(self.stats()["keys"].get(key, {}).get("generations", {}).values())


class Gateway(Process):
    """bellwether serve over a configuration: a dict, or YAML text. Addresses that it does not name are free ports."""

    def __init__(self, directory, config, env=None, secrets=(), limits=None):
        self.directory = Path(directory)
        self.path = self.directory / f"gateway-{time.monotonic_ns()}.yaml"
        self.secrets = set(secrets)
        self.config = None
        self.write(config)
        super().__init__(["serve", "--config", str(self.path)], env, self.directory, limits)
        self.env = env
        listening = json.loads(self.wait_line(r'^\{.*"message":"listening".*\}$')[0])
        self.addresses = [self.parse(text) for text in re.split(r",\s*", listening["listen"])]
        self.address = self.addresses[0]
        self.admin_address = self.parse(listening["admin"])
        token = (self.config or {}).get("admin", {}).get("token")
        self.admin_headers = {"Authorization": f"Bearer {token}"} if token else {}

    def write(self, config):
        """Writes the file that the next start or reload reads."""
        if isinstance(config, dict):
            config = json.loads(json.dumps(config))
            config.setdefault("server", {}).setdefault("listen", "127.0.0.1:0")
            config["server"].setdefault("workers", 2)
            config.setdefault("admin", {}).setdefault("listen", "127.0.0.1:0")
            # Gateways of one folder know nothing of each other, unless the test is about that.
            config.setdefault("store", f"sqlite:{self.path.stem}.db")
            self.config = config
            text = json.dumps(config, indent=1)
        else:
            text = config
        self.secrets |= secrets_in(text)
        self.path.write_text(text)

    @staticmethod
    def parse(text):
        if text.startswith("unix:"):
            return text.removeprefix("unix:")
        host, _, port = text.rpartition(":")
        return (host.strip("[]"), int(port))

    @property
    def base_url(self):
        return f"http://{self.address[0]}:{self.address[1]}/v1"

    def connect(self, **options):
        return wire.Wire(self.address, **options)

    def ask(self, data, method="POST"):
        """One exchange on a connection of its own. No answer may hold a secret."""
        with self.connect() as connection:
            answer = connection.ask(data, method)
        shown = answer.body.decode("latin-1") + str(answer.fields)
        assert not [secret for secret in self.secrets if secret in shown], shown[:2000]
        return answer

    def post(self, body, target="/v1/chat/completions", headers=()):
        return self.ask(wire.post(body, target, headers))

    def get(self, target, headers=()):
        return self.ask(wire.request("GET", target, headers), "GET")

    def admin(self, target, headers=None, method="GET", host="127.0.0.1"):
        """A call of the admin API, with its token unless other headers are given."""
        headers = self.admin_headers if headers is None else headers
        with wire.Wire(self.admin_address) as connection:
            return connection.ask(wire.request(method, target, headers, host=host), method)

    def metrics(self):
        answer = self.admin("/metrics")
        assert answer.status == 200
        return Metrics(answer.body.decode())

    def key_states(self):
        """What the admin API says of each key, by its name."""
        return {row["name"]: row for row in self.admin("/v1/admin/keys").json["keys"]}

    def settle(self, within=10):
        """Waits until each key has been validated, or found bad, and the gateway says that it is ready."""
        until = time.monotonic() + within
        while any(state["health"] == "new" for state in self.key_states().values()) or self.get("/ready").status != 200:
            assert time.monotonic() < until, f"not ready:\n{self.output}"
            time.sleep(0.01)
        return self

    def reload(self, config=None):
        """Rewrites the file, has it read, and returns whether it was taken."""
        if config is not None:
            self.write(config)
        seen = len(self.lines)
        self.send_signal(signal.SIGHUP)
        match = self.wait_line(r'"message":"(configuration reloaded|reload refused[^"]*)"', after=seen)
        return match[1] == "configuration reloaded"

    def access_lines(self):
        return [line for line in map(as_json, list(self.lines)) if line.get("kind") == "access"]

    def wait_access(self, within=5, **facts):
        """The access line of the exchange with these members."""
        until = time.monotonic() + within
        while True:
            for line in self.access_lines():
                if all(line.get(name) == value for name, value in facts.items()):
                    return line
            if time.monotonic() > until:
                raise AssertionError(f"no access line with {facts}:\n{self.output[-4000:]}")
            time.sleep(0.01)

    def pages(self):
        """All that the admin address shows."""
        return "\n".join(self.admin(path).body.decode() for path in ("/metrics", "/v1/admin/keys", "/v1/admin/stats", "/v1/admin/routing"))

    def stop(self, number=signal.SIGTERM, within=STOPPED_WITHIN):
        shown = ""
        if self.process.poll() is None and not self.is_told_to_end:
            with contextlib.suppress(OSError, wire.Cut):  # a test may have told it to end
                shown = self.pages()
        super().stop(number, within)
        for secret in self.secrets:
            assert secret not in self.output, f"{secret} stands in the log:\n{self.output}"
            assert secret not in shown, f"{secret} is shown on the admin address"


def as_json(line):
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def run(arguments, env=None, within=30):
    """A command that ends by itself: its exit status, stdout and stderr."""
    done = subprocess.run(
        [BINARY, *arguments],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert not FINDINGS.search(done.stderr), done.stderr
    return done
