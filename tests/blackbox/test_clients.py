"""Who may call the data plane, for which models, and how often."""

import hashlib
import time
from datetime import datetime, timedelta, timezone

import pytest
from harness import load
from harness.expect import chat, content
from harness.wire import post, request


def bearer(secret, scheme="Bearer"):
    return {"Authorization": f"{scheme} {secret}"}


def with_clients(pool, *clients, **more):
    return pool(2, config={"clients": {"keys": list(clients)}, **more})


WEB = {"name": "web", "secret": "sk-client-web"}


# -- keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "provide"),
        ({"Authorization": ""}, "provide"),
        ({"Authorization": "Bearer"}, "provide"),
        ({"Authorization": "Bearer "}, "provide"),
        (bearer("sk-client-web", "Basic"), "provide"),
        (bearer("sk-client-wep"), "Incorrect"),
        (bearer("sk-client-we"), "Incorrect"),
        (bearer("sk-client-web2"), "Incorrect"),
        (bearer("SK-CLIENT-WEB"), "Incorrect"),
        (bearer("x" * 5000), "Incorrect"),
    ],
)
def test_who_has_no_key_gets_401(pool, headers, message):
    gateway = with_clients(pool, WEB)
    with gateway.connect() as connection:
        for data in (post(chat("hello"), headers=headers), request("GET", "/v1/models", headers)):
            answer = connection.ask(data)
            assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
            assert answer.error["type"] == "invalid_request_error"
            assert message in answer.error["message"]
            assert answer.get("www-authenticate") == "Bearer"
        assert connection.ask(post(chat("hello"), headers=bearer("sk-client-web"))).content == content("hello")


def test_a_key_is_accepted(pool):
    gateway = with_clients(pool, WEB, {"name": "other", "secret": "sk-client-other"})
    for headers in (
        bearer("sk-client-web"),
        bearer("sk-client-other"),
        bearer("sk-client-web", "bearer"),
        {"authorization": "BEARER  sk-client-web "},
    ):
        assert gateway.post(chat("hello"), headers=headers).content == content("hello")
    assert gateway.wait_access(client="other")["status"] == 200


def test_the_body_is_not_read_before_the_key(pool):
    """A stranger's body is not waited for."""
    gateway = with_clients(pool, WEB)
    with gateway.connect() as connection:
        connection.send(request("POST", "/v1/chat/completions", {"Content-Length": "1000000"}))
        assert connection.answer().status == 401


def test_health_needs_no_key(pool):
    gateway = with_clients(pool, WEB)
    assert gateway.get("/health").status == 200
    assert gateway.get("/ready").status == 200


def test_hashed_secrets(pool):
    digest = hashlib.sha256(b"sk-client-hashed").hexdigest()
    gateway = with_clients(
        pool, {"name": "web", "sha256": digest}, {"name": "upper", "sha256": hashlib.sha256(b"two").hexdigest().upper()}
    )
    gateway.secrets.add("sk-client-hashed")
    assert gateway.post(chat("hello"), headers=bearer("sk-client-hashed")).status == 200
    assert gateway.post(chat("hello"), headers=bearer("two")).status == 200
    assert gateway.post(chat("hello"), headers=bearer(digest)).status == 401


def test_expiry(pool):
    soon = (datetime.now(timezone.utc) + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    gateway = with_clients(
        pool, {**WEB, "expires": soon}, {"name": "old", "secret": "sk-client-old", "expires": "2020-01-01"}
    )
    assert gateway.post(chat("hello"), headers=bearer("sk-client-web")).status == 200
    answer = gateway.post(chat("hello"), headers=bearer("sk-client-old"))
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key") and "expired" in answer.error["message"]
    time.sleep(2.1)
    assert gateway.post(chat("hello"), headers=bearer("sk-client-web")).status == 401


def test_open_to_all(pool):
    """Any or no key; a known one is still known."""
    gateway = pool(1, config={"clients": {"open": True, "keys": [WEB]}})
    for headers in ({}, bearer("sk-anything"), bearer("sk-client-web")):
        assert gateway.post(chat("hello"), headers=headers).content == content("hello")
    assert gateway.wait_access(client="web")


def test_clients_keys_never_reach_the_provider(keyed):
    gateway = keyed(1, config={"clients": {"keys": [WEB]}})
    gateway.post(chat("hello"), headers=bearer("sk-client-web"))
    assert b"sk-client-web" not in gateway.keys.upstream.request.head


# -- models ----------------------------------------------------------------------------------------


def test_allowed_models(pool):
    models = {"small-1": "sim/a", "small-2": "sim/b", "large": "sim/c"}
    gateway = with_clients(
        pool, {**WEB, "models": ["small-*", "x"]}, {"name": "all", "secret": "sk-client-all"}, models=models
    )
    for name, status in {"small-1": 200, "small-2": 200, "large": 403, "absent": 404, "sim/a": 404}.items():
        answer = gateway.post(chat("hello", model=name), headers=bearer("sk-client-web"))
        assert answer.status == status
        if status == 403:
            assert (answer.error["code"], answer.error["param"]) == ("model_not_allowed", "model")
            assert "large" in answer.error["message"]
    listed = gateway.get("/v1/models", bearer("sk-client-web")).json
    assert sorted(model["id"] for model in listed["data"]) == ["small-1", "small-2"]
    assert listed["object"] == "list" and all(model["object"] == "model" for model in listed["data"])
    assert gateway.get("/v1/models/small-1", bearer("sk-client-web")).json["id"] == "small-1"
    assert gateway.get("/v1/models/large", bearer("sk-client-web")).status in (403, 404)
    assert gateway.get("/v1/models/large", bearer("sk-client-all")).json["id"] == "large"


def test_direct_names_are_for_open_gateways(pool):
    """PROVIDER/MODEL is served where clients are open, elsewhere by wish."""
    assert with_clients(pool, WEB).post(chat("hello", model="sim/a"), headers=bearer("sk-client-web")).status in (
        200,
        404,
    )
    gateway = with_clients(pool, WEB, models={"m": "sim/a"}, names={"direct": True})
    assert gateway.post(chat("hello", model="sim/a"), headers=bearer("sk-client-web")).status == 200


# -- limits ----------------------------------------------------------------------------------------


def limited(pool, **limits):
    return with_clients(pool, {**WEB, "limits": limits}, {"name": "other", "secret": "sk-client-other"})


def test_rpm_and_its_headers(pool):
    gateway = limited(pool, rpm=60, burst=5)
    headers = bearer("sk-client-web")
    started = time.time()
    for left in (4, 3, 2, 1, 0):
        answer = gateway.post(chat("hello"), headers=headers)
        assert answer.status == 200
        assert (answer.get("x-ratelimit-limit"), answer.get("x-ratelimit-remaining")) == ("60", str(left))
        assert started <= int(answer.get("x-ratelimit-reset")) <= time.time() + 7
    answer = gateway.post(chat("hello"), headers=headers)
    assert (answer.status, answer.error["code"], answer.error["type"]) == (429, "rate_limit_exceeded", "requests")
    assert (answer.get("x-ratelimit-limit"), answer.get("x-ratelimit-remaining")) == ("60", "0")
    assert answer.get("retry-after") == "1"
    wait_ms = int(answer.get("retry-after-ms"))
    assert 500 < wait_ms <= 1001
    assert gateway.post(chat("hello"), headers=bearer("sk-client-other")).status == 200
    time.sleep(wait_ms / 1000)
    assert gateway.post(chat("hello"), headers=headers).status == 200, "the time told is the true one"
    assert gateway.post(chat("hello"), headers=headers).status == 429


def test_burst_is_a_tenth_by_default(pool):
    gateway = limited(pool, rpm=100)
    statuses = [result.status for result in load.exchanges(gateway.address, 30, clients=10, key="sk-client-web")]
    assert 10 <= statuses.count(200) <= 12 and set(statuses) == {200, 429}


@pytest.mark.threads
def test_rpm_holds_over_several_workers(pool):
    gateway = limited(pool, rpm=60, burst=40)
    results = load.exchanges(gateway.address, 200, clients=20, key="sk-client-web")
    assert 40 <= sum(result.status == 200 for result in results) <= 42


def test_a_refused_request_costs_nothing(pool, sim):
    gateway = limited(pool, rpm=60, burst=1)
    gateway.post(chat("hello"), headers=bearer("sk-client-web"))
    for _ in range(20):
        assert gateway.post(chat("hello"), headers=bearer("sk-client-web")).status == 429
    time.sleep(1.05)
    assert gateway.post(chat("hello"), headers=bearer("sk-client-web")).status == 200
    assert sim.stats()["total"]["generations"]["answered"] == 2


def test_wrong_requests_tell_of_limits_too(pool):
    """Who is refused for its body before it is let in has lost nothing."""
    gateway = limited(pool, rpm=60, burst=1)
    assert gateway.ask(post(b"{", headers=bearer("sk-client-web"))).status == 400
    assert gateway.post(chat("hello"), headers=bearer("sk-client-web")).status == 200


def test_tpm(pool):
    """Reserved by estimate, settled by what was used."""
    gateway = limited(pool, tpm=600)
    results = load.exchanges(gateway.address, 100, clients=2, key="sk-client-web")
    refused = [result for result in results if result.status == 429]
    assert 10 < len(results) - len(refused) < 70
    assert b'"type":"tokens"' in refused[0].body
    assert int(refused[0].fields["retry-after"]) >= 1


def test_concurrent(pool):
    gateway = pool(
        2, {"defaults": {"latency": "300ms"}}, config={"clients": {"keys": [{**WEB, "limits": {"concurrent": 3}}]}}
    )
    results = load.exchanges(gateway.address, 8, clients=8, key="sk-client-web")
    assert sorted(result.status for result in results) == [200] * 3 + [429] * 5
    assert gateway.post(chat("hello"), headers=bearer("sk-client-web")).status == 200, "their places are free again"


def test_concurrency_of_a_client_that_left(pool):
    gateway = pool(
        1, {"defaults": {"latency": "10s"}}, config={"clients": {"keys": [{**WEB, "limits": {"concurrent": 1}}]}}
    )
    for _ in range(5):
        with gateway.connect() as connection:
            connection.send(post(chat("hello"), headers=bearer("sk-client-web")))
            time.sleep(0.05)
    time.sleep(0.05)
    with gateway.connect() as connection:
        connection.send(post(chat("hello"), headers=bearer("sk-client-web")))
        assert connection.is_open(0.2), "not refused: it is under way"


def test_limits_of_a_model(pool):
    models = {"m": {"targets": [{"to": "sim/a"}], "limits": {"rpm": 60, "concurrent": 100}}, "n": "sim/b"}
    gateway = pool(2, config={"models": models})
    statuses = [gateway.post(chat("hello", model="m")).status for _ in range(20)]
    assert statuses[0] == 200 and 429 in statuses
    answer = gateway.post(chat("hello", model="m"))
    assert (answer.status, answer.error["code"]) == (429, "rate_limit_exceeded")
    assert answer.get("x-ratelimit-limit") == "60"
    assert gateway.post(chat("hello", model="n")).status == 200


def test_limits_of_names(pool):
    """For models without limits of their own."""
    gateway = pool(2, config={"models": {"m": "sim/a"}, "names": {"limits": {"rpm": 10}}})
    statuses = [gateway.post(chat("hello", model="m")).status for _ in range(5)]
    assert statuses[0] == 200 and statuses[-1] == 429


def test_nobody_without_limits_sees_headers_of_limits(pool):
    gateway = limited(pool, rpm=60)
    answer = gateway.post(chat("hello"), headers=bearer("sk-client-other"))
    assert not any(name.startswith("x-ratelimit") for name in answer.names)
