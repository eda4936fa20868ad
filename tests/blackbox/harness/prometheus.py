"""A strict reader of the Prometheus text format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/."""

import math
import re
from collections import defaultdict

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)")


class Metrics:
    """What a page says: types and help by family, and samples by name and labels."""

    def __init__(self, text):
        self.types, self.help = {}, {}
        self.samples = {}
        assert text.endswith("\n")
        family = None
        for line in text.split("\n")[:-1]:
            if match := re.fullmatch(rf"# HELP ({NAME}) (.+)", line):
                family = match[1]
                assert family not in self.help, f"{family} stands in two places"
                self.help[family] = match[2]
            elif match := re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge|histogram)", line):
                assert match[1] == family and family not in self.types
                self.types[family] = match[2]
            else:
                self.take_sample(line, family)
        for family, kind in self.types.items():
            if kind == "histogram":
                self.check_histogram(family)

    def take_sample(self, line, family):
        match = SAMPLE.fullmatch(line)
        assert match, f"no sample: {line!r}"
        name, value = match[1], float(match[match.lastindex])
        base = re.sub(r"_(bucket|sum|count)$", "", name) if self.types.get(family) == "histogram" else name
        assert base == family, f"{name} stands under {family}"
        labels = tuple(sorted((key, text) for key, text in re.findall(LABEL, match[2] or "")))
        assert (name, labels) not in self.samples, f"twice: {line}"
        assert self.types[family] == "gauge" or value >= 0
        self.samples[name, labels] = value

    def check_histogram(self, family):
        series = defaultdict(list)
        for (name, labels), value in self.samples.items():
            if name == family + "_bucket":
                bound = dict(labels)["le"]
                rest = tuple(label for label in labels if label[0] != "le")
                series[rest].append((float(bound.replace("+Inf", "inf")), value))
        for rest, buckets in series.items():
            assert [bound for bound, _ in buckets] == sorted(bound for bound, _ in buckets)
            counts = [count for _, count in buckets]
            assert counts == sorted(counts), f"{family} is not cumulative"
            assert buckets[-1][0] == math.inf and counts[-1] == self.samples[family + "_count", rest]
            assert (family + "_sum", rest) in self.samples

    def sum(self, name, **labels):
        """Of all samples of this name that have these labels."""
        return sum(
            value
            for (sample, named), value in self.samples.items()
            if sample == name and labels.items() <= dict(named).items()
        )

    def get(self, name, **labels):
        found = [
            value
            for (sample, named), value in self.samples.items()
            if sample == name and labels.items() <= dict(named).items()
        ]
        assert len(found) == 1, f"{name} {labels}: {found}"
        return found[0]
