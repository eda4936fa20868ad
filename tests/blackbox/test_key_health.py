"""What an upstream's answer does to a key, as a user sees it: who gets the next request, what the client is told,
what the admin API shows."""

import email.utils
import threading
import time
from datetime import datetime, timezone

import pytest
from harness.expect import chat, content
from harness.fixtures import provider
from harness.keyed import BROKEN, FORBIDDEN, NO_MODEL, QUOTA, REVOKED, UNPAID, limited, refuse
from harness.upstream import serve

FAST = {"retry": {"base_delay": "1ms", "wait": "100ms"}}


def ok(answer):
    return answer.status == 200 and answer.content == content("hello")


def used(answer):
    return answer.get("x-bellwether-key")


def wait_for(condition, within=5):
    until = time.monotonic() + within
    while not condition():
        assert time.monotonic() < until, "did not come to pass"
        time.sleep(0.02)


# -- a pool of bad keys and a good one -------------------------------------------------------------

BAD = {
    "revoked": REVOKED,
    "unpaid": UNPAID,
    "out of quota": QUOTA,
    "forbidden": FORBIDDEN,
    "limited": limited(Retry_After="60"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("stream", [False, True])
def test_four_bad_keys_of_five(keyed, bad, stream):
    """By the default configuration: attempts are for what may have worked, not for keys that are to blame."""
    secrets = [f"sk-pool-{i}" for i in (1, 2, 3, 4)]
    gateway = keyed(5, behave=dict.fromkeys(secrets, bad))
    if bad is REVOKED:
        gateway.keys.probe.update(dict.fromkeys(secrets, 401))
    for _ in range(10):
        answer = gateway.post(chat("hello", stream=stream))
        assert answer.status == 200 and used(answer) == "k5"
    assert all(gateway.keys.asked(secret) <= 1 for secret in secrets)
    assert gateway.keys.asked("sk-pool-5") == 10


@pytest.mark.parametrize("state", ["revoked", "depleted", "unpaid", "forbidden"])
def test_four_bad_keys_of_five_at_the_simulator(pool, sim, state):
    """They go bad while the gateway runs."""
    gateway = pool(5)
    for i in (1, 2, 3, 4):
        sim.set(f"sk-pool-{i}", state=state)
    assert all(ok(gateway.post(chat("hello"))) for _ in range(30))
    refusals = [sim.stats()["keys"][f"sk-pool-{i}"]["generations"]["refused"] for i in (1, 2, 3, 4)]
    assert all(count <= 1 for count in refusals)


def test_all_kinds_of_bad_at_once(keyed):
    kinds = dict(zip((f"sk-pool-{i}" for i in range(1, 6)), BAD.values()))
    gateway = keyed(6, behave=kinds, selection="priority")
    answer = gateway.post(chat("hello"))
    assert ok(answer)
    assert answer.get("x-bellwether-attempts") == "6"
    assert gateway.admin("/metrics").body.count(b'kind="rotation"} 5') == 1


def test_rotations_are_bounded(keyed):
    gateway = keyed(
        4, behave={f"sk-pool-{i}": UNPAID for i in (1, 2, 3)}, selection="priority", config={"retry": {"rotations": 1}}
    )
    answer = gateway.post(chat("hello"))
    assert (answer.status, answer.error["code"]) == (503, "upstream_depleted")
    assert answer.get("x-bellwether-attempts") == "2"
    assert ok(gateway.post(chat("hello"))), "the third and the fourth are left"


# -- 401 -------------------------------------------------------------------------------------------


def test_a_revoked_key_gets_probes_alone(keyed):
    gateway = keyed(
        2,
        behave={"sk-pool-1": REVOKED},
        probe={"sk-pool-1": 401},
        health={"probe_interval": "100ms", "validate_new": False},
    )
    for _ in range(10):
        assert ok(gateway.post(chat("hello")))
    time.sleep(0.5)
    assert gateway.keys.asked("sk-pool-1") <= 1
    assert gateway.keys.probed("sk-pool-1") >= 3
    state = gateway.key_states()["k1"]
    assert (state["health"], state["healthy"], state["wish"]) == ("invalid", False, "enabled")


def test_a_probe_follows_a_401_at_once_and_cures(keyed):
    """The 401 was a hiccup: the key is known to a lookup, and serves on."""
    gateway = keyed(1, behave={"sk-pool-1": [REVOKED, serve]}, health={"probe_interval": "30s"})
    before = gateway.keys.probed("sk-pool-1")
    started = time.monotonic()
    gateway.post(chat("hello"))
    wait_for(lambda: gateway.keys.probed("sk-pool-1") > before, 1)
    wait_for(lambda: ok(gateway.post(chat("hello"))), 3)
    assert time.monotonic() - started < 3


def test_a_key_that_is_valid_again(keyed):
    gateway = keyed(
        1, behave={"sk-pool-1": REVOKED}, probe={"sk-pool-1": 401}, config=FAST, health={"probe_interval": "100ms"}
    )
    answer = gateway.post(chat("hello"))
    assert (answer.status, answer.error["code"]) == (502, "upstream_auth")
    gateway.keys.behave.clear()
    gateway.keys.probe.clear()
    wait_for(lambda: ok(gateway.post(chat("hello"))))


@pytest.mark.parametrize("status", [200, 204, 403, 404, 405])
def test_probes_that_find_a_key_known(keyed, status):
    gateway = keyed(
        1, behave={"sk-pool-1": [REVOKED, serve]}, probe={"sk-pool-1": status}, health={"probe_interval": "100ms"}
    )
    gateway.post(chat("hello"))
    wait_for(lambda: ok(gateway.post(chat("hello"))))


@pytest.mark.parametrize("status", [401, 500, 503, None])
def test_probes_that_do_not_cure(keyed, status):
    gateway = keyed(
        1,
        config=FAST,
        health={"probe_interval": "100ms", "validate_new": False},
        probe={"sk-pool-1": status},
        behave={"sk-pool-1": [REVOKED, serve]},
    )
    gateway.post(chat("hello"))
    time.sleep(0.6)
    assert gateway.key_states()["k1"]["health"] == "invalid"
    assert gateway.keys.asked("sk-pool-1") == 1


# -- new keys --------------------------------------------------------------------------------------


def test_a_new_key_is_validated_while_requests_wait(keyed):
    """A key that was revoked before the start never gets a request."""
    gateway = keyed(2, probe={"sk-pool-1": 401}, settle=False)
    for _ in range(6):
        assert ok(gateway.post(chat("hello")))
    assert gateway.keys.asked("sk-pool-1") == 0
    assert gateway.keys.probed("sk-pool-1") >= 1


def test_no_validation_where_it_is_not_wished(keyed):
    gateway = keyed(1, probe={"sk-pool-1": None}, health={"validate_new": False})
    assert ok(gateway.post(chat("hello")))
    assert gateway.keys.probed("sk-pool-1") == 0


def test_a_key_that_cannot_be_validated_is_used_on_trial(keyed):
    """Three silent probes, at 1, 2 and 4 s; then a real request finds out."""
    gateway = keyed(1, probe={"sk-pool-1": 500}, config={"retry": {"wait": "12s"}}, settle=False)
    started = time.monotonic()
    assert ok(gateway.post(chat("hello")))
    assert 1.5 < time.monotonic() - started < 9
    assert gateway.keys.probed("sk-pool-1") >= 3
    assert ok(gateway.post(chat("hello")))


# -- 429 -------------------------------------------------------------------------------------------


def in_seconds(seconds):
    return time.time() + seconds


HINTS = {
    "Retry-After in seconds": (lambda: {"Retry_After": "20"}, 20),
    "Retry-After as a date": (lambda: {"Retry_After": email.utils.formatdate(in_seconds(20), usegmt=True)}, 20),
    "retry-after-ms": (lambda: {"retry_after_ms": "20500"}, 20.5),
    "both: the finer one": (lambda: {"Retry_After": "21", "retry_after_ms": "20500"}, 20.5),
    "a Go duration": (lambda: {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "20s"}, 20),
    "6m0s": (lambda: {"x_ratelimit_reset_requests": "6m0s"}, 360),
    "7.66s": (lambda: {"x_ratelimit_reset_requests": "7.66s"}, 7.66),
    "1h2m3.5s": (lambda: {"x_ratelimit_reset_tokens": "59m3.5s"}, 59 * 60 + 3.5),
    "seconds alone": (lambda: {"x_ratelimit_reset": "20"}, 20),
    "epoch": (lambda: {"x_ratelimit_reset": f"{in_seconds(20):.0f}"}, 20),
    "epoch in milliseconds": (lambda: {"x_ratelimit_reset": f"{in_seconds(20) * 1000:.0f}"}, 20),
    "RFC 3339": (
        lambda: {
            "x_ratelimit_reset_requests": datetime.fromtimestamp(in_seconds(20), timezone.utc).strftime(
                "%Y-%m-%dT%H:%M:%SZ"
            )
        },
        20,
    ),
    "Retry-After wins over resets": (lambda: {"Retry_After": "20", "x_ratelimit_reset_requests": "6m0s"}, 20),
    "the message": (lambda: {"message": "Rate limit reached. Please try again in 20.5s."}, 20.5),
    "a day is not believed": (lambda: {"Retry_After": "86400"}, 3600),
    "none: the file's cooldown": (dict, 30),
    "nonsense: the file's cooldown": (lambda: {"Retry_After": "soon", "x_ratelimit_reset_requests": "later"}, 30),
}


@pytest.mark.parametrize(("hint", "seconds"), HINTS.values(), ids=HINTS.keys())
def test_hints_of_a_429(keyed, hint, seconds):
    """The key cools as long as the provider says; the client is told the same, to the millisecond and rounded up."""
    is_clock = any(len(value) > 9 for name, value in hint().items() if name != "message")
    gateway = keyed(
        1, config=FAST, behave={"sk-pool-1": lambda peer: limited(**hint())(peer)}, health={"cooldown": "30s"}
    )
    for _ in range(2):
        answer = gateway.post(chat("hello"))
        assert (answer.status, answer.error["code"], answer.error["type"]) == (429, "rate_limit_exceeded", "requests")
        told_ms = int(answer.get("retry-after-ms"))
        slack = 1.1 if is_clock else 0.3  # dates are told in whole seconds
        assert seconds - slack <= told_ms / 1000 <= seconds + slack - 0.29
        assert int(answer.get("retry-after")) == -(-(told_ms - 1) // 1000)
    assert gateway.keys.asked("sk-pool-1") == 1
    until = gateway.key_states()["k1"]["cooldown_until"]
    assert abs(as_seconds(until) - time.time() - seconds) < 1.5


def as_seconds(value):
    if isinstance(value, str):
        return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
    return value


def test_a_later_deadline_is_not_shortened(keyed):
    """Two requests under way: the first answer says 20 s, the second 1 s."""
    barrier = threading.Barrier(2)
    order = iter(["20", "1"])
    lock = threading.Lock()

    def both(peer):
        barrier.wait(5)
        with lock:
            hint = next(order)
            limited(Retry_After=hint)(peer)
            time.sleep(0.05)

    gateway = keyed(1, config=FAST, behave={"sk-pool-1": both})
    threads = [threading.Thread(target=gateway.post, args=(chat("hello"),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answer = gateway.post(chat("hello"))
    assert answer.status == 429 and int(answer.get("retry-after")) > 15


def test_a_short_cooldown_is_waited_for(keyed):
    gateway = keyed(1, behave={"sk-pool-1": [limited(retry_after_ms="600"), serve]})
    started = time.monotonic()
    answer = gateway.post(chat("hello"))
    assert ok(answer)
    assert 0.55 < time.monotonic() - started < 1.2
    assert gateway.wait_access(status=200)["waited_us"] > 500_000


def test_a_second_429_does_not_start_the_wait_anew(keyed):
    gateway = keyed(1, behave={"sk-pool-1": limited(retry_after_ms="700")}, config={"retry": {"wait": "1s"}})
    started = time.monotonic()
    answer = gateway.post(chat("hello"))
    assert answer.status == 429
    assert 0.65 < time.monotonic() - started < 1.2
    assert gateway.keys.asked("sk-pool-1") == 2
    assert 1 <= int(answer.get("retry-after-ms")) <= 701


def test_one_request_finds_out_whether_a_rest_is_over(keyed):
    """The others wait for it, and do not run into the same wall."""
    first_done = threading.Event()
    early = []

    def slow_then_serve(peer):
        if not first_done.is_set():
            early.append(1)
            time.sleep(0.3)
            first_done.set()
        serve(peer)

    gateway = keyed(1, behave={"sk-pool-1": [limited(retry_after_ms="400"), slow_then_serve]})
    answers = []
    first = threading.Thread(target=lambda: answers.append(gateway.post(chat("hello"))))
    first.start()
    gateway.keys.upstream.wait_requests(1)
    time.sleep(0.1)
    threads = [first] + [
        threading.Thread(target=lambda: answers.append(gateway.post(chat("hello")))) for _ in range(10)
    ]
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(ok(answer) for answer in answers)
    assert len(early) == 1


def test_a_429_is_about_one_model(keyed):
    """Other models of the key are served meanwhile."""

    def by_model(peer):
        limited(Retry_After="60")(peer) if peer.request.json["model"] == "crowded" else serve(peer)

    gateway = keyed(1, config=FAST, behave={"sk-pool-1": by_model})
    assert gateway.post(chat("hello", model="crowded")).status == 429
    assert ok(gateway.post(chat("hello", model="free")))
    assert gateway.post(chat("hello", model="crowded")).status == 429
    assert gateway.keys.asked("sk-pool-1") == 2


def test_a_request_larger_than_the_limit_is_passed_on(keyed):
    """No waiting mends it, and the key is not to blame."""
    message = "Request too large for gpt-4.1 on tokens per min (TPM): Limit 30000, Requested 31000."
    gateway = keyed(
        2, behave={f"sk-pool-{i}": [refuse(429, message, "tokens", "rate_limit_exceeded"), serve] for i in (1, 2)}
    )
    answer = gateway.post(chat("hello"))
    assert answer.status == 429 and answer.error["message"] == message
    assert len(gateway.keys.upstream.requests) == 1
    assert all(state["healthy"] for state in gateway.key_states().values())


@pytest.mark.parametrize(
    "hints",
    [
        {"reset": "go", "retry_after": "none"},
        {"reset": "seconds", "retry_after": "none"},
        {"reset": "epoch", "retry_after": "none"},
        {"reset": "rfc3339", "retry_after": "none"},
        {"reset": "http_date", "retry_after": "none"},
        {"reset": "none", "retry_after": "seconds"},
        {"reset": "none", "retry_after": "date"},
        {"reset": "none", "retry_after": "ms"},
        {"reset": "none", "retry_after": "both"},
        {"reset": "none", "retry_after": "none"},
    ],
    ids=lambda hints: "-".join(hints.values()),
)
def test_a_limit_met_again_and_again(pool, sim, hints):
    """By whatever hint the provider gives, or by none but its words: each wait is long enough and not much longer."""
    limits = {"rpm": 4, "period": "500ms", "window": "sliding", **hints}
    gateway = pool(1, {"defaults": {"limits": limits}}, health={"cooldown": "600ms"})
    started = time.monotonic()
    assert all(ok(gateway.post(chat("hello"))) for _ in range(10))
    assert 0.9 < time.monotonic() - started < 5.5
    assert sim.stats()["total"]["limited"] <= 5


# -- quota and money -------------------------------------------------------------------------------


@pytest.mark.parametrize("behaviour", [UNPAID, QUOTA], ids=["402", "insufficient_quota"])
def test_a_depleted_key_rests_and_is_tried_again(keyed, behaviour):
    gateway = keyed(1, config=FAST, behave={"sk-pool-1": [behaviour, serve]}, health={"depleted": "700ms"})
    answer = gateway.post(chat("hello"))
    assert (answer.status, answer.error["code"]) == (503, "upstream_depleted")
    assert int(answer.get("retry-after")) == 1
    assert gateway.key_states()["k1"]["health"] == "depleted"
    answer = gateway.post(chat("hello"))
    assert (answer.status, answer.error["code"]) == (503, "upstream_depleted")
    assert 1 <= int(answer.get("retry-after-ms")) <= 701
    assert gateway.keys.asked("sk-pool-1") == 1, "it rests"
    time.sleep(0.7)
    assert ok(gateway.post(chat("hello")))
    assert gateway.key_states()["k1"]["health"] == "healthy"


def test_a_probe_does_not_cure_a_depleted_key(keyed):
    """A lookup costs nothing and proves nothing."""
    gateway = keyed(1, config=FAST, behave={"sk-pool-1": [UNPAID, serve]}, health={"probe_interval": "100ms"})
    gateway.post(chat("hello"))
    time.sleep(0.5)
    assert gateway.key_states()["k1"]["health"] == "depleted"


def test_a_403_that_blames_nobody_is_passed_on(keyed):
    """A refusal of somebody's text must not walk through the whole pool and set every key aside."""
    gateway = keyed(
        3,
        behave={
            f"sk-pool-{i}": refuse(403, "Your request was flagged.", code="content_policy_violation") for i in (1, 2, 3)
        },
    )
    answer = gateway.post(chat("hello"))
    assert (answer.status, answer.error["message"]) == (403, "Your request was flagged.")
    assert len(gateway.keys.upstream.requests) == 1
    assert all(state["healthy"] for state in gateway.key_states().values())


def test_a_conflict_is_tried_again(keyed):
    """It is nobody's fault, and over soon."""
    gateway = keyed(1, behave={"sk-pool-1": [refuse(409, "Locked."), serve]}, config=FAST)
    answer = gateway.post(chat("hello"))
    assert ok(answer) and answer.get("x-bellwether-attempts") == "2"
    assert gateway.key_states()["k1"]["failures"] == 0


# -- models ----------------------------------------------------------------------------------------


def test_a_key_that_lacks_a_model(keyed):
    """It is set aside for that model alone, and the next key is asked."""

    def small_only(peer):
        NO_MODEL(peer) if peer.request.json["model"] == "large" else serve(peer)

    gateway = keyed(2, behave={"sk-pool-1": small_only}, selection="priority")
    assert [used(gateway.post(chat("hello", model="large"))) for _ in range(3)] == ["k2"] * 3
    assert [used(gateway.post(chat("hello", model="small"))) for _ in range(3)] == ["k1"] * 3
    assert gateway.keys.asked("sk-pool-1") == 4


def test_a_model_that_no_key_has(keyed):
    """Passed on in the provider's words when all have said so."""
    gateway = keyed(3, behave={f"sk-pool-{i}": NO_MODEL for i in (1, 2, 3)})
    answer = gateway.post(chat("hello"))
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert answer.error["message"] == "The model does not exist or you do not have access to it."
    assert len(gateway.keys.upstream.requests) == 3


# -- failures in a row -----------------------------------------------------------------------------


def test_failures_in_a_row_cool_a_key(keyed):
    """health.max_failures; meanwhile another one serves."""
    gateway = keyed(
        2,
        behave={"sk-pool-1": BROKEN},
        selection="priority",
        config=FAST,
        health={"max_failures": 2, "cooldown": "600ms"},
        breaker={"failures": 100},
    )
    for _ in range(6):
        answer = gateway.post(chat("hello"))
        assert ok(answer) and used(answer) == "k2"
    assert gateway.keys.asked("sk-pool-1") == 2
    assert gateway.key_states()["k1"]["health"] == "cooling"
    gateway.keys.behave.clear()
    time.sleep(0.65)
    assert used(gateway.post(chat("hello"))) == "k1", "time, then one real request"


def test_a_success_ends_the_row(keyed):
    gateway = keyed(
        2,
        behave={"sk-pool-1": [BROKEN, serve] * 10},
        selection="priority",
        config=FAST,
        health={"max_failures": 2},
        breaker={"failures": 100},
    )
    assert all(ok(gateway.post(chat("hello"))) for _ in range(6))
    assert gateway.key_states()["k1"]["health"] == "healthy"


def test_failures_grow_stale(keyed):
    """health.ttl after the last one nothing is held against the key."""
    gateway = keyed(
        2, behave={"sk-pool-1": [BROKEN, serve]}, selection="priority", config=FAST, health={"ttl": "300ms"}
    )
    gateway.post(chat("hello"))
    assert gateway.key_states()["k1"]["failures"] == 1
    time.sleep(0.35)
    assert gateway.key_states()["k1"]["failures"] == 0


# -- accounts --------------------------------------------------------------------------------------


def test_keys_of_one_account_cool_together(keyed):
    """Where the answer says that the limit is the account's."""
    message = (
        "Rate limit reached for gpt-4.1 in organization org-x on requests per min (RPM): Limit 3, Used 3, Requested 1."
    )
    behaviour = refuse(429, message, "requests", "rate_limit_exceeded", Retry_After="60")
    gateway = keyed(
        3, key=lambda i: {"account": "org-x"} if i < 3 else {}, behave={"sk-pool-1": behaviour}, selection="priority"
    )
    assert used(gateway.post(chat("hello"))) == "k3"
    assert used(gateway.post(chat("hello"))) == "k3"
    assert gateway.keys.asked("sk-pool-2") == 0
    states = gateway.key_states()
    assert [states[name]["healthy"] for name in ("k1", "k2", "k3")] == [False, False, True]
    assert states["k1"]["account"] == states["k2"]["account"] == "org-x"


def test_an_account_that_is_depleted(keyed):
    gateway = keyed(
        3, key=lambda i: {"account": "org-x"} if i < 3 else {}, behave={"sk-pool-1": QUOTA}, selection="priority"
    )
    assert used(gateway.post(chat("hello"))) == "k3"
    assert gateway.keys.asked("sk-pool-2") == 0


def test_a_revoked_key_of_an_account_leaves_the_others(keyed):
    gateway = keyed(2, key=lambda i: {"account": "org-x"}, behave={"sk-pool-1": REVOKED}, selection="priority")
    assert used(gateway.post(chat("hello"))) == "k2"


@pytest.mark.parametrize(("selection", "refusals"), [("least_used", [0, 1, 1]), ("headroom", [0, 0, 0])])
def test_two_keys_on_one_accounts_limit(stage, sim, selection, refusals):
    """What one key is refused the other would be too: it is not even asked. Foreseen, neither is."""
    sim.scenario(name="shared-account")
    accounts = {"sk-sim-1": "org-shared", "sk-sim-2": "org-shared", "sk-sim-3": "org-own"}
    keys = [{"secret": secret, "account": account} for secret, account in accounts.items()]
    gateway = stage.gateway({"providers": {"sim": provider(sim.base_url, keys, selection=selection)}}).settle()
    answers = [gateway.post(chat("hello")) for _ in range(150)]
    assert [answer.status for answer in answers] == [200] * 120 + [429] * 30
    assert 50 < int(answers[-1].get("retry-after")) <= 60
    limited_ones = [facts["limited"] for facts in sim.stats()["keys"].values()]
    assert sorted(limited_ones) == refusals
