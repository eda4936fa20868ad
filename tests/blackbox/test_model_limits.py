"""Limits of a key for one model, as the file declares them: never passed, and no other model's concern. The simulator
counts."""

from collections import Counter

from harness import load
from harness.expect import chat
from harness.wire import post


def ask_each(gateway, count, **fields):
    """The answers to so many requests, one after the other."""
    with gateway.connect() as connection:
        return [connection.ask(post(chat("hello", **fields))) for _ in range(count)]


def statuses(answers):
    return [answer.status for answer in answers]


def declared(*models, **limits):
    """Settings of a pool whose provider declares these limits for each of these models, and where nobody waits."""
    return {"model_limits": {model: limits for model in models}, "config": {"retry": {"wait": "10ms"}}}


def test_a_limit_for_one_model_leaves_the_others_alone(pool, sim):
    """It is the key's at that model: what is over it is not sent, and other models go as they went."""
    gateway = pool(1, **declared("small", rpm=2))
    answers = ask_each(gateway, 3, model="sim/small")
    assert statuses(answers) == [200, 200, 429]
    assert 50 <= int(answers[2].get("retry-after")) <= 62, "windows have a grain of 2 s"
    assert sim.generations("sk-pool-1") == 2, "the third was not sent"
    assert statuses(ask_each(gateway, 10, model="sim/large")) == [200] * 10
    assert sim.generations("sk-pool-1") == 12
    assert statuses(ask_each(gateway, 1, model="sim/small")) == [429]


def test_what_a_provider_declares_for_a_model_each_key_has(pool, sim):
    gateway = pool(2, **declared("small", rpm=2))
    answers = ask_each(gateway, 5, model="sim/small")
    assert statuses(answers) == [200, 200, 200, 200, 429]
    assert Counter(answer.get("x-bellwether-key") for answer in answers[:4]) == {"k1": 2, "k2": 2}
    assert (sim.generations("sk-pool-1"), sim.generations("sk-pool-2")) == (2, 2)


def test_a_keys_own_limits_for_a_model_are_in_the_place_of_the_providers(pool, sim):
    """Whole: of what the key does not say there is no limit."""
    key = lambda i: {"model_limits": {"small": {"concurrent": 50}}} if i == 1 else {}  # noqa: E731
    gateway = pool(2, key=key, **declared("small", rpm=2))
    assert statuses(ask_each(gateway, 20, model="sim/small")) == [200] * 20
    assert sim.generations("sk-pool-1") >= 18
    assert sim.generations("sk-pool-2") <= 2


def test_limits_of_a_key_hold_beside_those_for_a_model(pool, sim):
    """The key's limit is for all of its models together, whatever each of them may still."""
    gateway = pool(1, key=lambda i: {"limits": {"rpm": 5}}, **declared("small", "large", rpm=4))
    assert statuses(ask_each(gateway, 5, model="sim/small")) == [200] * 4 + [429]
    assert statuses(ask_each(gateway, 2, model="sim/large")) == [200, 429]
    assert sim.generations("sk-pool-1") == 5


def test_limits_of_an_account_for_a_model_are_shared(pool, sim):
    """The least of what its keys declare."""
    key = lambda i: {"account": "org-x", "model_limits": {"small": {"rpm": 10 * i}}}  # noqa: E731
    gateway = pool(3, key=key, config={"retry": {"wait": "10ms"}})
    load.exchanges(gateway.address, 40, clients=8, model="sim/small")
    assert sim.stats()["total"]["generations"]["answered"] == 10


def test_a_margin_is_kept_free_of_limits_for_a_model(pool, sim):
    gateway = pool(1, limits={"margin": "25%"}, **declared("small", rpm=8))
    assert statuses(ask_each(gateway, 8, model="sim/small")) == [200] * 6 + [429] * 2
    assert sim.generations("sk-pool-1") == 6


def test_concurrency_for_one_model_is_never_passed(pool, sim):
    scenario = {"defaults": {"latency": "20ms"}}
    gateway = pool(2, scenario, model_limits={"small": {"concurrent": 3}})
    results = load.exchanges(gateway.address, 60, clients=25, model="sim/small")
    assert not load.failures(results), "they wait for their turn"
    assert [facts["max_in_flight"] for facts in sim.stats()["keys"].values()] == [3, 3]


def test_tokens_for_one_model_are_never_passed(pool, sim):
    scenario = {"defaults": {"limits": {"tpm": 3000, "window": "sliding"}}}
    gateway = pool(1, scenario, **declared("small", tpm=3000))
    results = load.exchanges(gateway.address, 300, clients=4, max_tokens=20, model="sim/small")
    stats = sim.stats()["total"]
    assert stats["limited"] == 0
    assert 1500 < stats["prompt_tokens"] + stats["completion_tokens"] <= 3000
    assert {result.status for result in load.failures(results)} == {429}


def test_a_reload_keeps_what_was_used_of_limits_for_a_model(pool, sim):
    """Also of a key that it puts into an account."""
    gateway = pool(1, **declared("small", rpm=3))
    assert statuses(ask_each(gateway, 2, model="sim/small")) == [200] * 2
    settings = gateway.config["providers"]["sim"]
    settings["model_limits"]["small"]["rpm"] = 4
    assert gateway.reload(gateway.config)
    assert statuses(ask_each(gateway, 3, model="sim/small")) == [200, 200, 429]
    settings = gateway.config["providers"]["sim"]
    settings["model_limits"]["small"]["rpm"] = 5
    settings["keys"][0]["account"] = "org-x"
    assert gateway.reload(gateway.config)
    assert statuses(ask_each(gateway, 2, model="sim/small")) == [200, 429]
    assert sim.generations("sk-pool-1") == 5
