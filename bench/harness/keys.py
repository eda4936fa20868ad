"""The row of many keys: 10,000 requests at once before one key, and before four.

The simulator keeps each key to so many requests at a time, and takes its time over each, as a provider does: what a key can do is
then the same on any machine, and the gateway's part is to use all of every key, and to let nobody be refused.
"""

import json
import subprocess

from . import wire
from .measure import Line, bottlenecks
from .processes import free_port
from .programs import BenchError
from .subjects import Bellwether, Setting

REQUESTS = 10_000
KEYS = 4
AT_ONCE = 50                      # requests that a key takes at a time; with the latency, 500 a second
SCENARIO = {"defaults": {"latency": {"uniform": ["80ms", "120ms"]}, "limits": {"concurrent": AT_ONCE}}}


class Stage:
    """The simulator, and two gateways before it that differ in their number of keys alone."""

    def __init__(self, bench):
        self.bench, port = bench, free_port()
        # JSON is YAML.
        scenario = bench.write_requests("keys-scenario.yaml", [json.dumps(SCENARIO).encode()])
        self.sim = bench.processes.start(
            "sim", [Bellwether.binary, "sim", "--listen", f"127.0.0.1:{port}", "--scenario", scenario], bench.options.load_core)
        bench.processes.wait_listening(self.sim, port)
        self.requests = bench.write_requests("requests", [wire.chat_request()])
        self.subjects = []
        for label, keys in (("one", 1), ("bellwether", KEYS)):
            setting = Setting(connections=REQUESTS, keys=keys, key_limits=f"{{concurrent: {AT_ONCE}}}",
                              provider={"health": "{validate_new: false}"}, more="retry: {wait: 5m}")
            self.subjects.append(
                Bellwether(bench.processes, bench.options.proxy_core, port, setting, label=label).start())

    def measure(self, subject):
        options = self.bench.options
        command = self.bench.load_command(subject, self.requests, REQUESTS, "--once", "--cores",
                                          f"{options.proxy_core},{options.load_core}", "--watch", f"mock={self.sim.pid}",
                                          "--watch", "proxy=" + ",".join(map(str, subject.pids)))
        process = self.bench.processes.start("load", command, options.load_core, stdout=subprocess.PIPE)
        said = process.stdout.read()
        status = process.wait()
        self.bench.processes.stop(process)
        subject.empty_log()
        if status != 0:
            raise BenchError(f"the load on {subject.label} failed: {self.bench.processes.complaints('load')}")
        return json.loads(said)

    def stop(self):
        self.bench.stop(self.sim, self.subjects)


def keys_four(bench):
    if "bellwether" not in bench.options.subjects:
        return []
    stage = Stage(bench)
    results = bench.interleave(stage.subjects, stage.measure)
    stage.stop()

    def line(what, unit, read, target, **more):
        rounds = {label: [read(result) for result in rounds] for label, rounds in results.items()}
        return Line("keys-four", f"10,000 requests at once, four keys beside one: {what}", unit, rounds, target,
                    bottleneck=bottlenecks(bench, results), **{"reference": "one", **more})

    statuses = {result["last_bad_status"] for rounds in results.values() for result in rounds if result["errors"]}
    notes = [f"the last status that was no 200: {', '.join(map(str, sorted(statuses)))}"] if statuses else []
    return [line("answered", "/s", lambda result: result["answers"] / result["seconds"], 2.75, at_most=False),
            line("p50", "s", lambda result: result["latency"]["p50_us"] / 1e6, 0.37),
            line("p99", "s", lambda result: result["latency"]["p99_us"] / 1e6, 0.32),
            line("not answered", "%", lambda result: 100 * result["errors"] / REQUESTS, 0.3, reference="", notes=notes)]


ROWS = {"keys-four": keys_four}
