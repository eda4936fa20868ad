"""Tries before an answer begins, and what is left when they are used up: retry:, breakers, targets and fallbacks, an
endpoint that is away; and each row of the table "What a client gets back"."""

import socket
import threading
import time

import pytest
from harness import load
from harness import upstream as up
from harness.expect import chat, content
from harness.fixtures import provider
from harness.keyed import BROKEN, FORBIDDEN, NO_MODEL, OVERLOADED, REVOKED, UNPAID, limited, refuse
from harness.processes import Simulator
from harness.upstream import serve
from harness.wire import post

FAST = {"base_delay": "1ms", "max_delay": "10ms", "wait": "100ms"}


def resets(peer):
    peer.reset()


def stalls(peer):
    peer.wait_end(30)
    return False


def ok(answer):
    return answer.status == 200 and answer.content == content("hello")


# -- how often -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "status"), [(BROKEN, 500), (OVERLOADED, 503), (resets, 502)], ids=["500", "503", "reset"]
)
@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_attempts(keyed, behaviour, status, attempts):
    gateway = keyed(
        6, behave={f"sk-pool-{i}": behaviour for i in range(1, 7)}, config={"retry": {**FAST, "attempts": attempts}}
    )
    answer = gateway.post(chat("hello"))
    assert answer.status == status
    assert len(gateway.keys.upstream.requests) == attempts
    keys = [sent.key for sent in gateway.keys.upstream.requests]
    assert len(set(keys)) == attempts, "another key each time, while there is one"
    assert answer.get("x-bellwether-attempts") == str(attempts)
    assert answer.get("x-should-retry") == ("false" if attempts > 1 and status != 500 else None)


def test_attempts_and_rotations_are_apart(keyed):
    """Keys that are to blame use up no attempts, and failures no rotations."""
    order = [REVOKED, BROKEN, UNPAID, BROKEN, limited(Retry_After="60"), serve]
    gateway = keyed(
        6,
        behave={f"sk-pool-{i}": behaviour for i, behaviour in enumerate(order, 1)},
        selection="priority",
        config={"retry": {**FAST, "attempts": 3, "rotations": 3}},
    )
    answer = gateway.post(chat("hello"))
    assert ok(answer) and answer.get("x-bellwether-attempts") == "6"


@pytest.mark.parametrize(("timeouts", "asked"), [(0, 1), (1, 2), (2, 3)])
def test_timeouts_are_tried_again_by_their_own_count(keyed, timeouts, asked):
    gateway = keyed(
        5,
        behave={f"sk-pool-{i}": stalls for i in range(1, 6)},
        timeouts={"first_byte": "100ms"},
        config={"retry": {**FAST, "attempts": 4, "timeouts": timeouts}},
    )
    answer = gateway.post(chat("hello"))
    assert (answer.status, answer.error["code"]) == (504, "timeout")
    assert len(gateway.keys.upstream.requests) == asked


@pytest.mark.parametrize(
    ("on", "behaviour", "asked"),
    [
        (["rate_limit"], BROKEN, 1),
        (["server_error"], OVERLOADED, 1),
        (["server_error"], BROKEN, 3),
        (["overloaded"], OVERLOADED, 3),
        (["server_error"], limited(Retry_After="60"), 1),
        (["rate_limit"], limited(Retry_After="60"), 5),
        (["rate_limit"], REVOKED, 1),
        (["bad_key"], REVOKED, 5),
        (["bad_key"], UNPAID, 1),
        (["depleted"], UNPAID, 5),
        (["connect"], stalls, 1),
    ],
)
def test_what_is_tried_again(keyed, on, behaviour, asked):
    gateway = keyed(
        5,
        behave={f"sk-pool-{i}": behaviour for i in range(1, 6)},
        timeouts={"first_byte": "100ms"},
        config={"retry": {**FAST, "on": on}},
    )
    assert gateway.post(chat("hello")).status >= 429
    assert len(gateway.keys.upstream.requests) == asked


def test_the_budget_of_tries(keyed):
    """In a bad minute further attempts are at most a fifth of the exchanges, though always three a second."""
    gateway = keyed(
        3,
        behave={f"sk-pool-{i}": BROKEN for i in (1, 2, 3)},
        config={"retry": FAST},
        breaker={"failures": 100000},
        health={"max_failures": 100000},
    )
    started = time.monotonic()
    count = 300
    load.exchanges(gateway.address, count, clients=4)
    seconds = time.monotonic() - started
    tries = len(gateway.keys.upstream.requests) - count
    assert count * 0.1 < tries <= count * 0.2 + 3 * (seconds + 1)


def test_the_same_key_again_is_not_asked_at_once(keyed):
    """Exponential backoff with full jitter where no other key is free; a Retry-After wins."""
    gateway = keyed(1, behave={"sk-pool-1": [refuse(500, "Broken.", "server_error", Retry_After="1"), serve]})
    started = time.monotonic()
    assert ok(gateway.post(chat("hello")))
    assert 0.95 < time.monotonic() - started < 1.6


# -- an endpoint that is away ----------------------------------------------------------------------


def port_of(address):
    return f"{address[0]}:{address[1]}"


@pytest.mark.threads
def test_a_killed_simulator_loses_nothing_that_had_not_begun(stage, tmp_path):
    """kill -9 under load, back within two seconds: exchanges wait for it, one connect each 100 ms, and use up no
    attempts."""
    first = Simulator(tmp_path, {"defaults": {"latency": "5ms"}})
    listen = port_of(first.address)
    gateway = stage.gateway({"providers": {"sim": provider(first.base_url, ["sk-kill-1", "sk-kill-2"])}}).settle()
    kill_at, back = 200, []

    def before(i):
        if i == kill_at:
            first.kill()
            timer = threading.Timer(
                1.5, lambda: back.append(stage.simulator({"defaults": {"latency": "5ms"}}, listen=listen))
            )
            timer.start()
            back.append(timer)

    results = load.exchanges(gateway.address, 1500, clients=16, before=before)
    back[0].join()
    assert len(results) == 1500
    # What was under way when it was killed may have been worked on: tried again, and the answer checked by content.
    assert load.failures(results) == []
    assert any(result.seconds > 1 for result in results), "they waited"
    assert 'outcome="connect_failed"' in gateway.admin("/metrics").body.decode()


def test_streams_under_way_when_it_is_killed_end_with_an_error(stage, tmp_path):
    first = Simulator(tmp_path, {"defaults": {"min_tokens": 500, "event_gap": "10ms"}})
    gateway = stage.gateway({"providers": {"sim": provider(first.base_url, ["sk-kill-1"])}})
    timer = threading.Timer(0.3, first.kill)
    timer.start()
    answer = gateway.post(chat("hello", stream=True))
    timer.join()
    assert answer.status == 200
    assert '"upstream_failed"' in answer.events[-1] and "[DONE]" not in answer.events


def test_while_it_is_away_few_connects_are_tried(stage):
    """A crowd that waits doesn't hammer the port."""
    attempts = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = taken.getsockname()
    gateway = stage.gateway(
        {
            "retry": {"wait": "1s"},
            "server": {"workers": 1},
            "providers": {
                "up": provider(f"http://{port_of(address)}/v1", ["sk-away-1"], health={"validate_new": False})
            },
        }
    )
    results = load.exchanges(gateway.address, 40, clients=40)
    assert {result.status for result in results} <= {502, 503}
    for line in gateway.admin("/metrics").body.decode().splitlines():
        if 'outcome="connect_failed"' in line and line.startswith("bellwether_attempts_total"):
            attempts.append(float(line.rsplit(" ", 1)[1]))
    assert sum(attempts) <= 60, "one each at first, then about ten a second"


# -- breakers --------------------------------------------------------------------------------------

BREAKER = {"failures": 3, "window": "10s", "open": "1s", "half_open_calls": 2}


def test_a_keys_breaker(keyed):
    """It opens by count and share; the key rests while the others serve, then comes back by half-open calls."""
    gateway = keyed(
        4,
        behave={"sk-pool-1": BROKEN},
        selection="round_robin",
        breaker=BREAKER,
        health={"max_failures": 100},
        config={"retry": FAST},
    )
    for _ in range(30):
        assert ok(gateway.post(chat("hello")))
    asked = gateway.keys.asked("sk-pool-1")
    assert asked == 3
    assert 'key="k1",state="open"} 1' in gateway.admin("/metrics").body.decode()
    gateway.keys.behave.clear()
    time.sleep(1.05)
    for _ in range(30):
        assert ok(gateway.post(chat("hello")))
    assert gateway.keys.asked("sk-pool-1") > asked + 2
    assert 'key="k1",state="closed"} 1' in gateway.admin("/metrics").body.decode()


def test_an_endpoints_breaker_sends_the_work_elsewhere(stage):
    """Two providers for one model: the broken one rests, the other one serves."""
    broken, well = (stage.upstream(lambda peer: (peer.read_request(), peer.reset())), stage.upstream())
    gateway = stage.gateway(
        {
            "server": {"workers": 1},
            "retry": FAST,
            "models": {"m": {"targets": [{"to": "broken/a"}], "fallback": ["well/b"]}},
            "providers": {
                "broken": provider(broken.base_url, ["sk-b-1", "sk-b-2"], breaker={**BREAKER, "open": "30s"}),
                "well": provider(well.base_url, ["sk-w-1"]),
            },
        }
    ).settle()
    for _ in range(20):
        assert ok(gateway.post(chat("hello", model="m")))
    assert len(broken.requests) <= 6
    assert {sent.json["model"] for sent in well.requests} == {"b"}
    assert 'provider="broken"' in gateway.admin("/metrics").body.decode()


def test_all_endpoints_open(keyed):
    """The last way is not excluded: so many half-open calls try it. Who comes beside them is told when the first way
    is free."""
    gateway = keyed(1, behave={"sk-pool-1": resets}, breaker={**BREAKER, "open": "20s"}, config={"retry": FAST})
    for _ in range(3):
        assert gateway.post(chat("hello")).status in (502, 503)
    gateway.keys.behave["sk-pool-1"] = stalls
    waiting = [gateway.connect() for _ in range(2)]
    try:
        for connection in waiting:
            connection.send(post(chat("hello")))
        time.sleep(0.3)
        answer = gateway.post(chat("hello"))
    finally:
        for connection in waiting:
            connection.close()
    assert (answer.status, answer.error["code"]) == (503, "upstream_open")
    assert answer.error["type"] == "service_unavailable_error"
    assert 1 <= int(answer.get("retry-after")) <= 20
    assert 1 <= int(answer.get("retry-after-ms")) <= 20_000
    gateway.keys.behave.clear()
    until = time.monotonic() + 5
    while not ok(gateway.post(chat("hello"))):
        assert time.monotonic() < until, "it never closes"


def test_a_bad_key_does_not_open_the_endpoint(keyed):
    """401, 402, 403, 404 and 429 count for no breaker."""
    gateway = keyed(
        1,
        behave={"sk-pool-1": [refuse(400, "Bad.")] * 3 + [NO_MODEL] + [serve]},
        breaker=BREAKER,
        config={"retry": FAST},
    )
    statuses = [gateway.post(chat("hello", model=f"m{i}")).status for i in range(5)]
    assert statuses == [400, 400, 400, 404, 200]
    assert 'state="open"} 1' not in gateway.admin("/metrics").body.decode()


# -- targets ---------------------------------------------------------------------------------------


def test_targets_are_shared_by_weight(stage):
    one, two = stage.upstream(), stage.upstream()
    gateway = stage.gateway(
        {
            "models": {"m": {"targets": [{"to": "one/a", "weight": 80}, {"to": "two/b", "weight": 20}]}},
            "providers": {"one": provider(one.base_url, ["sk-1-one"]), "two": provider(two.base_url, ["sk-2-two"])},
        }
    ).settle()
    for _ in range(300):
        assert ok(gateway.post(chat("hello", model="m")))
    assert 200 < len(one.requests) < 280 and len(one.requests) + len(two.requests) == 300
    assert {sent.json["model"] for sent in one.requests} == {"a"}
    assert {sent.json["model"] for sent in two.requests} == {"b"}


@pytest.mark.parametrize(
    "behaviour",
    [REVOKED, UNPAID, FORBIDDEN, NO_MODEL, BROKEN, limited(Retry_After="60")],
    ids=["401", "402", "403", "404", "500", "429"],
)
def test_fallbacks_in_their_order(stage, behaviour):
    """Once every target is exhausted."""

    def handler(peer):
        peer.read_request()
        behaviour(peer)

    bad = [stage.upstream(handler) for _ in range(2)]
    well = stage.upstream()
    gateway = stage.gateway(
        {
            "retry": {**FAST, "attempts": 6},
            "models": {"m": {"targets": [{"to": "bad-1/a"}], "fallback": ["bad-2/b", "well/c"]}},
            "providers": {
                "bad-1": provider(bad[0].base_url, ["sk-bad-1"]),
                "bad-2": provider(bad[1].base_url, ["sk-bad-2"]),
                "well": provider(well.base_url, ["sk-well-1"]),
            },
        }
    ).settle()
    answer = gateway.post(chat("hello", model="m"))
    assert ok(answer)
    assert (answer.get("x-bellwether-provider"), answer.get("x-bellwether-model")) == ("well", "c")
    assert len(bad[0].requests) >= 1 and len(bad[1].requests) >= 1


def test_a_bad_request_is_nobodys_fault(stage):
    """A 400 is passed on, once: no other target hears of it."""
    bad, well = (
        stage.upstream(lambda peer: (peer.read_request(), peer.answer(up.error_body("Bad."), 400))[1]),
        stage.upstream(),
    )
    gateway = stage.gateway(
        {
            "models": {"m": {"targets": [{"to": "bad/a"}], "fallback": ["well/b"]}},
            "providers": {"bad": provider(bad.base_url, ["sk-bad-1"]), "well": provider(well.base_url, ["sk-well-1"])},
        }
    ).settle()
    assert gateway.post(chat("hello", model="m")).status == 400
    assert not well.requests


# -- the table: what a client gets back ------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_a_refusal_of_the_provider_is_passed_on_once_as_it_is(keyed, status, stream):
    body = b' {"error" : {"message":"Their words.","odd":1.0}} '
    gateway = keyed(3, behave={f"sk-pool-{i}": lambda peer: peer.answer(body, status) for i in (1, 2, 3)})
    answer = gateway.post(chat("hello", stream=stream))
    assert (answer.status, answer.body) == (status, body)
    assert len(gateway.keys.upstream.requests) == 1
    assert "x-should-retry" not in answer.names
    assert all(state["healthy"] for state in gateway.key_states().values())


@pytest.mark.parametrize("status", [500, 502, 503, 504, 529, 520])
def test_the_last_try_was_a_5xx(keyed, status):
    """Its status and message, in its own shape."""
    gateway = keyed(
        2,
        behave={f"sk-pool-{i}": refuse(status, "Their trouble.", "server_error") for i in (1, 2)},
        config={"retry": FAST},
    )
    answer = gateway.post(chat("hello"))
    assert answer.status == status or (status == 504 and answer.error["code"] == "timeout")
    if status != 504:
        assert answer.error["message"] == "Their trouble."
    if status == 503:
        assert int(answer.get("retry-after")) >= 1 and int(answer.get("retry-after-ms")) >= 1


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        (REVOKED, 502, "upstream_auth"),
        (FORBIDDEN, 502, "upstream_auth"),
        (UNPAID, 503, "upstream_depleted"),
        (limited(Retry_After="60"), 429, "rate_limit_exceeded"),
        (resets, 502, "upstream_failed"),
        (stalls, 504, "timeout"),
    ],
    ids=["401", "403", "402", "429", "reset", "silence"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_rest_of_the_table(keyed, behaviour, status, code, stream):
    """An upstream's 401, 402 or 403 never reaches a client as such, nor does a key's look."""
    gateway = keyed(
        3,
        behave={f"sk-pool-{i}": behaviour for i in (1, 2, 3)},
        timeouts={"first_byte": "100ms"},
        probe={f"sk-pool-{i}": 401 if behaviour is REVOKED else 200 for i in (1, 2, 3)},
        config={"retry": FAST},
        health={"validate_new": False},
    )
    for _ in range(2):
        answer = gateway.post(chat("hello", stream=stream))
        assert (answer.status, answer.error["code"]) == (status, code)
        assert b"sk-pool" not in answer.body
        if status in (429, 503):
            assert int(answer.get("retry-after")) >= 1
            assert 1 <= int(answer.get("retry-after-ms")) <= 1000 * int(answer.get("retry-after")) + 1
        assert answer.get("content-type") == "application/json"


def test_body_memory_is_full(stage):
    """503 with Retry-After; what is under way is not disturbed, and afterwards there is room again."""
    upstream = stage.upstream()
    gateway = stage.gateway(
        {
            "server": {"workers": 1, "max_body": "4MiB", "body_memory": "5MiB"},
            "providers": {"up": provider(upstream.base_url, ["sk-mem-1"])},
        }
    ).settle()
    text = "x" * 3_000_000

    whole = post(chat(text))
    with gateway.connect() as first, gateway.connect() as second:
        first.send(whole[:-100])
        time.sleep(0.2)
        second.send(whole)
        answer = second.answer()
        assert (answer.status, answer.error["code"]) == (503, "overloaded")
        assert int(answer.get("retry-after")) >= 1
        assert first.ask(whole[-100:]).status == 200
    assert gateway.post(chat(text)).status == 200


def test_connections_are_at_their_maximum(keyed):
    """connections.max: an exchange waits as for a key."""
    release = threading.Event()

    def slow(peer):
        release.wait(10)
        serve(peer)

    gateway = keyed(1, behave={"sk-pool-1": slow}, connections={"max": 2}, config={"retry": {"wait": "200ms"}})
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(gateway.post(chat("hello")))) for _ in range(2)]
    for thread in threads:
        thread.start()
    gateway.keys.upstream.wait_requests(2)
    refused = gateway.post(chat("hello"))
    assert (refused.status, refused.error["code"]) == (503, "overloaded")
    waiting = threading.Thread(target=lambda: answers.append(gateway.post(chat("hello"))))
    waiting.start()
    time.sleep(0.05)
    release.set()
    for thread in [*threads, waiting]:
        thread.join()
    assert len(answers) == 3 and all(ok(answer) for answer in answers)
