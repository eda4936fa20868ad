"""A provider's bad day, played at speed: 13% of requests fail, two thirds of them by never being answered. The same load goes
through four keys with more patience for time-outs, through four keys by default, and to one key without any gateway."""

import asyncio
import time
from pathlib import Path

import pytest
from harness import load
from harness.fixtures import provider
from harness.processes import Simulator

SCALE = 20
SECONDS = 18
CLIENTS = 60
SCENARIO = (Path(__file__).parents[2] / "src/sim/scenarios/peak-hours.yaml").read_text()
KEYS = [f"sk-peak-{i}" for i in range(1, 5)]
# All that is a time at the provider is shorter by the scale; so is what the gateway waits for it. The rest is the default.
FIRST_BYTE = {"timeouts": {"first_byte": f"{30_000 // SCALE}ms"}}
HEALTH = {"health": {"cooldown": f"{60_000 // SCALE}ms", "ttl": f"{60_000 // SCALE}ms"},
          "breaker": {"open": f"{30_000 // SCALE}ms"}}


async def play(address, key=None):
    """Clients that ask one question after the other, each question once."""
    until = time.monotonic() + SECONDS
    return await load.run(address, 10**9, CLIENTS, stream_share=0.3, key=key, stop=lambda: time.monotonic() > until)


class Way:
    """One of the ways, with a simulator of its own."""

    def __init__(self, stage, name, retry=None, is_direct=False):
        self.name = name
        text = f"{SCENARIO}\ntime_scale: {SCALE}\ncount_repeats: true\n"
        self.sim: Simulator = stage.simulator(text)
        self.gateway = None
        self.results = []
        if not is_direct:
            settings = {**FIRST_BYTE, **HEALTH}
            self.gateway = stage.gateway({"providers": {"sim": provider(self.sim.base_url, KEYS, **settings)}, "retry": retry or {}}).settle()

    async def go(self):
        if self.gateway:
            self.results = await play(self.gateway.address)
            return
        # Without a gateway a client's own time-out is all there is.
        deadline = 30 / SCALE
        until = time.monotonic() + SECONDS
        await asyncio.gather(*(self.ask_directly(i, deadline, until) for i in range(CLIENTS)))

    async def ask_directly(self, client, deadline, until):
        connection, count = load.Connection(self.sim.address), 0
        while time.monotonic() < until:
            count += 1
            try:
                result = await asyncio.wait_for(load.one(connection, f"question {client}-{count}", KEYS[0]), deadline)
            except asyncio.TimeoutError:
                connection.close()
                result = load.Result("", error="timeout", seconds=deadline)
            self.results.append(result)

    def row(self):
        seconds = sorted(result.seconds * SCALE for result in self.results if result.is_ok)
        share = 100 * len(seconds) / len(self.results)
        stats = self.sim.stats()
        asked = sum(stats["total"]["generations"].values())
        return (f"{self.name:42} {len(self.results):7} {share:8.3f} {asked / len(self.results):9.2f} {stats['repeats']:6} "
                f"{seconds[len(seconds) // 2]:7.1f} {seconds[len(seconds) * 95 // 100]:7.1f} {seconds[len(seconds) * 99 // 100]:7.1f}")


@pytest.mark.timeout(120)
def test_peak_hours(stage, tell):
    ways = [
        Way(stage, "four keys, attempts: 6, timeouts: 3", {"attempts": 6, "timeouts": 3}),
        Way(stage, "four keys, the default settings"),
        Way(stage, "one key, no gateway", is_direct=True),
    ]

    async def all_ways():
        await asyncio.gather(*(way.go() for way in ways))

    asyncio.run(all_ways())
    tell(f"peak-hours, {SECONDS * SCALE} s of it in {SECONDS} s; seconds as at the provider")
    tell(f"{'':42} {'asked':>7} {'answered':>8} {'requests':>9} {'twice':>6} {'p50':>7} {'p95':>7} {'p99':>7}")
    tell(f"{'':42} {'':7} {'%':>8} {'each':>9} {'':6} {'s':>7} {'s':>7} {'s':>7}")
    for way in ways:
        tell(way.row())
    patient, usual, direct = ([result for result in way.results if result.is_ok] for way in ways)
    answered = [len(good) / len(way.results) for good, way in zip((patient, usual, direct), ways)]
    assert len(ways[0].results) > 2_000
    assert answered[0] >= 0.999, load.failures(ways[0].results)[:5]
    assert answered[1] > answered[2] + 0.05
    for way in ways[:2]:
        assert way.sim.stats()["repeats"] == 0, "an answer was produced twice"
        assert len({result.text for result in way.results}) == len(way.results)
