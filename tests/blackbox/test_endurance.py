"""Ten thousand exchanges over keys that fail at random; no answer is lost, cut, mixed or doubled."""

import time

import pytest
from harness import load

COUNT = 10_000


@pytest.mark.threads
@pytest.mark.timeout(120)
def test_ten_thousand_exchanges(pool, sim):
    """Four keys, two of them failing 15% of their requests at random, a third one revoked half-way."""
    flaky = {
        "faults": [
            {"fault": "server_error", "share": "5%"},
            {"fault": "reset", "share": "5%"},
            {"fault": "cut", "share": "5%"},
        ]
    }
    scenario = {
        "seed": 7,
        "count_repeats": True,
        "keys": {"sk-pool-1": flaky, "sk-pool-2": flaky, "sk-pool-3": {}, "sk-pool-4": {}},
    }
    gateway = pool(4, scenario, health={"probe_interval": "200ms"})
    asked = []

    def before(i):
        if i == COUNT // 2:
            sim.set("sk-pool-3", state="revoked")
            asked.append(sim.stats("sk-pool-3")["generations"])

    results = load.exchanges(gateway.address, COUNT, clients=32, before=before)
    assert len(results) == COUNT
    failed = load.failures(results)
    assert len(failed) <= COUNT // 10_000, failed[:5]
    stats = sim.stats()
    flaky_ones = [stats["keys"][f"sk-pool-{i}"]["generations"] for i in (1, 2)]
    assert all(0.10 < key["failed"] / (key["failed"] + key["answered"]) < 0.20 for key in flaky_ones), "they did fail"
    # Those under way when it was revoked, and no others, reached it; from then on it is probed.
    revoked = stats["keys"]["sk-pool-3"]
    assert revoked["generations"]["refused"] <= 32
    lookups = revoked["lookups"]
    time.sleep(0.7)
    later = sim.stats("sk-pool-3")
    assert later["generations"] == revoked["generations"]
    assert later["lookups"] >= lookups + 2, "it is probed"
    assert gateway.key_states()["k3"]["health"] == "invalid"
    # No answer was given twice: whole answers are as many as exchanges, but for those that were cut on their way.
    assert stats["total"]["generations"]["answered"] <= COUNT + 5
    assert stats["repeats"] <= 5


@pytest.mark.threads
@pytest.mark.timeout(120)
def test_streams_over_keys_that_fail(pool, sim):
    """Failures before the first event are made up for; what breaks off later ends with an error and is never silently
    cut."""
    flaky = {
        "faults": [{"fault": "error_event", "after": 0, "share": "10%"}, {"fault": "cut", "after": 3, "share": "5%"}]
    }
    gateway = pool(4, {"seed": 11, "keys": {"sk-pool-1": flaky, "sk-pool-2": flaky}})
    count = COUNT // 4
    results = load.exchanges(gateway.address, count, clients=32, stream_share=1.0)
    broken = load.failures(results)
    assert all(result.status == 200 and b'"upstream_failed"' in result.body for result in broken), broken[:3]
    assert not any(b"[DONE]" in result.body for result in broken)
    cuts = sum(sim.stats()["keys"][f"sk-pool-{i}"]["generations"]["failed"] for i in (1, 2))
    assert 0 < len(broken) < cuts


@pytest.mark.threads
def test_a_thousand_connections(pool):
    gateway = pool(4, {"defaults": {"latency": "200ms"}})
    results = load.exchanges(gateway.address, 2_000, clients=1_000)
    assert load.failures(results) == []
    metrics = gateway.metrics()
    assert metrics.get("bellwether_active_requests") == 0
    assert metrics.get("bellwether_waiting_requests") == 0
    assert metrics.get("bellwether_body_memory_bytes") < 2 << 20, "no more than what the workers keep in stock"
    assert metrics.get("bellwether_client_connections") <= 1_000
