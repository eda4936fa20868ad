"""The rows of rotation: what the 64 connections pay while the upstream key is replaced every second, and how long one replacement takes.

The simulator issues the keys; the mock upstream takes any.
"""

import http.client
import json
import os
import statistics
import threading
import time

from . import wire
from .measure import Line, cpu_line, proxy_us_per
from .processes import free_port
from .programs import BenchError
from .subjects import Bellwether

EVERY_S = 1.0
SINGLE = 20                       # replacements that are timed one by one
PATIENCE_S = 20
ADMIN_KEY = "Bearer sk-sim-admin"


def rotation(issuer_port):
    keys = f"http://127.0.0.1:{issuer_port}/v1/keys"
    headers = {"Authorization": ADMIN_KEY}
    return {"issuer": {"kind": "http",
                       "create": {"url": keys, "headers": headers, "body": {"name": "{name}"}, "key": "/api_key", "id": "/key_id"},
                       "revoke": {"url": keys + "/{id}", "headers": headers}},
            "overlap": "0s", "canary": "off"}


class Rotated(Bellwether):
    """A gateway whose one upstream key can be replaced."""

    def _config(self):
        return super()._config() + f'secrets: {{seal_key: "file:{self.path("")}/bellwether.key"}}\n'

    def prepare(self):
        command = super().prepare()
        os.makedirs(self.path(""), exist_ok=True)
        return command

    def order(self, name):
        """False where the replacement before is not at its end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=10)
        connection.request("POST", f"/v1/admin/keys/mock/{name}/rotate")
        status = connection.getresponse().status
        connection.close()
        if status not in (202, 409):
            raise BenchError(f"a rotation was refused with {status}")
        return status == 202

    def serving(self):
        """The key that rotation made last and that serves; None: none does."""
        rows = wire.get_json(self.admin_port, "/v1/admin/rotations")["rotations"]
        names = [(row["rotation"], row["name"]) for row in rows if row["step"] == "active" and row["rotation"]]
        return max(names)[1] if names else None

    def replace(self, pause):
        """Has the key replaced, and returns the seconds until its successor serves."""
        before = self.serving()
        end = time.monotonic() + PATIENCE_S
        while not self.order(before or "mock-1"):
            if time.monotonic() > end:
                raise BenchError("a rotation does not begin")
            time.sleep(pause)
        began = time.monotonic()
        while self.serving() in (before, None):
            if time.monotonic() > began + PATIENCE_S:
                raise BenchError("a rotation does not end")
            time.sleep(pause)
        return time.monotonic() - began


class Turner:
    """Replaces the key again and again, as long as it is entered."""

    def __init__(self, subject):
        self.subject, self.is_over, self.count, self.error = subject, threading.Event(), 0, None
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while not self.is_over.is_set():
                took = self.subject.replace(0.1)
                self.count += 1
                self.is_over.wait(max(0, EVERY_S - took))
        except (BenchError, OSError) as error:
            self.error = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()
        if self.error:
            raise BenchError(f"rotation: {self.error}")


class Stage:
    """The issuer, the mock upstream, and two gateways before it."""

    def __init__(self, bench, setting):
        self.bench, self.setting = bench, setting
        port = free_port()
        self.issuer = bench.processes.start("issuer", [Bellwether.binary, "sim", "--listen", f"127.0.0.1:{port}"],
                                            bench.options.load_core)
        bench.processes.wait_listening(self.issuer, port)
        self.mock = bench.start_mock()
        setting.provider = {"rotation": json.dumps(rotation(port))}
        self.subjects = []
        for label in ("still", "bellwether"):
            subject = Rotated(bench.processes, bench.options.proxy_core, self.mock.port, setting, label=label)
            self.subjects.append(subject.start())
        self.requests = bench.write_requests("requests", [wire.chat_request()])

    def stop(self):
        self.bench.stop(self.mock, self.subjects)
        self.bench.processes.stop(self.issuer)


def rows_of(setting_of, units):
    """{name: row}; `setting_of()` makes the setting of the 64 connections."""

    def rotating(bench):
        if "bellwether" not in bench.options.subjects:
            return []
        stage, turned = Stage(bench, setting_of()), []

        def measure(subject):
            if subject.label == "still":
                return bench.measure(subject, stage.mock, stage.requests, stage.setting.connections)
            with Turner(subject) as turner:
                result = bench.measure(subject, stage.mock, stage.requests, stage.setting.connections)
            turned.append(turner.count)
            return result

        results = bench.interleave(stage.subjects, measure)
        single = [1e3 * stage.subjects[1].replace(0.002) for _ in range(SINGLE)]
        stage.stop()
        ratios = [proxy_us_per(ours, units(ours)) / proxy_us_per(theirs, units(theirs))
                  for ours, theirs in zip(results["bellwether"], results["still"])]
        line = cpu_line(bench, "rotating", "chat-64 while the key is replaced every second: CPU", "us", results, units, 1.02,
                        reference="still", notes=[f"{sum(turned)} keys were replaced meanwhile; ratio by round "
                                                  f"{min(ratios):.3f} to {max(ratios):.3f}"])
        return [line, Line("rotating", "a replacement without ramp, issuer and disk included", "ms", {"bellwether": single}, 50,
                           reference="",
                           notes=[f"{min(single):.1f} to {max(single):.1f} ms, median {statistics.median(single):.1f}"])]

    return {"rotating": rotating}
