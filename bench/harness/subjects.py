"""The three that are compared: no proxy, nginx, bellwether. Each is started on the proxy's core before a mock upstream."""

import os
import time
from dataclasses import dataclass, field

from . import wire
from .processes import accepts, family, free_port, settle
from .programs import BenchError
from .wire import CLIENT_KEY

# So high that no request is refused, and the work of counting is done all the same.
CLIENT_LIMITS = "{rpm: 100000000, tpm: 4000000000, concurrent: 100000}"
UPSTREAM_KEY = "sk-bench-upstream-%05d-5b8e21c7f0a94d36"
MANY = 1_000_000_000


@dataclass
class Setting:
    """What a row asks of its subjects."""
    connections: int = 64
    is_stream: bool = False
    tls_folder: str = ""
    keys: int = 1
    clients: int = 1
    models: int = 1
    is_open: bool = False
    has_failover: bool = False
    second_port: int = 0          # of the mock upstream: another region of it, which is asked where the first fails
    dialect: str = "openai"       # of the upstream; "anthropic": what the clients say is translated
    provider: dict = field(default_factory=dict)
    key_limits: str = ""          # of each upstream key, as the configuration says it
    more: str = ""                # further lines of the configuration


class Subject:
    """Something that listens on `port`. `pids` are the processes whose CPU time counts."""

    name = ""

    def __init__(self, processes, core, mock_port, setting, label=""):
        self.processes, self.core, self.mock_port, self.setting = processes, core, mock_port, setting
        self.label = label or self.name
        self.port = mock_port
        self.process = None
        self.log = None
        self.wrap = []                # words before its command: a profiler's

    @property
    def pids(self):
        return family(self.process.pid) if self.process else []

    def path(self, suffix):
        return os.path.join(self.processes.folder, f"{self.label}-{self.port}{suffix}")

    def write(self, suffix, text):
        with open(self.path(suffix), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(suffix)

    def prepare(self):
        """Takes a port and writes the configuration; returns the command that would serve it."""
        return None

    def start(self):
        command = self.prepare()
        if command is not None:
            self.process = self.processes.start(f"{self.label}-{self.port}", [*self.wrap, *command], self.core)
            self.processes.wait_listening(self.process, self.port)
        return self

    def stop(self):
        if self.process is not None:
            self.processes.stop(self.process)
            self.process = None

    def remarks(self):
        """What the subject itself knows about the work that it has just done, as lines of text."""
        return []

    def empty_log(self):
        """A log of many gigabytes is not what is measured."""
        if self.log is not None and os.path.exists(self.log):
            os.truncate(self.log, 0)


class Nothing(Subject):
    """The load talks to the mock upstream itself."""

    name = "none"


class Nginx(Subject):
    """nginx as somebody who knows it would set it up for this work."""

    name = "nginx"
    binary = "nginx"

    def prepare(self):
        self.port = free_port()
        return [self.binary, "-c", self.write(".conf", self._config()), "-e", self.path(".log")]

    def _config(self):
        setting, base = self.setting, self.path("")
        server = f"server 127.0.0.1:{self.mock_port} max_fails=0;"
        scheme = "https" if setting.tls_folder else "http"
        temp = "".join(f"{kind}_temp_path {base}-{kind}; "
                       for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        tls = (f"proxy_ssl_verify on; proxy_ssl_trusted_certificate {setting.tls_folder}/ca.pem; "
               "proxy_ssl_name localhost; proxy_ssl_server_name on; proxy_ssl_session_reuse on; "
               "proxy_ssl_protocols TLSv1.2 TLSv1.3;") if setting.tls_folder else ""
        second = f"server 127.0.0.1:{setting.second_port} max_fails=0 backup;" if setting.second_port else server
        failover = "proxy_next_upstream error timeout http_500 http_503 http_429 non_idempotent;"
        # nginx sets to closing idle connections when a sixteenth of its places is left.
        connections = 9 * setting.connections // 4 + 512
        return f"""
daemon off;
worker_processes 1;
{"user root;" if os.geteuid() == 0 else ""}
pid {base}.pid;
error_log {base}.log crit;
worker_rlimit_nofile {connections + 64};
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    {temp}
    upstream mock {{
        {server}
        {second if setting.has_failover else ""}
        keepalive {1024 if setting.connections > 64 else 128};
        keepalive_requests {MANY};
    }}
    server {{
        listen 127.0.0.1:{self.port} backlog=4096;
        keepalive_requests {MANY};
        location / {{
            proxy_pass {scheme}://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_read_timeout 600s;
            {"proxy_buffering off;" if setting.is_stream else ""}
            {failover if setting.has_failover else ""}
            {tls}
        }}
    }}
}}
"""


class Bellwether(Subject):
    """The release binary with one worker, the access log in a file, limits that count and metrics; else its defaults."""

    name = "bellwether"
    binary = ""

    def prepare(self):
        self.port, self.admin_port = free_port(), free_port()
        self.log = self.path(".log")
        return [self.binary, "serve", "--config", self.write(".yaml", self._config())]

    def start(self):
        super().start()
        end = time.monotonic() + 10
        while not accepts(self.admin_port):
            if time.monotonic() > end:
                raise BenchError("bellwether's admin address does not answer")
            time.sleep(0.02)
        settle(self.pids)
        return self

    def remarks(self):
        metrics = wire.get_metrics(self.admin_port)
        done = metrics.get("bellwether_requests_total", 0)
        found = []
        if done and "bellwether_shared_writes_total" in metrics:
            writes = metrics["bellwether_shared_writes_total"] + metrics.get("bellwether_other_shared_writes_total", 0)
            found.append(f"shared read-modify-writes an exchange: {writes / done:.2f}")
        dropped = metrics.get("bellwether_log_lines_dropped_total", 0)
        if dropped:
            found.append(f"{dropped:,.0f} log lines of {done:,.0f} exchanges were dropped: its log cost less than it should")
        return found

    def _clients(self):
        if self.setting.is_open:
            return "clients: {open: true}"
        return "clients:\n  keys:\n" + "\n".join(
            f"    - {{name: client-{i}, secret: {CLIENT_KEY % i}, limits: {CLIENT_LIMITS}}}"
            for i in range(1, self.setting.clients + 1))

    def _models(self):
        names = ["bench-model"] + [f"bench-model-{i}" for i in range(2, self.setting.models + 1)]
        return "models:\n" + "\n".join(f"  {name}: mock/bench-model" for name in names)

    def _config(self):
        setting = self.setting
        base = "https://localhost" if setting.tls_folder else "http://127.0.0.1"
        kind, path = {"openai": ("compatible", "/v1"), "anthropic": ("anthropic", "")}[setting.dialect]
        place = f"{base}:{self.mock_port}{path}"
        if setting.second_port:
            places = {"regions": f'{{near: "{place}", far: "{base}:{setting.second_port}{path}"}}', "default_region": "near"}
        else:
            places = {"base_url": place}
        provider = {"kind": kind, **places, **setting.provider}
        if setting.connections > 256:
            # Room for as many as nginx is given by keepalive and worker_connections.
            room = setting.connections + 24
            provider["connections"] = f"{{max: {max(4096, room)}, idle: {room}}}"
        if setting.tls_folder:
            provider["tls"] = f"{{ca: {setting.tls_folder}/ca.pem}}"
        lines = "\n".join(f"    {key}: {value}" for key, value in provider.items())
        limits = f", limits: {setting.key_limits}" if setting.key_limits else ""
        keys = "\n".join(f"      - {{secret: {UPSTREAM_KEY % i}{limits}}}" for i in range(1, setting.keys + 1))
        return f"""server: {{listen: "127.0.0.1:{self.port}", workers: 1}}
admin: {{listen: "127.0.0.1:{self.admin_port}"}}
log: {{file: "{self.log}"}}
store: none
{self._clients()}
providers:
  mock:
{lines}
    keys:
{keys}
{self._models()}
{setting.more}
"""


KINDS = {kind.name: kind for kind in (Nothing, Nginx, Bellwether)}
