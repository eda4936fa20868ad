"""The rows of the table: what each starts, how it measures, and what it calls the result."""

import json
import os
import resource
import statistics
import subprocess
import time
from dataclasses import dataclass, replace

from . import keys, rotation, translation, wire
from .measure import Line, bottlenecks, cpu_line, rate_line
from .processes import rss_anon_bytes
from .programs import BenchError
from .subjects import KINDS, Setting

BURST_EVENTS = 50
OPEN_STREAMS = 8000
MANY_NAMES = 10_000
FAIL_EVERY = 48


@dataclass
class Shape:
    """One kind of work: what the subjects are set up for, what the mock upstream does, what one answer counts for."""
    setting: Setting
    mock: tuple = ()
    is_paced: bool = False
    is_tls: bool = False
    events_each: int = 0          # events of an answer; 0: requests are counted
    is_large: bool = False        # a conversation of 200 KB, not one question of 1 KB

    def units(self, result):
        """What was done in a measurement: requests, or events."""
        if self.is_paced:
            return result["events"]
        return result["answers"] * (self.events_each or 1)


SHAPES = {
    "chat-64": Shape(Setting()),
    "chat-1000": Shape(Setting(connections=1000)),
    "latency": Shape(Setting(connections=1)),
    "paced": Shape(Setting(connections=500, is_stream=True), ("--interval-us", 10_000, "--events", 1_000_000),
                   is_paced=True),
    "burst": Shape(Setting(is_stream=True), ("--events", BURST_EVENTS), events_each=BURST_EVENTS),
    "tls": Shape(Setting(), is_tls=True),
    "translate": Shape(Setting(dialect="anthropic")),
    "translate-burst": Shape(Setting(is_stream=True, dialect="anthropic"), ("--events", BURST_EVENTS),
                             events_each=BURST_EVENTS),
    "translate-paced": Shape(Setting(connections=500, is_stream=True, dialect="anthropic"),
                             ("--interval-us", 10_000, "--events", 1_000_000), is_paced=True),
    "translate-large": Shape(Setting(connections=4, dialect="anthropic"), is_large=True),
}


class Stage:
    """A mock upstream, the subjects before it, and the request that all of them get."""

    def __init__(self, bench, shape, kinds=None):
        setting, arguments = replace(shape.setting), list(shape.mock)
        if shape.is_tls:
            setting.tls_folder = bench.tls()
            arguments += ["--tls", f"{setting.tls_folder}/server.pem", f"{setting.tls_folder}/server.key"]
        if bench.options.limit_headers and not setting.is_stream:
            arguments.append("--limit-headers")
        self.bench, self.shape, self.setting = bench, shape, setting
        self.mock = bench.start_mock(*arguments)
        self.subjects = bench.start_subjects(self.mock, setting, kinds)
        body = wire.conversation_body() if shape.is_large else wire.chat_body("bench-model", setting.is_stream)
        self.requests = bench.write_requests("requests", [wire.request(body)])
        # The load speaks no TLS: there is no way round a proxy.
        if shape.is_tls:
            self.subjects = [subject for subject in self.subjects if subject.process is not None]
        if self.subjects and not shape.is_paced:
            wire.check_same({subject.label: subject.port for subject in self.subjects}, setting.is_stream)

    def measure(self, subject):
        return self.bench.measure(subject, self.mock, self.requests, self.setting.connections)

    def stop(self):
        self.bench.stop(self.mock, self.subjects)


def compare(bench, name):
    """All subjects in turn with one and the same request: {label: [result of each round]}, and what they remark."""
    stage = Stage(bench, SHAPES[name])
    results = bench.interleave(stage.subjects, stage.measure)
    remarks = [f"{subject.label}: {remark}" for subject in stage.subjects for remark in subject.remarks()]
    stage.stop()
    return results, remarks


def chat_64(bench):
    results, remarks = compare(bench, "chat-64")
    units = SHAPES["chat-64"].units
    return [cpu_line(bench, "chat-64", "1 KB chat, 64 connections: CPU per request", "us", results, units, 0.80,
                     notes=remarks),
            rate_line(bench, "chat-64", "1 KB chat, 64 connections: requests", "/s", results, units, 1.25)]


def chat_1000(bench):
    results, remarks = compare(bench, "chat-1000")
    units = SHAPES["chat-1000"].units
    return [rate_line(bench, "chat-1000", "the same, 1,000 connections: requests", "/s", results, units, 1.30,
                      notes=remarks),
            cpu_line(bench, "chat-1000", "the same, 1,000 connections: CPU per request", "us", results, units, None)]


def latency(bench):
    results, remarks = compare(bench, "latency")
    if "none" not in results:
        raise BenchError("the latency row needs the subject 'none'")
    lines = []
    for name in ("p50_us", "p99_us"):
        bare = [result["latency"][name] for result in results["none"]]
        added = {label: [result["latency"][name] - base for result, base in zip(rounds, bare)]
                 for label, rounds in results.items() if label != "none"}
        lines.append(Line("latency", f"one connection: {name[:3]} added over no proxy", "us", added, 1.0,
                          bottleneck=bottlenecks(bench, results),
                          notes=[f"no proxy: {name[:3]} {statistics.median(bare):.1f} us"]))
    lines[0].notes += remarks
    return lines


def paced(bench):
    results, remarks = compare(bench, "paced")
    line = cpu_line(bench, "paced", "500 streams, an event every 10 ms: CPU per event", "us", results,
                    SHAPES["paced"].units, 0.95, notes=remarks)
    for label, rounds in results.items():
        rate = statistics.median(result["events"] / result["seconds"] for result in rounds)
        p50, p99 = (statistics.median(result["event_delay"][name] for result in rounds) for name in ("p50_us", "p99_us"))
        line.notes.append(f"{label}: {rate:,.0f} events/s, written to read p50 {p50:.0f} us, p99 {p99:.0f} us")
    return [line]


def burst(bench):
    results, remarks = compare(bench, "burst")
    units = SHAPES["burst"].units
    return [rate_line(bench, "burst", "50 events in one burst: events", "/s", results, units, 1.30,
                      notes=remarks),
            cpu_line(bench, "burst", "50 events in one burst: CPU per event", "us", results, units, None)]


def tls(bench):
    results, remarks = compare(bench, "tls")
    return [cpu_line(bench, "tls", "TLS to the upstream, 64 connections: CPU per request", "us", results,
                     SHAPES["tls"].units, 0.85, notes=remarks)]


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


def fail_over(bench, name, what, mock, setting):
    """How long the mock waits for the next attempt after an answer by which it fails."""
    requests = bench.write_requests("requests", [wire.chat_request()])
    subjects = bench.start_subjects(mock, setting, ["nginx", "bellwether"])

    def once(subject):
        wire.get_json(mock.port, "/bench/stats")
        bench.measure(subject, mock, requests, 1)
        stats = wire.get_json(mock.port, "/bench/stats")
        if stats["failover"]["count"] < 10 or stats["failovers_here"]:
            raise BenchError(f"{subject.label} was seen to fail over {stats['failover']['count']} times, "
                             f"and {stats['failovers_here']} times to where it had failed")
        return stats["failover"]

    results = bench.interleave(subjects, once)
    bench.stop(mock, subjects)
    medians = {label: [seen["p50_us"] / 1e3 for seen in rounds] for label, rounds in results.items()}
    notes = [f"{label}: p99 {statistics.median(seen['p99_us'] for seen in rounds):.0f} us, "
             f"{sum(seen['count'] for seen in rounds)} seen" for label, rounds in results.items()]
    return Line(name, what, "ms", medians, 1, reference="", notes=notes)


def failover(bench):
    lines = []
    for status in (500, 429):
        # So many keys, and failures so rare, that there is always one that is free and has not failed twice in a row.
        mock = bench.start_mock("--fail-status", status, "--fail-every", FAIL_EVERY)
        setting = Setting(connections=1, keys=1009, has_failover=True, provider={"selection": "round_robin"})
        lines.append(fail_over(bench, "failover", f"a {status} written to the next attempt's first byte", mock, setting))
    return lines


def failover_region(bench):
    # One key: what fails at one region is asked with it at the other.
    mock = bench.start_mock("--fail-status", 503, "--fail-every", FAIL_EVERY, "--two")
    setting = Setting(connections=1, has_failover=True, second_port=mock.second_port)
    return [fail_over(bench, "failover-region", "a region's 503 written to the other's first byte", mock, setting)]


def growth(bench):
    if "bellwether" not in bench.options.subjects:
        return []
    mock = bench.start_mock()
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
    # What the second line may cost more is the processor's caches: each request meets names that none has met for long.
    return [cpu_line(bench, "growth", f"{label} keys, clients, models beside 3: CPU", "us",
                     {"3": results["3"], "bellwether": results[label]}, SHAPES["chat-64"].units, target, reference="3")
            for label, target in (("10,000 (3 in use)", 1.10), ("10,000 (all in use)", 1.25))]


ROWS = {"chat-64": chat_64, "chat-1000": chat_1000, "latency": latency, "paced": paced, "burst": burst, "tls": tls,
        "memory": memory, "start": start, "failover": failover, "failover-region": failover_region,
        "growth": growth, **keys.ROWS,
        **rotation.rows_of(lambda: replace(SHAPES["chat-64"].setting), SHAPES["chat-64"].units),
        **translation.rows_of(SHAPES, lambda bench, name: Stage(bench, SHAPES[name], ["bellwether"]))}
