"""What exchanges cost: told, logged, summed up; unknown where it is not known."""

import time

import pytest
from harness.expect import chat
from harness.fixtures import provider
from harness.keyed import BROKEN
from harness.processes import Gateway, run
from harness.wire import Wire, request

PRICES_OF_ALL = {"gpt-4.1": {"input": 2, "output": 8, "cached_input": 0.5}}
PRICES = {"sim/gpt-4.1": {"input": 2, "output": 8, "cached_input": 0.5}}


@pytest.fixture
def gateway(pool):
    return pool(1, config={"prices": PRICES, "currency": {"second": "CNY", "rate": 7.3}})


def usd(line):
    """What an access line's tokens cost."""
    return (line["prompt_tokens"] * 2 + line["completion_tokens"] * 8) / 1e6


def test_a_whole_answer_says_what_it_cost(gateway):
    answer = gateway.post(chat("hello", model="gpt-4.1"))
    line = gateway.wait_access(model="gpt-4.1")
    assert float(answer.get("x-bellwether-cost-usd")) == pytest.approx(usd(line))
    assert "e" not in answer.get("x-bellwether-cost-usd")
    assert line["cost_usd"] == pytest.approx(usd(line))


def test_a_stream_is_priced_at_its_end(gateway):
    answer = gateway.post(chat("hello", model="gpt-4.1", stream=True))
    assert answer.get("x-bellwether-cost-usd") is None
    line = gateway.wait_access(model="gpt-4.1", is_stream=True)
    assert line["cost_usd"] == pytest.approx(usd(line))


def test_sums(gateway):
    for _ in range(5):
        assert gateway.post(chat("hello", model="gpt-4.1")).status == 200
    total = 5 * gateway.wait_access(model="gpt-4.1")["cost_usd"]
    stats = gateway.admin("/v1/admin/stats").json
    assert stats["cost"]["usd"] == pytest.approx(total)
    assert stats["cost"]["CNY"] == pytest.approx(total * 7.3)
    assert stats["cost"]["unpriced_requests"] == 0
    metrics = gateway.metrics()
    assert metrics.sum("bellwether_cost_usd_total", provider="sim") == pytest.approx(total)
    assert metrics.get("bellwether_client_cost_usd_total", client="anonymous") == pytest.approx(total)


def test_an_unknown_price_is_not_nothing(gateway):
    answer = gateway.post(chat("hello", model="somebody-s-own"))
    assert answer.status == 200 and answer.get("x-bellwether-cost-usd") is None
    assert "cost_usd" not in gateway.wait_access(model="somebody-s-own")
    assert gateway.admin("/v1/admin/stats").json["cost"] == {"usd": 0, "CNY": 0, "unpriced_requests": 1}


def test_a_reload_changes_the_price(gateway):
    before = float(gateway.post(chat("hello", model="gpt-4.1")).get("x-bellwether-cost-usd"))
    config = dict(gateway.config, prices={"gpt-4.1": {"input": 4, "output": 16}})
    assert gateway.reload(config)
    after = float(gateway.post(chat("hello", model="gpt-4.1")).get("x-bellwether-cost-usd"))
    assert after == pytest.approx(2 * before)


EVERY_DAY = {"hours": ["00:00-12:00 UTC", "12:00-24:00 UTC"]}


@pytest.mark.parametrize(
    "more, times",
    [
        ({"long": [{"above": 1, "input": 6, "output": 24}, {"above": 100000, "input": 60, "output": 240}]}, 3),
        ({"peak": {**EVERY_DAY, "input": 4, "output": 16}}, 2),
        ({"later": [{"from": "2020-01-01", "input": 8, "output": 32}, {"from": "2999-01-01", "input": 60, "output": 240}]}, 4),
        ({"service_tiers": {"flex": 0.5, "batch": 0.5, "priority": 2}}, 1),
    ],
)
def test_all_that_the_file_may_say_of_a_price(gateway, more, times):
    before = float(gateway.post(chat("hello", model="gpt-4.1")).get("x-bellwether-cost-usd"))
    assert gateway.reload(dict(gateway.config, prices={"gpt-4.1": {"input": 2, "output": 8, **more}}))
    after = float(gateway.post(chat("hello", model="gpt-4.1")).get("x-bellwether-cost-usd"))
    assert after == pytest.approx(times * before)


def health_of(gateway, name, wanted, within=5):
    until = time.monotonic() + within
    while (state := gateway.key_states()[name])["health"] != wanted:
        assert time.monotonic() < until, state
        time.sleep(0.05)
    return state


def test_a_key_that_has_spent_its_budget_rests(pool):
    """The others carry the load; with none left the client is told until when."""
    def key(i):
        return {"budget": {"usd": 0.001, "per": "hour"}, "priority": i}

    gateway = pool(2, config={"prices": {"gpt-4.1": {"input": 200, "output": 800}}}, key=key)
    assert gateway.post(chat("hello", model="gpt-4.1")).get("x-bellwether-key") == "k1"
    state = health_of(gateway, "k1", "budget_spent")
    assert not state["healthy"] and state["cooldown_until"] and state["spent_usd"] > 0.001
    # The end of the hour, to within what the two clocks are apart.
    assert state["cooldown_until"][14:19] in ("00:00", "59:59")
    gateway.wait_line(r'"message":"key has spent its budget".*"key":"k1"')
    assert gateway.post(chat("hello", model="gpt-4.1")).get("x-bellwether-key") == "k2"
    health_of(gateway, "k2", "budget_spent")
    answer = gateway.post(chat("hello", model="gpt-4.1"))
    assert (answer.status, answer.error["code"]) == (503, "upstream_depleted")
    assert 1 <= int(answer.get("retry-after")) <= 3600
    config = gateway.config
    config["providers"]["sim"]["keys"][0]["budget"]["usd"] = 100
    del config["providers"]["sim"]["keys"][1]["budget"]
    assert gateway.reload(config)
    assert {health_of(gateway, name, "healthy")["health"] for name in ("k1", "k2")} == {"healthy"}
    assert gateway.post(chat("hello", model="gpt-4.1")).get("x-bellwether-key") == "k1"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_what_was_spent_outlives_a_restart(sim, tmp_path, end):
    """Ended in order, to the last request; killed, up to a second before."""
    sim.scenario()
    keys = [{"name": "k1", "secret": "sk-pool-1", "budget": {"usd": 1000, "per": "month"}}]
    config = {
        "providers": {"sim": provider(sim.base_url, keys)},
        "prices": {"gpt-4.1": {"input": 200, "output": 800}},
        "store": "sqlite:one.db",
    }
    spent = 0
    for _ in range(2):
        gateway = Gateway(tmp_path, config, secrets=["sk-pool-1"]).settle()
        spent += float(gateway.post(chat("hello", model="gpt-4.1")).get("x-bellwether-cost-usd"))
        if end == "kill":
            time.sleep(2.5)
            gateway.kill()
        else:
            gateway.stop()
    # What is left of it is less than nothing.
    keys[0]["budget"]["usd"] = round(spent * 0.9, 6)
    gateway = Gateway(tmp_path, config, secrets=["sk-pool-1"]).settle()
    health_of(gateway, "k1", "budget_spent")
    assert gateway.post(chat("hello", model="gpt-4.1")).error["code"] == "upstream_depleted"
    gateway.stop()


def totals(gateway, by):
    """The rows of one kind by name, and the whole."""
    page = gateway.admin(f"/v1/admin/costs/{by}").json
    assert page["by"] == by
    return {row["name"]: row for row in page["rows"]}, page


def wait_totals(gateway, by, name, requests, period="all", within=5):
    until = time.monotonic() + within
    while (row := totals(gateway, by)[0].get(name)) is None or row[period]["requests"] < requests:
        assert time.monotonic() < until, row
        time.sleep(0.05)
    assert row[period]["requests"] == requests
    return row


def expect_use(row, lines, currency=True):
    """All three periods hold what these access lines say."""
    for period in ("day", "month", "all"):
        use = row[period]
        assert use["requests"] == len(lines)
        assert use["input_tokens"] == sum(line.get("prompt_tokens", 0) for line in lines)
        assert use["output_tokens"] == sum(line.get("completion_tokens", 0) for line in lines)
        cost = sum(line.get("cost_usd", 0) for line in lines)
        assert use["cost"]["usd"] == pytest.approx(cost, abs=1e-9)
        if currency:
            assert use["cost"]["CNY"] == pytest.approx(cost * 7.3, abs=1e-8)


def test_totals_by_key_client_model_and_provider(gateway):
    for model in ("gpt-4.1", "gpt-4.1", "somebody-s-own"):
        assert gateway.post(chat("hello", model=model)).status == 200
    assert gateway.post(chat("hello", model="gpt-4.1", stream=True)).status == 200
    # The workers' lines come one worker after another.
    until = time.monotonic() + 5
    while len(lines := gateway.access_lines()) < 4:
        assert time.monotonic() < until, lines
        time.sleep(0.05)
    expect_use(wait_totals(gateway, "provider", "sim", 4), lines)
    expect_use(wait_totals(gateway, "key", "sim/k1", 4), lines)
    row = wait_totals(gateway, "client", "anonymous", 4)
    expect_use(row, lines)
    assert row["all"]["cost"]["unpriced_requests"] == 1
    expect_use(wait_totals(gateway, "model", "gpt-4.1", 3), [line for line in lines if line["model"] == "gpt-4.1"])
    stats = gateway.admin("/v1/admin/stats").json["totals"]
    assert stats["all"]["requests"] == 4 and stats["names_left_out"] == 0
    assert [row["name"] for row in stats["clients"]] == ["anonymous"]
    assert gateway.admin("/v1/admin/costs/nobody").error["code"] == "costs_not_found"


def test_totals_count_each_once(keyed):
    """A failed attempt behind which another was billed is one exchange, of the key that was billed."""
    gateway = keyed(2, key=lambda i: {"priority": i}, behave={"sk-pool-1": BROKEN}, config={"prices": PRICES_OF_ALL})
    answer = gateway.post(chat("hello", model="gpt-4.1"))
    assert answer.status == 200 and answer.get("x-bellwether-key") == "k2"
    line = gateway.wait_access(model="gpt-4.1")
    assert line["attempts"] == 2 and line["cost_usd"] > 0
    expect_use(wait_totals(gateway, "key", "up/k2", 1), [line], currency=False)
    expect_use(totals(gateway, "client")[0]["anonymous"], [line], currency=False)
    assert "up/k1" not in totals(gateway, "key")[0]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_totals_outlive_a_restart(sim, tmp_path, end):
    """Ended in order, to the last request; killed, up to three seconds before. And a reload keeps them."""
    sim.scenario()
    config = {
        "providers": {"sim": provider(sim.base_url, [{"name": "k1", "secret": "sk-pool-1"}])},
        "prices": {"gpt-4.1": {"input": 200, "output": 800}},
        "store": "sqlite:one.db",
    }
    spent = 0
    for i in range(3):
        gateway = Gateway(tmp_path, config, secrets=["sk-pool-1"]).settle()
        for name, kind in (("sim", "provider"), ("sim/k1", "key"), ("anonymous", "client")):
            if i:
                row = totals(gateway, kind)[0][name]
                for period in ("day", "month", "all"):
                    assert row[period]["requests"] == 2 * i
                    assert row[period]["cost"]["usd"] == pytest.approx(spent, abs=1e-9)
        for _ in range(2):
            spent += float(gateway.post(chat("hello", model="gpt-4.1")).get("x-bellwether-cost-usd"))
        if end == "kill":
            time.sleep(3.5)
            gateway.kill()
        else:
            assert gateway.reload(config)
            gateway.stop()


def test_the_table_for_people(gateway):
    for _ in range(2):
        assert gateway.post(chat("hello", model="gpt-4.1")).status == 200
    cost = 2 * gateway.wait_access(model="gpt-4.1")["cost_usd"]
    wait_totals(gateway, "key", "sim/k1", 2)
    address = "{}:{}".format(*gateway.admin_address)
    ran = run(["costs", "--by", "key", "--period", "day", "--address", address])
    assert ran.returncode == 0, ran.stderr
    head, line, whole = ran.stdout.splitlines()
    assert head.split() == ["key", "REQUESTS", "INPUT", "CACHED", "OUTPUT", "REASONING", "USD", "CNY", "UNPRICED"]
    name, requests, *_, usd, cny, unpriced = line.split()
    assert (name, requests, unpriced) == ("sim/k1", "2", "0")
    assert float(usd) == pytest.approx(cost, abs=1e-6) and float(cny) == pytest.approx(7.3 * cost, abs=1e-6)
    assert whole.startswith("all together")
    assert run(["costs", "--by", "colour", "--address", address]).returncode == 2
    assert run(["costs", "--period", "year", "--address", address]).returncode == 2


@pytest.mark.parametrize("tier, times", [("default", 1), ("flex", 0.5), ("priority", 2)])
@pytest.mark.parametrize("is_streaming", [False, True])
def test_what_an_answer_was_served_at(keyed, tier, times, is_streaming):
    """OpenAI says it in each answer, and in each chunk."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}

    def behave(peer):
        if not is_streaming:
            body = {"id": "c1", "object": "chat.completion", "model": "gpt-5.4", "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}
            peer.answer({**body, "service_tier": tier, "usage": usage})
            return True
        chunk = {"id": "c1", "object": "chat.completion.chunk", "model": "gpt-5.4", "service_tier": tier}
        events = [{**chunk, "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]},
                  {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
                  {**chunk, "choices": [], "usage": usage}]
        peer.begin_stream()
        for event in [*events, "[DONE]"]:
            peer.event(event)
        peer.end_stream()
        return True

    gateway = keyed(1, behave={"sk-pool-1": behave}, kind="openai")
    assert gateway.post(chat("hello", model="gpt-5.4", stream=is_streaming)).status == 200
    line = gateway.wait_access(model="gpt-5.4")
    assert line["cost_usd"] == pytest.approx(times * (1000 * 2.5 + 100 * 15) / 1e6)
