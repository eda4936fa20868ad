"""The rows of the table: what each starts, how it measures, and what it calls the result."""

import json
import os
import resource
import statistics
import subprocess
import time
from dataclasses import dataclass, field

from . import wire
from .processes import rss_anon_bytes
from .programs import BenchError, find_program
from .subjects import KINDS, Setting

BURST_EVENTS = 50
OPEN_STREAMS = 8000
MANY_NAMES = 10_000
FAIL_EVERY = 8
# A core that is busy for this share of the time is full; the rest is the kernel's own.
FULL = 0.95


@dataclass
class Line:
    """One line of the table: a number per subject, and what the gateway's has to be."""
    row: str
    what: str
    unit: str
    rounds: dict
    target: float | None
    at_most: bool = True
    reference: str = "nginx"      # whose median the gateway's is divided by; empty: the target is absolute
    bottleneck: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)

    def median(self, subject):
        values = self.rounds.get(subject)
        return statistics.median(values) if values else None

    @property
    def subject(self):
        return "bellwether" if "bellwether" in self.rounds else None

    @property
    def compared(self):
        """What is held against the target: a ratio, or the median itself. None when there is nothing to compare."""
        ours = self.median(self.subject) if self.subject else None
        if ours is None or not self.reference:
            return ours
        theirs = self.median(self.reference)
        return ours / theirs if theirs else None

    @property
    def holds(self):
        if self.compared is None:
            return None
        return self.compared <= self.target if self.at_most else self.compared >= self.target

    def as_dict(self):
        return {"row": self.row, "what": self.what, "unit": self.unit, "target": self.target,
                "at_most": self.at_most, "reference": self.reference, "rounds": self.rounds,
                "medians": {name: self.median(name) for name in self.rounds}, "compared": self.compared,
                "holds": self.holds, "bottleneck": self.bottleneck, "notes": self.notes}


class Bench:
    """One run: its options, its programs, its folder, and how a single measurement is made."""

    def __init__(self, options, programs, processes):
        self.options, self.programs, self.processes = options, programs, processes
        self.folder = processes.folder
        self.tls_folder = ""

    def start_mock(self, *arguments):
        process = self.processes.start("mock", [self.programs["mock"], *map(str, arguments)],
                                       self.options.load_core, stdout=subprocess.PIPE)
        said = process.stdout.readline()
        if not said:
            raise BenchError("the mock upstream does not start: " + self.processes.complaints("mock"))
        process.port = json.loads(said)["port"]
        return process

    def start_subjects(self, mock, setting, kinds=None):
        setting.is_open = self.options.open
        kinds = self.options.subjects if kinds is None else [k for k in kinds if k in self.options.subjects]
        return [KINDS[kind](self.processes, self.options.proxy_core, mock.port, setting).start() for kind in kinds]

    def stop(self, mock, subjects):
        for subject in subjects:
            subject.stop()
        self.processes.stop(mock)

    def write_requests(self, name, requests):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(b"".join(requests))
        return path

    def load_command(self, subject, requests, connections, *arguments):
        return [self.programs["load"], "--port", str(subject.port), "--requests", requests,
                "--connections", str(connections), *arguments]

    def measure(self, subject, mock, requests, connections, warm_up=None):
        """One measurement; returns the load generator's account of it."""
        options = self.options
        arguments = ["--warm-up", str(warm_up or options.warm_up), "--seconds", str(options.seconds),
                     "--cores", f"{options.proxy_core},{options.load_core}", "--watch", f"mock={mock.pid}"]
        if subject.pids:
            arguments += ["--watch", "proxy=" + ",".join(map(str, subject.pids))]
        command = self.load_command(subject, requests, connections, *arguments)
        process = self.processes.start("load", command, options.load_core, stdout=subprocess.PIPE)
        said = process.stdout.read()
        status = process.wait()
        self.processes.stop(process)
        subject.empty_log()
        if status != 0:
            raise BenchError(f"the load on {subject.label} failed: {self.processes.complaints('load')}")
        result = json.loads(said)
        if result["errors"]:
            raise BenchError(f"{result['errors']} of {result['answers']} answers of {subject.label} were wrong; "
                             f"the last status was {result['last_bad_status']}")
        return result

    def interleave(self, subjects, measure):
        """Measures all subjects once a round, each round beginning with another. Returns {label: [result, …]}."""
        results = {subject.label: [] for subject in subjects}
        for turn in range(self.options.rounds):
            first = turn % len(subjects)
            for subject in subjects[first:] + subjects[:first]:
                results[subject.label].append(measure(subject))
        return results

    def tls(self):
        """A CA and a certificate of our own, made for this run alone."""
        if not self.tls_folder:
            folder = os.path.join(self.folder, "tls")
            os.mkdir(folder)
            make_certificates(folder)
            self.tls_folder = folder
        return self.tls_folder


def make_certificates(folder):
    openssl = find_program("openssl", "OPENSSL")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    with open(os.path.join(folder, "names"), "w", encoding="ascii") as file:
        file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    for command in (
            ["req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=bench CA",
             "-addext", "keyUsage=critical,keyCertSign"],
            ["req", *curve, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost"],
            ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
             "-out", "server.pem", "-days", "2", "-extfile", "names"]):
        done = subprocess.run([openssl, *command], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BenchError("openssl: " + done.stderr)


# What a measurement says.

def share(result, *names):
    groups = result["cpu"]["groups"]
    return sum(groups[name]["ran_ns"] for name in names if name in groups) / (result["seconds"] * 1e9)


def proxy_us_per(result, count):
    if "proxy" not in result["cpu"]["groups"] or not count:
        return None
    return result["cpu"]["groups"]["proxy"]["ran_ns"] / count / 1e3


def bottleneck(bench, results):
    """Which core was full, from the medians of a subject's rounds: {side: share, …, "is": words}."""
    median = statistics.median
    proxy = median(share(result, "proxy") for result in results)
    waited = median(result["cpu"]["groups"].get("proxy", {}).get("waited_ns", 0) / result["seconds"] / 1e9
                    for result in results)
    load = median(share(result, "load") for result in results)
    mock = median(share(result, "mock") for result in results)
    cores = (str(bench.options.proxy_core), str(bench.options.load_core))
    busy = [median(result["cpu"]["cores"][core]["busy_ms"] / result["seconds"] / 1e3 for result in results)
            for core in cores]
    stolen = max(result["cpu"]["cores"][core]["stolen_ms"] / result["seconds"] / 1e3
                 for core in cores for result in results)
    others = max(0.0, busy[0] - proxy), max(0.0, busy[1] - load - mock)
    if proxy + waited >= FULL:
        named = "proxy"
    elif load + mock >= FULL or load + mock + others[1] >= 0.98:
        named = "load+mock"
    else:
        named = "none"
    return {"is": named, "proxy": proxy, "proxy_waited": waited, "load": load, "mock": mock,
            "others_on_proxy_core": others[0], "others_on_load_core": others[1], "stolen": stolen}


def bottlenecks(bench, results):
    return {label: bottleneck(bench, rounds) for label, rounds in results.items()}


def numbers(results, read):
    """{label: [number, …]} of the subjects that have one."""
    rounds = {label: [read(result) for result in list_] for label, list_ in results.items()}
    return {label: values for label, values in rounds.items() if None not in values}


def cpu_line(bench, row, what, unit, results, count, target, **more):
    return Line(row, what, unit, numbers(results, lambda result: proxy_us_per(result, count(result))), target,
                bottleneck=bottlenecks(bench, results), **more)


def answers_of(result):
    return result["answers"]


def rate_line(bench, row, what, unit, results, count, target, **more):
    return Line(row, what, unit, numbers(results, lambda result: count(result) / result["seconds"]), target,
                at_most=False, bottleneck=bottlenecks(bench, results), **more)


# The rows.

def compare(bench, setting, mock_arguments=(), warm_up=None):
    """All subjects, checked and then measured in turn with one and the same request."""
    mock = bench.start_mock(*mock_arguments)
    subjects = bench.start_subjects(mock, setting)
    is_paced = "--interval-us" in mock_arguments
    for subject in subjects:
        if subject.process is not None and not is_paced and not setting.tls_folder:
            wire.check_same(mock.port, subject.port, subject.label, setting.is_stream)
    if setting.tls_folder:
        subjects = [subject for subject in subjects if subject.process is not None]
    requests = bench.write_requests("requests", [wire.chat_request(is_stream=setting.is_stream)])
    results = bench.interleave(subjects, lambda subject: bench.measure(subject, mock, requests, setting.connections,
                                                                       warm_up))
    seen = wire.get_json(mock.port, "/bench/stats") if not setting.tls_folder else {}
    bench.stop(mock, subjects)
    return results, seen


def limit_headers(bench):
    return ["--limit-headers"] if bench.options.limit_headers else []


def chat_64(bench):
    results, _ = compare(bench, Setting(), limit_headers(bench))
    return [cpu_line(bench, "chat-64", "1 KB chat, 64 connections: CPU per request", "us", results, answers_of, 0.80),
            rate_line(bench, "chat-64", "1 KB chat, 64 connections: requests", "/s", results, answers_of, 1.25)]


def chat_1000(bench):
    results, _ = compare(bench, Setting(connections=1000), limit_headers(bench), max(1, bench.options.warm_up))
    cpu = cpu_line(bench, "chat-1000", "the same, 1,000 connections: CPU per request", "us", results, answers_of, None)
    rate = rate_line(bench, "chat-1000", "the same, 1,000 connections: requests", "/s", results, answers_of, 1.30)
    return [rate, cpu]


def latency(bench):
    results, _ = compare(bench, Setting(connections=1), limit_headers(bench))
    lines = []
    for name in ("p50_us", "p99_us"):
        bare = [result["latency"][name] for result in results.get("none", [])]
        added = {label: [result["latency"][name] - base for result, base in zip(list_, bare)]
                 for label, list_ in results.items() if label != "none"}
        if not bare:
            raise BenchError("the latency row needs the subject 'none'")
        lines.append(Line("latency", f"one connection: {name[:3]} added over no proxy", "us", added, 1.0,
                          bottleneck=bottlenecks(bench, results),
                          notes=[f"no proxy: {statistics.median(bare):.1f} us"]))
    return lines


def paced(bench):
    results, seen = compare(bench, Setting(connections=500, is_stream=True),
                            ["--interval-us", 10_000, "--events", 1_000_000], max(1, bench.options.warm_up))
    line = cpu_line(bench, "paced", "500 streams, an event every 10 ms: CPU per event", "us", results,
                    lambda result: result["events"], 0.95)
    for label, rounds in results.items():
        rate = statistics.median(result["events"] / result["seconds"] for result in rounds)
        delays = [statistics.median(result["event_delay"][name] for result in rounds) for name in ("p50_us", "p99_us")]
        line.notes.append(f"{label}: {rate:,.0f} events/s, written to read p50 {delays[0]:.0f} us, p99 {delays[1]:.0f} us")
    if seen["events_skipped"]:
        line.notes.append(f"{seen['events_skipped']} events were left out because a proxy did not read")
    return [line]


def burst(bench):
    def events(result):
        return result["answers"] * BURST_EVENTS

    results, _ = compare(bench, Setting(is_stream=True), ["--events", BURST_EVENTS])
    cpu = cpu_line(bench, "burst", "50 events in one burst: CPU per event", "us", results, events, None)
    return [rate_line(bench, "burst", "50 events in one burst: events", "/s", results, events, 1.30), cpu]


def tls(bench):
    folder = bench.tls()
    setting = Setting(tls_folder=folder)
    results, _ = compare(bench, setting, ["--tls", f"{folder}/server.pem", f"{folder}/server.key"])
    return [cpu_line(bench, "tls", "TLS to the upstream, 64 connections: CPU per request", "us", results, answers_of,
                     0.85)]


def hold_streams(bench, subject, requests):
    """Opens the streams, lets them come to rest, and returns the memory that the subject then has."""
    process = bench.processes.start("load", bench.load_command(subject, requests, OPEN_STREAMS, "--hold"),
                                    bench.options.load_core, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if not process.stdout.readline():
        raise BenchError(f"{subject.label} did not hold {OPEN_STREAMS:,} streams: " + bench.processes.complaints("load"))
    time.sleep(2)
    held = rss_anon_bytes(subject.pids)
    bench.processes.stop(process)
    subject.empty_log()
    return held


def memory(bench):
    needed = 9 * OPEN_STREAMS // 4 + 600
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < needed:
        raise BenchError(f"the memory row needs a hard limit of {needed:,} descriptors (ulimit -Hn)")
    requests = bench.write_requests("requests", [wire.chat_request(is_stream=True)])
    idle, each = {}, {}
    # Each is started anew each time: memory once touched stays with the process.
    for _ in range(min(3, bench.options.rounds)):
        mock = bench.start_mock("--interval-us", 20_000_000, "--events", 1000)
        subjects = bench.start_subjects(mock, Setting(connections=OPEN_STREAMS, is_stream=True),
                                        ["nginx", "bellwether"])
        for subject in subjects:
            at_rest = rss_anon_bytes(subject.pids)
            held = hold_streams(bench, subject, requests)
            idle.setdefault(subject.label, []).append(at_rest / 2**20)
            each.setdefault(subject.label, []).append((held - at_rest) / OPEN_STREAMS / 1024)
        bench.stop(mock, subjects)
    return [Line("memory", "RssAnon idle", "MB", idle, 4, reference=""),
            Line("memory", f"RssAnon per open stream, at {OPEN_STREAMS:,}", "KB", each, 24, reference="")]


def start(bench):
    mock = bench.start_mock()
    requests = bench.write_requests("requests", [wire.chat_request()])
    took = {}
    for _ in range(3 * bench.options.rounds):
        for kind in bench.options.subjects:
            subject = KINDS[kind](bench.processes, bench.options.proxy_core, mock.port,
                                  Setting(is_open=bench.options.open))
            command = subject.prepare()
            if command is None:
                continue
            process = bench.processes.start(
                "start", [bench.programs["start"], "--port", str(subject.port), "--requests", requests, "--", *command],
                bench.options.proxy_core, stdout=subprocess.PIPE)
            said = process.stdout.read()
            if process.wait() != 0:
                raise BenchError(f"{kind} gave no first answer: {bench.processes.complaints('start')}")
            bench.processes.stop(process)
            took.setdefault(kind, []).append(json.loads(said)["ms"])
    bench.processes.stop(mock)
    return [Line("start", "start to the first answered request", "ms", took, 50, reference="")]


def failover(bench):
    lines = []
    requests = bench.write_requests("requests", [wire.chat_request()])
    for status in (500, 429):
        # An odd number of keys and failures in every eighth: none fails so often that it is set aside for long.
        mock = bench.start_mock("--fail-status", status, "--fail-every", FAIL_EVERY)
        subjects = bench.start_subjects(mock, Setting(connections=1, keys=601, has_failover=True,
                                                      provider={"selection": "round_robin"}), ["nginx", "bellwether"])

        def once(subject):
            wire.get_json(mock.port, "/bench/stats")
            bench.measure(subject, mock, requests, 1)
            seen = wire.get_json(mock.port, "/bench/stats")["failover"]
            if seen["count"] < 10:
                raise BenchError(f"{subject.label} was seen to fail over {seen['count']} times only")
            return seen

        results = bench.interleave(subjects, once)
        bench.stop(mock, subjects)
        medians = {label: [seen["p50_us"] / 1e3 for seen in rounds] for label, rounds in results.items()}
        lines.append(Line("failover", f"a {status} written to the next attempt's first byte", "ms", medians, 1,
                          reference="", notes=[f"{label}: p99 {statistics.median(s['p99_us'] for s in rounds):.0f} us"
                                               for label, rounds in results.items()]))
    return lines


def growth(bench):
    if "bellwether" not in bench.options.subjects:
        return []
    mock = bench.start_mock(*limit_headers(bench))
    few = [wire.chat_request(i, "bench-model" if i == 1 else f"bench-model-{i}") for i in (1, 2, 3)]
    # All names in an order without a pattern that a cache could learn: 7919 is prime to their number.
    order = [1 + i * 7919 % MANY_NAMES for i in range(MANY_NAMES)]
    many = [wire.chat_request(i, "bench-model" if i == 1 else f"bench-model-{i}") for i in order]
    files = {"3": bench.write_requests("few", few), "10,000 (3 in use)": os.path.join(bench.folder, "few"),
             "10,000 (all in use)": bench.write_requests("many", many)}
    subjects = {}
    for label in files:
        count = 3 if label == "3" else MANY_NAMES
        setting = Setting(keys=count, clients=count, models=count, is_open=bench.options.open)
        subjects[label] = KINDS["bellwether"](bench.processes, bench.options.proxy_core, mock.port, setting,
                                              label=f"bellwether-{len(subjects)}").start()
    names = {subject.label: label for label, subject in subjects.items()}
    results = bench.interleave(list(subjects.values()),
                               lambda subject: bench.measure(subject, mock, files[names[subject.label]], 64))
    bench.stop(mock, list(subjects.values()))
    results = {names[label]: rounds for label, rounds in results.items()}
    lines = []
    for label, target in (("10,000 (3 in use)", 1.10), ("10,000 (all in use)", 1.25)):
        pair = {"3": results["3"], "bellwether": results[label]}
        lines.append(cpu_line(bench, "growth", f"keys, clients, models: {label} against 3: CPU per request", "us", pair,
                              answers_of, target, reference="3"))
    return lines


ROWS = {"chat-64": chat_64, "chat-1000": chat_1000, "latency": latency, "paced": paced, "burst": burst, "tls": tls,
        "memory": memory, "start": start, "failover": failover, "growth": growth}
