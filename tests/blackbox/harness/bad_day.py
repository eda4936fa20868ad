"""A provider's bad day, played faster than it would last: the simulator's scenario peak-hours, with four keys behind the gateway
and with one key and no gateway. Run by itself it prints the report of docs/bad-day.md:

    PYTHONPATH=tests/blackbox python3 -m harness.bad_day
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import load
from .processes import Gateway, Simulator
from .stalls import StallWatch

SCENARIO = Path(__file__).parents[3] / "src/sim/scenarios/peak-hours.yaml"
KEYS = [f"sk-day-{i}" for i in range(1, 5)]


@dataclass
class Day:
    """What became of the exchanges of one day. Seconds are the scenario's own."""

    count: int
    failed: list
    seconds: list  # by rising length
    repeats: int  # whole answers to a question that had one already
    stalled: float  # the longest time for which the machine stood still

    @property
    def share(self):
        return 1 - len(self.failed) / self.count

    def quantile(self, share):
        return self.seconds[min(self.count - 1, int(self.count * share))]


def settings(scale, tuned):
    """The gateway's settings with every time of the defaults divided by the scale. Tuned as the scenario needs it: more tries,
    and no more patience than an answer takes on such a day."""

    def ms(seconds):
        return f"{max(1, round(seconds * 1000 / scale))}ms"

    retry = {"base_delay": ms(0.1), "max_delay": ms(60), "wait": ms(5)}
    first_byte = {"streamed": ms(60), "whole": ms(600)}
    if tuned:
        retry.update(attempts=6, timeouts=3)
        first_byte = ms(20)
    provider = {
        "timeouts": {"first_byte": first_byte, "total": ms(600)},
        "health": {"cooldown": ms(60), "ttl": ms(60), "depleted": ms(600), "probe_interval": ms(30)},
        "breaker": {"window": ms(10), "open": ms(30)},
    }
    return retry, provider


def play(directory, scale, count, clients, tuned=None):
    """A day through the gateway; tuned None: without it, on one key. Clients give up after two minutes."""
    path = Path(directory) / "peak-hours.yaml"
    path.write_text("count_repeats: true\n" + SCENARIO.read_text())
    simulator = Simulator(directory, arguments=["--scenario", str(path), "--time-scale", str(scale)])
    gateway = None
    try:
        address = simulator.address
        if tuned is not None:
            retry, provider = settings(scale, tuned)
            gateway = Gateway(directory, {"retry": retry, "log": {"access": False}, "providers": {
                "sim": {"kind": "compatible", "base_url": simulator.base_url, "keys": KEYS, **provider}}}).settle()
            address = gateway.address
        with StallWatch() as watch:
            results = load.exchanges(address, count, clients=clients, stream_share=0.5, key=KEYS[0], patience=120 / scale)
        repeats = simulator.stats()["repeats"]
    finally:
        if gateway:
            gateway.stop()
        simulator.stop()
    return Day(len(results), load.failures(results), sorted(result.seconds * scale for result in results), repeats,
               watch.longest * scale)


def main(scale=20, count=2000, clients=40):
    days = {"four keys, `attempts: 6`, `timeouts: 3`, `first_byte: 20s`": True, "four keys, the default settings": False,
            "one key, no gateway": None}
    print("| | answered | p50 | p95 | p99 | answered twice |\n|---|---|---|---|---|---|")
    for name, tuned in days.items():
        with tempfile.TemporaryDirectory() as directory:
            day = play(directory, scale, count, clients, tuned)
        times = " | ".join(f"{day.quantile(share):.1f} s" for share in (0.5, 0.95, 0.99))
        print(f"| {name} | {100 * day.share:.2f}% | {times} | {day.repeats} |", flush=True)


if __name__ == "__main__":
    main()
