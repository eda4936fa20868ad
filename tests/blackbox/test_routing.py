"""GET /v1/admin/routing: where traffic goes."""

from harness.callers import Load
from harness.expect import chat
from harness.fixtures import provider
from harness.keyed import BROKEN
from harness.rotation import ADMIN, rotation, wait_step


def routing(gateway):
    answer = gateway.admin("/v1/admin/routing")
    assert answer.status == 200
    return answer.json


def test_shares(stage, sim):
    sim.scenario()
    config = {
        "providers": {"one": provider(sim.base_url, [{"name": "a", "secret": "sk-pool-1"}, {"name": "b", "secret": "sk-pool-2", "weight": 3}],
                                      selection="weighted"),
                      "two": provider(sim.base_url, [{"name": "c", "secret": "sk-pool-3"}])},
        "models": {"m": {"targets": [{"to": "one/gpt-4.1", "weight": 3}, {"to": "two/gpt-4.1", "weight": 1}], "fallback": ["two/gpt-4.1-mini"]},
                   "alone": "two/gpt-4.1"},
    }
    gateway = stage.gateway(config).settle()
    page = routing(gateway)
    assert [model["model"] for model in page["models"]] == ["m", "alone"]
    assert page["models"][1]["targets"] == [{"provider": "two", "model": "gpt-4.1", "weight": 1, "requests": 0, "share": None}]
    for _ in range(40):
        assert gateway.post(chat("hello", model="m")).status == 200
    for _ in range(10):
        assert gateway.post(chat("hello", model="alone")).status == 200
    page = routing(gateway)
    m, alone = page["models"]
    assert m["requests"] == 40 and m["targets"][0]["weight"] == 3
    assert m["targets"][0]["requests"] > 15 and m["targets"][0]["share"] == m["targets"][0]["requests"] / 40
    # Two ways to one provider are not told apart.
    assert m["targets"][1]["requests"] is None and m["fallback"][0]["share"] is None
    assert alone["requests"] == 10 and alone["targets"][0]["share"] == 1
    one, two = page["providers"]
    assert one["requests"] + two["requests"] == 50 and one["share"] == one["requests"] / 50
    assert one["endpoints"] == [{"url": sim.base_url, "breaker": "closed", "rests_until": None}]
    a, b = one["keys"]
    assert (a["name"], a["weight"], b["weight"]) == ("a", 1, 3) and b["requests"] > a["requests"] > 0
    assert a["step"] == "active" and a["health"] == "healthy" and a["breaker"] == "closed" and a["in_flight"] == 0
    assert abs(a["share"] + b["share"] - 1) < 1e-9
    assert 0 <= page["seconds"] < 180 and page["since"].endswith("Z")


def test_breakers(keyed):
    gateway = keyed(1, behave={"sk-pool-1": BROKEN}, breaker={"failures": 2, "ratio": "50%", "window": "10s", "open": "60s"})
    for _ in range(3):
        gateway.post(chat("hello"))
    (only,) = routing(gateway)["providers"]
    assert "open" in (only["endpoints"][0]["breaker"], only["keys"][0]["breaker"])


def test_a_canary(stage, sim, tmp_path):
    sim.scenario()
    keys = [{"name": "a", "secret": "sk-pool-1"}, {"name": "b", "secret": "sk-pool-2"}]
    slow = {"initial": "25%", "steps": 4, "every": "30s", "min_requests": 10}
    gateway = stage.gateway({"secrets": {"seal_key": f"file:{tmp_path}/bellwether.key"},
                             "providers": {"sim": provider(sim.base_url, keys, rotation=rotation(sim, canary=slow))}}, secrets=[ADMIN]).settle()
    with Load(gateway, 1):
        assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
        name = wait_step(gateway, "canary")["name"]
        row = next(row for row in routing(gateway)["providers"][0]["keys"] if row["name"] == name)
        assert row["step"] == "canary" and row["canary_share"] == 0.25
        assert gateway.metrics().get("bellwether_canary_error_rate", provider="sim") == 0
