"""The rows of translation: clients of OpenAI's dialect, before an upstream of theirs and before one of Anthropic's.

The same gateway serves both, once with the mock as a compatible provider, where bytes pass, and once with it as Anthropic.
What counts is the difference of the two in the same round: what reading one dialect and writing the other costs.
"""

import statistics
import subprocess
import time
from dataclasses import replace

from . import wire
from .measure import Line, bottlenecks, proxy_us_per
from .processes import rss_anon_bytes
from .programs import BenchError

REST_S = 3.0                      # until all streams are open and what they hold has settled
LATER_S = 10.0                    # then each has had a thousand events more


class Pair:
    """The gateway translating (what the shape asks for) and, before the same mock upstream, passing."""

    def __init__(self, stage):
        self.bench, self.stage = stage.bench, stage
        setting = replace(stage.setting, dialect="openai")
        self.subjects = [*self.bench.start_subjects(stage.mock, setting, ["bellwether"]), *stage.subjects]
        for subject, label in zip(self.subjects, ("passed", "translated")):
            subject.label = label
        if not stage.shape.is_paced:
            wire.check_same({subject.label: subject.port for subject in self.subjects}, setting.is_stream)

    def stop(self):
        self.bench.stop(self.stage.mock, self.subjects)


def added_line(bench, row, what, stage, target):
    """Measures both in turn; the line of what translation adds to each unit of the shape's work."""
    pair = Pair(stage)
    results = bench.interleave(pair.subjects, stage.measure)
    pair.stop()
    cost = {label: [proxy_us_per(result, stage.shape.units(result)) for result in rounds]
            for label, rounds in results.items()}
    added = [told - passed for passed, told in zip(cost["passed"], cost["translated"])]
    medians = [f"{label} {statistics.median(values):.2f} us" for label, values in cost.items()]
    return Line(row, what, "us", {"bellwether": added}, target, reference="", bottleneck=bottlenecks(bench, results),
                notes=[f"{', '.join(medians)}; added by round {min(added):.2f} to {max(added):.2f}"])


def rows_of(shapes, make_stage):
    """{name: row}; `make_stage(bench, name)` starts a shape's mock upstream and the translating gateway."""

    def added(name, *lines):
        def row(bench):
            if "bellwether" not in bench.options.subjects:
                return []
            return [added_line(bench, name, what, make_stage(bench, shape), target) for shape, what, target in lines]
        return row

    def memory(bench):
        if "bellwether" not in bench.options.subjects:
            return []
        open_kb, grown_kb = [], []
        for _ in range(min(3, bench.options.rounds)):
            stage = make_stage(bench, "translate-paced")
            at_rest, held, later = watch_streams(bench, stage)
            bench.stop(stage.mock, stage.subjects)
            count = shapes["translate-paced"].setting.connections
            open_kb.append((held - at_rest) / count / 1024)
            grown_kb.append((later - held) / count / 1024)
        return [Line("translate-memory", "translated, 500 paced streams: RssAnon per open stream", "KB",
                     {"bellwether": open_kb}, 32, reference=""),
                Line("translate-memory", "the same, what a thousand events more add to each", "KB",
                     {"bellwether": grown_kb}, 0.5, reference="")]

    return {
        "translate": added("translate", ("translate", "1 KB chat translated to Anthropic: CPU added per request", 6)),
        "translate-events": added(
            "translate-events",
            ("translate-burst", "translated events, 50 in one burst: CPU added per event", 1.5),
            ("translate-paced", "translated events, 500 streams, every 10 ms: CPU added per event", 1.5)),
        "translate-large": added(
            "translate-large", ("translate-large", "200 KB conversation translated: CPU added per request", 600)),
        "translate-memory": memory,
    }


def watch_streams(bench, stage):
    """RssAnon of the gateway in bytes: at rest, with the streams open, and later."""
    subject, = stage.subjects
    found = [rss_anon_bytes(subject.pids)]
    process = bench.processes.start("load", bench.load_command(subject, stage.requests, stage.setting.connections, "--hold"),
                                    bench.options.load_core, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if not process.stdout.readline():
        raise BenchError("the streams could not be held: " + bench.processes.complaints("load"))
    for wait in (REST_S, LATER_S):
        time.sleep(wait)
        if process.poll() is not None:
            raise BenchError("a stream ended: " + bench.processes.complaints("load"))
        found.append(rss_anon_bytes(subject.pids))
    bench.processes.stop(process)
    subject.empty_log()
    return found
