"""Which key gets the next request: strategies, priorities, weights, pools, patterns of models; and declared limits,
which are never passed. The simulator counts."""

import threading
import time
from collections import Counter

import pytest
from harness import load
from harness.expect import chat, content
from harness.fixtures import provider
from harness.upstream import serve
from harness.wire import post


def by_key(gateway, count, **fields):
    """How many of so many requests, one after the other, each key served."""
    with gateway.connect() as connection:
        answers = [connection.ask(post(chat("hello", **fields))) for _ in range(count)]
    assert {answer.status for answer in answers} == {200}
    return Counter(answer.get("x-bellwether-key") for answer in answers)


def alone(**more):
    """One worker: each spreads by itself."""
    return {"server": {"workers": 1}, **more}


# -- strategies ------------------------------------------------------------------------------------


def test_round_robin(pool):
    assert by_key(pool(4, selection="round_robin", config=alone()), 40) == {"k1": 10, "k2": 10, "k3": 10, "k4": 10}


def test_least_used(pool):
    assert by_key(pool(4, config=alone()), 40) == {"k1": 10, "k2": 10, "k3": 10, "k4": 10}


def test_least_used_looks_at_what_is_under_way(keyed):
    """A key that is busy gets no more while others are idle."""
    release = threading.Event()

    def slow(peer):
        release.wait(10)
        serve(peer)

    gateway = keyed(3, behave={"sk-pool-1": slow})
    blocked = []
    for _ in range(3):  # one of them falls to k1 and stays there
        blocked.append(threading.Thread(target=gateway.post, args=(chat("hello"),)))
        blocked[-1].start()
    gateway.keys.upstream.wait(lambda: gateway.keys.asked("sk-pool-1") == 1)
    while sum(thread.is_alive() for thread in blocked) > 1:
        time.sleep(0.01)
    counts = by_key(gateway, 20)
    release.set()
    for thread in blocked:
        thread.join()
    assert "k1" not in counts
    assert abs(counts["k2"] - counts["k3"]) <= 1


def test_weighted(pool):
    gateway = pool(3, selection="weighted", key=lambda i: {"weight": [5, 3, 2][i - 1]}, config=alone())
    assert by_key(gateway, 100) == {"k1": 50, "k2": 30, "k3": 20}


@pytest.mark.parametrize("selection", ["least_used", "round_robin"])
def test_weights_of_other_strategies(pool, selection):
    """Shares are by weight there too, but for round_robin, where turns are turns."""
    gateway = pool(2, selection=selection, key=lambda i: {"weight": [3, 1][i - 1]}, config=alone())
    counts = by_key(gateway, 40)
    assert counts["k1"] == pytest.approx(30 if selection == "least_used" else 20, abs=1)


def test_priority_strategy(pool, sim):
    gateway = pool(3, selection="priority", config=alone())
    assert by_key(gateway, 10) == {"k1": 10}
    sim.set("sk-pool-1", state="revoked")
    assert by_key(gateway, 10) == {"k2": 10}


@pytest.mark.threads
def test_over_two_workers_the_spread_is_even(pool, sim):
    gateway = pool(4)
    assert not load.failures(load.exchanges(gateway.address, 800, clients=16))
    counts = [facts["generations"]["answered"] for facts in sim.stats()["keys"].values()]
    assert sum(counts) == 800 and max(counts) - min(counts) <= 80


# -- priorities, standby, pools, models ------------------------------------------------------------


def test_priorities(pool, sim):
    """Lower is tried first; the next ones come in when those cannot, and go again."""
    gateway = pool(4, key=lambda i: {"priority": [5, 1, 1, 0][i - 1]}, config=alone())
    assert by_key(gateway, 10) == {"k4": 10}
    sim.set("sk-pool-4", state="revoked")
    assert by_key(gateway, 10) == {"k2": 5, "k3": 5}
    sim.set("sk-pool-2", state="revoked")
    sim.set("sk-pool-3", state="revoked")
    assert by_key(gateway, 10) == {"k1": 10}


def test_a_better_key_that_comes_back_is_used_again(keyed):
    gateway = keyed(
        2,
        key=lambda i: {"priority": i},
        behave={
            "sk-pool-1": [
                lambda peer: peer.answer(
                    {
                        "error": {
                            "message": "Slow down.",
                            "type": "requests",
                            "param": None,
                            "code": "rate_limit_exceeded",
                        }
                    },
                    429,
                    {"retry-after-ms": "400"},
                ),
                serve,
            ]
        },
    )
    assert by_key(gateway, 5) == {"k2": 5}
    time.sleep(0.45)
    assert by_key(gateway, 5) == {"k1": 5}


def test_standby(pool, sim):
    """Weight 0: only when no other key can."""
    gateway = pool(3, key=lambda i: {"weight": 0} if i == 1 else {}, config=alone())
    assert by_key(gateway, 10) == {"k2": 5, "k3": 5}
    sim.set("sk-pool-2", state="revoked")
    sim.set("sk-pool-3", state="depleted")
    assert by_key(gateway, 10) == {"k1": 10}


def test_a_standby_of_a_better_priority_comes_last_all_the_same(pool):
    gateway = pool(2, key=lambda i: [{"weight": 0, "priority": 0}, {"priority": 9}][i - 1], config=alone())
    assert by_key(gateway, 6) == {"k2": 6}


def test_models_of_a_key(pool):
    gateway = pool(2, key=lambda i: {"models": [["small-*"], ["large-*", "small-2"]][i - 1]}, config=alone())
    assert by_key(gateway, 4, model="small-1") == {"k1": 4}
    assert by_key(gateway, 4, model="large-1") == {"k2": 4}
    assert by_key(gateway, 4, model="small-2") == {"k1": 2, "k2": 2}
    answer = gateway.post(chat("hello", model="middle"))
    assert (answer.status, answer.error["code"], answer.error["param"]) == (404, "model_not_found", "model")


def test_pools_of_keys(pool):
    """A key with a pool serves only clients of that pool."""
    clients = {
        "keys": [
            {"name": "search", "secret": "sk-client-1", "pool": "search"},
            {"name": "web", "secret": "sk-client-2"},
        ]
    }
    gateway = pool(
        2, key=lambda i: {"pool": "search"} if i == 1 else {}, config=alone(clients=clients, pools={"search": {}})
    )

    def names(secret):
        headers = {"Authorization": f"Bearer {secret}"}
        return Counter(gateway.post(chat("hello"), headers=headers).get("x-bellwether-key") for _ in range(6))

    assert set(names("sk-client-1")) == {"k1", "k2"}
    assert names("sk-client-2") == {"k2": 6}


def test_expired_keys_are_not_used(pool):
    gateway = pool(2, key=lambda i: {"expires": "2020-01-01" if i == 1 else "2099-01-01T00:00:00Z"}, config=alone())
    assert by_key(gateway, 5) == {"k2": 5}


# -- declared limits -------------------------------------------------------------------------------


@pytest.mark.threads
@pytest.mark.parametrize("workers", [1, 2])
def test_declared_rpm_is_never_passed(pool, sim, workers):
    """The simulator's sliding window is the judge: not one request over it arrives, however many come at once."""
    scenario = {"defaults": {"limits": {"rpm": 40, "window": "sliding"}}}
    gateway = pool(
        2,
        scenario,
        key=lambda i: {"limits": {"rpm": 40}},
        config={"server": {"workers": workers}, "retry": {"wait": "50ms"}},
    )
    results = load.exchanges(gateway.address, 200, clients=20)
    stats = sim.stats()["total"]
    assert stats["limited"] == 0
    assert stats["generations"]["answered"] == 80 == len(results) - len(load.failures(results))
    for result in load.failures(results):
        assert result.status == 429
        assert 50 <= int(result.fields["retry-after"]) <= 62, "windows have a grain of 2 s"
    limits = {limit["scope"]: limit for limit in gateway.key_states()["k1"]["limits"]}
    assert (limits["rpm"]["limit"], limits["rpm"]["remaining"]) == (40, 0)


def test_the_window_of_a_declared_limit_slides(pool):
    """What was sent two seconds later leaves it two seconds later."""
    gateway = pool(1, key=lambda i: {"limits": {"rpm": 20}}, config=alone(retry={"wait": "10ms"}))
    assert by_key(gateway, 10) == {"k1": 10}
    time.sleep(2)
    assert by_key(gateway, 10) == {"k1": 10}
    answer = gateway.post(chat("hello"))
    assert answer.status == 429
    assert 57 <= int(answer.get("retry-after-ms")) / 1000 <= 60.5, "windows have a grain of 2 s"


@pytest.mark.threads
def test_declared_concurrency_is_never_passed(pool, sim):
    scenario = {"defaults": {"latency": "20ms", "limits": {"concurrent": 3}}}
    gateway = pool(2, scenario, key=lambda i: {"limits": {"concurrent": 3}})
    results = load.exchanges(gateway.address, 100, clients=25)
    assert not load.failures(results), "they wait for their turn"
    stats = sim.stats()
    assert stats["total"]["limited"] == 0
    assert [facts["max_in_flight"] for facts in stats["keys"].values()] == [3, 3]


def test_concurrency_ends_with_a_client_that_leaves(pool):
    """Its place is free again."""
    gateway = pool(
        1,
        {"defaults": {"latency": "10s"}},
        key=lambda i: {"limits": {"concurrent": 1}},
        config={"retry": {"wait": "2s"}},
    )
    for _ in range(5):
        with gateway.connect() as connection:
            connection.send(post(chat("hello")))
            time.sleep(0.05)
    started = time.monotonic()
    assert gateway.post(chat("hello", model="")).status == 400
    with gateway.connect() as connection:
        connection.send(post(chat("hello")))
        time.sleep(0.2)
        state = gateway.key_states()["k1"]
    assert time.monotonic() - started < 2
    limits = {limit["scope"]: limit for limit in state["limits"]}
    assert limits["concurrent"]["remaining"] == 0, "one is under way"


def test_declared_tpm_is_never_passed(pool, sim):
    """The prompt's estimate and max_tokens are reserved, and settled by what was really used."""
    scenario = {"defaults": {"limits": {"tpm": 3000, "window": "sliding"}}}
    gateway = pool(1, scenario, key=lambda i: {"limits": {"tpm": 3000}}, config={"retry": {"wait": "10ms"}})
    results = load.exchanges(gateway.address, 300, clients=4, max_tokens=20)
    stats = sim.stats()["total"]
    assert stats["limited"] == 0
    assert 1500 < stats["prompt_tokens"] + stats["completion_tokens"] <= 3000
    assert {result.status for result in load.failures(results)} == {429}


def test_a_margin_is_kept_free(pool, sim):
    gateway = pool(
        1, key=lambda i: {"limits": {"rpm": 40}}, limits={"margin": "25%"}, config={"retry": {"wait": "10ms"}}
    )
    load.exchanges(gateway.address, 60, clients=4)
    assert sim.generations("sk-pool-1") == 30


def test_limits_of_an_account_are_shared(pool, sim):
    """Declared on each of its keys, they are one limit."""
    gateway = pool(3, key=lambda i: {"account": "org-x", "limits": {"rpm": 30}}, config={"retry": {"wait": "10ms"}})
    load.exchanges(gateway.address, 100, clients=8)
    assert sim.stats()["total"]["generations"]["answered"] == 30


def test_a_key_at_its_limit_leaves_the_work_to_others(pool, sim):
    key = lambda i: {"limits": {"rpm": 10}} if i == 1 else {}  # noqa: E731
    gateway = pool(2, key=key, selection="least_used")
    results = load.exchanges(gateway.address, 100, clients=8)
    assert not load.failures(results)
    counts = {name: facts["generations"]["answered"] for name, facts in sim.stats()["keys"].items()}
    assert counts == {"sk-pool-1": 10, "sk-pool-2": 90}


@pytest.mark.threads
def test_content_is_right_whatever_the_key(pool):
    gateway = pool(5, selection="round_robin")
    results = load.exchanges(gateway.address, 300, clients=30, stream_share=0.5)
    assert not load.failures(results)
    assert gateway.post(chat("hello")).content == content("hello")


def test_a_key_without_limits_goes_before_one_that_has_used_some_of_its_own(pool, sim):
    """By default the one with the most left is taken."""
    gateway = pool(2, key=lambda i: {"limits": {"rpm": 60}} if i == 1 else {})
    assert not load.failures(load.exchanges(gateway.address, 60, clients=2))
    assert sim.generations("sk-pool-2") > 50


@pytest.mark.parametrize("limits", [{}, {"rpm": 200}], ids=["no-limits", "limits"])
def test_weights_are_shares_by_default_too(pool, sim, limits):
    """Of keys alike in their limits, as of keys without."""
    gateway = pool(2, {"defaults": {"limits": limits}} if limits else None, key=lambda i: {"weight": [1, 3][i - 1]}, config=alone())
    started = time.monotonic()
    counts = by_key(gateway, 120)
    came_back = (time.monotonic() - started) * limits.get("rpm", 0) / 60
    assert 27 <= counts["k1"] <= 33 + came_back / 2, "both buckets fill alike, which is more to the lighter key"
    assert sim.stats()["total"]["limited"] == 0


# -- limits that answers tell of -------------------------------------------------------------------


def told(gateway, key):
    return {limit["scope"]: limit for limit in gateway.key_states()[key]["limits"]}


def test_limits_are_learned_from_answers(pool, sim):
    """Nothing is declared: what the provider tells keeps the gateway from asking for more than is there."""
    gateway = pool(2, {"defaults": {"limits": {"rpm": 30}}}, config=alone(retry={"wait": "10ms"}), selection="headroom")
    statuses = Counter(gateway.post(chat("hello")).status for _ in range(80))
    stats = sim.stats()["total"]
    assert stats["limited"] == 0
    assert statuses[200] == stats["generations"]["answered"]
    assert 60 <= statuses[200] <= 70, "two buckets of 30, and what came back meanwhile"
    limit = told(gateway, "k1")["requests:gpt-4.1"]
    assert limit["limit"] == 30 and limit["remaining"] <= 2
    answer = gateway.post(chat("hello"))
    assert answer.status == 429
    assert 0 < int(answer.get("retry-after-ms")) <= 2000, "one comes back every 2 s"


def test_gemini_s_limits_are_learned_from_its_refusals(stage, sim):
    """It tells of them nowhere else: the first refusal says how many a minute there are."""
    sim.scenario({"defaults": {"limits": {"rpm": 20, "window": "sliding"}}})
    keys = [{"name": "k1", "secret": "sk-pool-1"}]
    base = sim.base_url.removesuffix("/v1") + "/v1beta"
    gateway = stage.gateway(
        {
            "providers": {"google": provider(base, keys, kind="gemini", selection="headroom")},
            "models": {"m": "google/gemini-3.5-flash"},
            "retry": {"wait": "10ms"},
        }
    ).settle()
    assert not told(gateway, "k1")
    statuses = Counter(gateway.post(chat("hello", model="m")).status for _ in range(30))
    assert statuses == {200: 20, 429: 10}
    limit = told(gateway, "k1")["requests:gemini-3.5-flash"]
    assert limit["limit"] == 20 and limit["remaining"] == 0


def test_an_account_s_limits_are_learned_once(pool, sim):
    """What one key is told counts for all of its account."""
    scenario = {"accounts": {"org-1": {"limits": {"rpm": 30}}}, "defaults": {"account": "org-1"}}
    gateway = pool(3, scenario, key=lambda i: {"account": "a"}, config=alone(retry={"wait": "10ms"}), selection="headroom")
    statuses = Counter(gateway.post(chat("hello")).status for _ in range(50))
    assert sim.stats()["total"]["limited"] == 0
    assert 30 <= statuses[200] <= 35
    assert told(gateway, "k1") == told(gateway, "k3")
