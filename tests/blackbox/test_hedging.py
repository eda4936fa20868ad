"""A second attempt beside a slow one, before a provider of which a few answers hang: what clients notice, and what it
costs."""

import pytest
from harness import load
from harness.expect import chat

KEYS = 4
STALL_S = 2
SLOW = {
    "seed": 7,
    "defaults": {
        "latency": {"uniform": ["30ms", "50ms"]},
        "faults": [{"fault": "stall", "share": "3%", "for": f"{STALL_S}s"}],
    },
}
PRICES = {"sim/gpt-4.1": {"input": 2, "output": 8}}
BUDGET = 0.1


def settings(hedge):
    return {
        "server": {"workers": 1},
        "prices": PRICES,
        **({"retry": {"hedge": {**hedge, "budget": f"{BUDGET:.0%}"}}} if hedge is not None else {}),
    }


def p99(results):
    assert load.failures(results) == []
    seconds = sorted(result.seconds for result in results)
    return seconds[len(seconds) * 99 // 100]


def hedges(gateway, result):
    return gateway.metrics().sum("bellwether_hedges_total", provider="sim", result=result)


def made(gateway):
    return sum(hedges(gateway, result) for result in ("won", "lost", "failed", "cut"))


def exchanges(gateway, count):
    return load.exchanges(gateway.address, count, clients=16, stream_share=0.5, model="gpt-4.1")


@pytest.mark.parametrize("after", ["p95", "150ms"])
def test_the_slowest_hundredth_is_faster(pool, after):
    """Three in a hundred answers hang for two seconds. Unhedged, that is the p99; hedged, hardly anybody waits as long:
    what remains is the rare hedge that hangs too."""
    plain = pool(KEYS, scenario=SLOW, config=settings(None))
    without = p99(exchanges(plain, 800))
    assert without > STALL_S
    assert made(plain) == 0

    gateway = pool(KEYS, scenario=SLOW, config=settings({"after": after}))
    warm_up = exchanges(gateway, 300)
    assert load.failures(warm_up) == []
    results = exchanges(gateway, 800)
    assert p99(results) < STALL_S / 2

    # Within the budget, of all that there was; and most of them were worth it.
    assert 0 < made(gateway) <= BUDGET * 1100
    assert hedges(gateway, "won") > 10
    told = [result for result in results if result.fields["x-bellwether-attempts"] == "2"]
    assert len(told) <= made(gateway)


def test_the_bill_is_shown(pool):
    """Both attempts are in the cost of the exchange: the winner's as it is told, the other's as an estimate of its
    prompt."""
    gateway = pool(2, scenario=SLOW, config=settings({"after": "150ms"}))
    assert load.failures(exchanges(gateway, 300)) == []
    won = gateway.wait_access(hedge="won")
    assert won["attempts"] == 2 and "retries" not in won
    alone = (won["prompt_tokens"] * 2 + won["completion_tokens"] * 8) / 1e6
    assert won["cost_usd"] > alone
    metrics = gateway.metrics()
    lost = metrics.get("bellwether_hedge_cost_usd_total", provider="sim")
    answers = metrics.sum("bellwether_tokens_total", provider="sim", kind="prompt") * 2 / 1e6
    answers += metrics.sum("bellwether_tokens_total", provider="sim", kind="completion") * 8 / 1e6
    assert lost > 0
    assert metrics.sum("bellwether_cost_usd_total", provider="sim") == pytest.approx(answers + lost)
    assert metrics.sum("bellwether_hedge_tokens_total", provider="sim", kind="prompt") * 2 / 1e6 <= lost * 1.0001


def test_off_by_default(pool):
    """A slow answer is waited for."""
    gateway = pool(2, scenario={"defaults": {"latency": "1s"}})
    answer = gateway.post(chat("hello", model="gpt-4.1"))
    assert answer.status == 200 and answer.get("x-bellwether-attempts") == "1"
    assert made(gateway) == 0
