"""The programs that play decisions on virtual time, and the aims that their numbers are held to."""

import os
import re
from dataclasses import dataclass
from typing import Callable


class Outputs(dict):
    """What each program printed, by its target."""

    def find(self, target, pattern):
        """The groups of the first line that fits, numbers as floats."""
        found = re.search(pattern, self[target], re.MULTILINE)
        if not found:
            raise SystemExit(f"{target} did not print what was expected: {pattern}")
        return [float(group) for group in found.groups()]


@dataclass
class Program:
    target: str  # of the build, and its path there
    arguments: Callable[[str, bool], list]  # of the folder for series, and whether it should be quick


@dataclass
class Row:
    work: str
    aim: str
    measure: Callable[[Outputs], tuple]  # what to print, and whether it holds


PROGRAMS = [
    Program("bench/policies", lambda series, quick: ["600" if quick else "3600", "1", "--csv", os.path.join(series, "policies.csv")]),
    Program("bench/classes", lambda series, quick: ["--csv", series]),
    Program("bench/estimates", lambda series, quick: [ROOT]),
    Program("bench/micro/micro-pick", lambda series, quick: []),
    Program("bench/adaptive", lambda series, quick: ["--csv", os.path.join(series, "adaptive.csv")]),
    Program("bench/gradient", lambda series, quick: ["--csv", os.path.join(series, "gradient.csv")]),
    Program("bench/regions", lambda series, quick: ["--csv", os.path.join(series, "regions.csv")]),
    Program("bench/sessions", lambda series, quick: ["--csv", os.path.join(series, "sessions.csv")]),
    Program("bench/hedging", lambda series, quick: ["4000" if quick else "24000", "1", "--csv", os.path.join(series, "hedging.csv")]),
    Program("bench/budgets", lambda series, quick: ["--csv", os.path.join(series, "budgets.csv")]),
    Program("bench/targets", lambda series, quick: ["20000" if quick else "100000", "1", "--csv", os.path.join(series, "targets.csv")]),
]

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NUMBER = r"([\d.]+)"


def steady(outputs, name):
    """Goodput, upstream 429s in per cent, clients refused, of these too early."""
    return outputs.find("bench/policies", rf"^{re.escape(name)} +{NUMBER}% +{NUMBER}% +{NUMBER} +{NUMBER} ")


def measure_steady(outputs):
    goodput, refused, _, early = steady(outputs, "headroom")
    return f"{goodput:.2f}%, {refused:.3f}%, {early:.0f}", goodput >= 98 and refused < 0.2 and early == 0


def measure_others(outputs):
    parts = []
    for name in ("least_used", "round_robin", "random"):
        goodput, refused, _, early = steady(outputs, name)
        parts.append(f"{name}: {goodput:.2f}%, {refused:.1f}%, {early:.0f}")
    return "; ".join(parts), True


def measure_mishaps(outputs):
    shares = outputs.find("bench/policies", rf"^headroom +{NUMBER}% +{NUMBER}% +{NUMBER}%$")
    return " / ".join(f"{share:.1f}%" for share in shares), min(shares) >= 95


def measure_classes(outputs):
    p99 = outputs.find("bench/classes", rf"^critical .* {NUMBER}$")[0]
    left = outputs.find("bench/classes", rf"^batch had {NUMBER}% of what was left")[0]
    return f"{p99:.0f} ms; batch had {left:.1f}% of what was left", p99 < 50 and left >= 98


def measure_fairness(outputs):
    low, high = outputs.find("bench/classes", rf"the others {NUMBER} to {NUMBER}%")
    return f"{low:.1f} to {high:.1f}% of it", low >= 95 and high <= 105


def measure_targets(outputs):
    auto = outputs.find("bench/targets", rf"^auto +{NUMBER} +{NUMBER}% ")[1]
    cheapest = outputs.find("bench/targets", rf"^cheapest +{NUMBER} +{NUMBER}% ")[1]
    return f"{auto:.1f}% less; optimise: cost {cheapest:.1f}% less", auto >= 21


def measure_estimates(outputs):
    parts, worst = [], 0
    for vocabulary in ("o200k", "cl100k", "claude"):
        found = re.search(rf"^{vocabulary} [^\0]*?^ *after 200 exchanges .* {NUMBER}$", outputs["bench/estimates"], re.MULTILINE)
        parts.append(f"{vocabulary} {found.group(1)}%")
        worst = max(worst, float(found.group(1)))
    return ", ".join(parts), worst <= 10


def measure_adaptive(outputs):
    found = re.findall(rf"^\d+ +{NUMBER}% +{NUMBER}%$", outputs["bench/adaptive"], re.MULTILINE)
    used, refused = [float(row[0]) for row in found], [float(row[1]) for row in found]
    return f"{min(used):.1f} to {max(used):.1f}%, {max(refused):.2f}% at most", min(used) >= 90 and max(refused) < 2


def measure_gradient(outputs):
    in_time, p99 = outputs.find("bench/gradient", rf"^found by latency +{NUMBER}% +{NUMBER} s +{NUMBER} s ")[::2]
    fixed = outputs.find("bench/gradient", rf"^fixed: 160 +{NUMBER}% ")[0]
    return f"{in_time:.1f}%, {p99:.1f} s; fixed at 160: {fixed:.1f}%", in_time >= 95 and p99 < 10


def measure_regions(outputs):
    rows = re.findall(r"^(.*?) +\d+% +\d+% +\d+% +(\d+) of \d+$", outputs["bench/regions"], re.MULTILINE)
    failed = sum(int(count) for name, count in rows if name != "all are dead")
    return f"{failed} failed", len(rows) == 8 and failed == 0


def measure_pick(outputs):
    """Time, not virtual: the batch in the middle counts, of the round that was disturbed least; the best one is shown beside it."""
    best, middle = outputs.find("bench/micro/micro-pick", rf"^headroom +10000 +{NUMBER} ns +{NUMBER} ns$")
    return f"{middle:.0f} ns (best {best:.0f})", middle < 300


def measure_sessions(outputs):
    cached = outputs.find("bench/sessions", rf"^sticky +{NUMBER}% ")[0]
    others = outputs.find("bench/sessions", rf"^least_used +{NUMBER}% ")[0]
    gone = outputs.find("bench/sessions", rf"^sticky +{NUMBER}% +{NUMBER}% +{NUMBER}% ")[2]
    return f"{cached:.1f}% cached (least_used {others:.1f}%), a key that goes moves {gone:.1f}%", cached >= 95 and gone <= 16


def measure_hedging(outputs):
    """Of the default: quantiles are the second to the fifth number, what was hedged and the cost come behind."""
    row = rf" +{NUMBER} +{NUMBER} +{NUMBER} +{NUMBER} +{NUMBER}% +{NUMBER}% +{NUMBER}% +{NUMBER}%$"
    without = outputs.find("bench/hedging", "^none" + row)
    with_it = outputs.find("bench/hedging", "^" + re.escape("{after: p95, budget: 5%}") + row)
    measured = f"p99 {without[2]:.2f} s, then {with_it[2]:.2f} s; {with_it[4]:.1f}% hedged, cost {with_it[7]:.1f}%"
    return measured, with_it[2] <= without[2] / 2 and with_it[4] <= 5 and with_it[7] <= 105


def measure_budgets(outputs):
    passed = [[float(part) for part in row] for row in
              re.findall(rf"^\d +(?:web|pool) +{NUMBER} +{NUMBER} +{NUMBER} +{NUMBER}", outputs["bench/budgets"], re.MULTILINE)]
    over = [(over / limit * 100, over <= under_way + 0.01) for _, limit, over, under_way in passed]
    return f"by {max(share for share, _ in over):.2f}% at most", len(over) == 6 and all(is_held for _, is_held in over)


ROWS = [
    Row("8 keys, 4 accounts, 150% of the quota, one hour (virtual)", "used 98%, 429s 0.2%, too early 0", measure_steady),
    Row("  the same, reacting to 429s alone", "", measure_others),
    Row("  5 s after: an account's limit halved / a key slow / dead", "95% of what is possible", measure_mishaps),
    Row("three classes, batch at ten times its share (virtual)", "critical's p99 wait 50 ms", measure_classes),
    Row("20 clients, one of them greedy (virtual)", "within 5% of the fair share", measure_fairness),
    Row("a pick among 10,000 keys (this machine's time)", "under 300 ns", measure_pick),
    Row("1,000 sessions while keys come and go, sticky (virtual)", "95% find their cache", measure_sessions),
    Row("hedging: 3% of answers ten times as late, budget 5% (virtual)", "p99 halved, 5% hedged", measure_hedging),
    Row("budgets of clients and their pool, three days (virtual)", "passed by what is under way", measure_budgets),
    Row("tokens of a prompt, after 200 exchanges of a model", "nine of ten within 10%", measure_estimates),
    Row("a limit that nobody tells, found by trying (adaptive, virtual)", "used 90%, refused under 2%", measure_adaptive),
    Row("a server that loses half its places, limit by latency (virtual)", "in time 95%, p99 10 s", measure_gradient),
    Row("three regions, one slow, dead, losing a third (an hour, virtual)", "no client sees it", measure_regions),
    Row("auto by size against always the dear model, a day's sizes (virtual)", "costs 21% less", measure_targets),
]
