"""What an operator sees: the access log, the metrics, the admin API. That no secret stands in any of them is checked
for every gateway of these tests, when it is stopped."""

import json
import re
import time
from datetime import datetime
from pathlib import Path

import pytest
from harness import load
from harness.expect import chat, content
from harness.keyed import BROKEN, REVOKED, limited
from harness.wire import Wire, post, request

ROOT = Path(__file__).parents[2]


# -- the access log --------------------------------------------------------------------------------


def test_a_line_of_a_plain_answer(pool):
    gateway = pool(
        1, config={"clients": {"keys": [{"name": "web", "secret": "sk-client-web"}]}, "models": {"m": "sim/gpt-4.1"}}
    )
    body = json.dumps(chat("hello", model="m")).encode()
    answer = gateway.ask(
        post(
            body,
            "/v1/chat/completions?api_key=sk-client-web",
            {"Authorization": "Bearer sk-client-web", "X-Request-ID": "mine-1"},
        )
    )
    line = gateway.wait_access(request_id="mine-1")
    usage = answer.json["usage"]
    wanted = {
        "kind": "access",
        "request_id": "mine-1",
        "client": "web",
        "remote": "127.0.0.1",
        "path": "/v1/chat/completions",
        "model": "m",
        "provider": "sim",
        "target_model": "gpt-4.1",
        "key": "k1",
        "status": 200,
        "attempts": 1,
        "upstream_request_id": answer.get("x-bellwether-upstream-request-id"),
        "bytes_in": len(body),
        "bytes_out": len(answer.body),
        "prompt_tokens": usage["prompt_tokens"],
        "completion_tokens": usage["completion_tokens"],
    }
    assert {name: line.get(name) for name in wanted} == wanted
    usual = {"class", "method", "upstream_status", "cached_tokens"}
    events = {"failure", "cancelled_by", "retries", "is_stream", "is_estimated", "waited_us"}
    assert not (usual | events) & set(line)
    assert 0 < line.get("ttfb_us", 1) <= line["duration_us"] < 2_000_000
    assert line["overhead_us"] == int(answer.get("x-bellwether-overhead-us"))
    assert abs(datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp() - time.time()) < 5


def test_a_line_of_a_stream(pool):
    gateway = pool(1, {"defaults": {"event_gap": "10ms", "min_tokens": 20}})
    gateway.post(chat("hello", stream=True), headers={"X-Request-ID": "mine-2"})
    line = gateway.wait_access(request_id="mine-2")
    assert line["is_stream"] is True and line["completion_tokens"] == 20 and "is_estimated" not in line
    assert line["duration_us"] - line["ttfb_us"] > 150_000


def test_a_line_of_a_failover(keyed):
    gateway = keyed(2, behave={"sk-pool-1": limited(Retry_After="60")}, selection="priority")
    gateway.post(chat("hello"), headers={"X-Request-ID": "mine-3"})
    line = gateway.wait_access(request_id="mine-3")
    assert (line["attempts"], line["retries"], line["key"], line["status"]) == (2, 1, "k2", 200)


@pytest.mark.parametrize(
    ("data", "facts"),
    [
        (post(b"{"), {"status": 400, "failure": "body_not_json"}),
        (post(chat("hello", model="absent")), {"status": 404, "failure": "model_not_found", "model": "absent"}),
        (request("GET", "/nowhere"), {"status": 404, "failure": "unknown_path", "path": "/nowhere", "method": "GET"}),
        (b"nonsense\r\n\r\n", {"status": 400, "failure": "bad_framing"}),
        (request("GET", "/v1/models"), {"status": 200, "path": "/v1/models"}),
    ],
)
def test_lines_of_what_never_went_upstream(pool, data, facts):
    gateway = pool(1, config={"models": {"m": "sim/gpt-4.1"}})
    gateway.ask(data)
    line = gateway.wait_access(**facts)
    assert line["attempts"] == 0 and "provider" not in line and "key" not in line


@pytest.mark.threads
def test_every_exchange_leaves_one_line(pool):
    gateway = pool(3)
    before = len(gateway.access_lines())
    results = load.exchanges(gateway.address, 2_000, clients=32, stream_share=0.5)
    assert not load.failures(results)
    until = time.monotonic() + 5
    while len(gateway.access_lines()) < before + 2_000:
        assert time.monotonic() < until
        time.sleep(0.05)
    lines = gateway.access_lines()[before:]
    assert len(lines) == 2_000 and len({line["request_id"] for line in lines}) == 2_000
    assert gateway.metrics().get("bellwether_log_lines_dropped_total") == 0


def test_health_checks_leave_no_line(pool):
    gateway = pool(1)
    for _ in range(5):
        gateway.get("/health")
        gateway.get("/ready")
    gateway.get("/v1/models")
    gateway.wait_access(path="/v1/models")
    assert not [line for line in gateway.access_lines() if line["path"] in ("/health", "/ready")]


def test_what_a_client_sends_cannot_forge_a_line(pool):
    gateway = pool(1, config={"models": {"m": "sim/gpt-4.1"}})
    name = 'x\\"}\n{"kind":"access","forged":true}\u2028\u0000'
    gateway.post(chat("hello", model=name))
    line = gateway.wait_access(status=404)
    assert line["model"].startswith('x\\"}\n{"kind"')
    assert not any("forged" in line for line in gateway.access_lines())


def test_no_content_stands_in_the_log(pool):
    gateway = pool(1)
    for stream in (False, True):
        gateway.post(
            chat("the-secret-diary", stream=stream), headers={"X-Note": "in-a-header", "Cookie": "in-a-cookie"}
        )
    gateway.wait_access(is_stream=True)
    for word in ("the-secret-diary", "in-a-header", "in-a-cookie", "echo:"):
        assert word not in gateway.output


def test_the_log_can_be_switched_off(pool):
    gateway = pool(1, config={"log": {"access": False}})
    gateway.post(chat("hello"))
    time.sleep(0.3)
    assert gateway.access_lines() == []


# -- metrics ---------------------------------------------------------------------------------------


def documented():
    """Names and types by docs/metrics.md."""
    rows = re.findall(
        r"^\| `(bellwether_\w+)` \| (\w+) \| ([^|]*) \|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE
    )
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_metrics_are_well_formed_and_as_documented(keyed):
    gateway = keyed(
        3,
        behave={"sk-pool-1": REVOKED, "sk-pool-2": BROKEN},
        probe={"sk-pool-1": 401},
        selection="priority",
        config={"clients": {"keys": [{"name": "web", "secret": "sk-client-web"}]}, "models": {"m": "up/x"}},
    )
    headers = {"Authorization": "Bearer sk-client-web"}
    for stream in (False, True):
        assert gateway.post(chat("hello", model="m", stream=stream), headers=headers).status == 200
    gateway.post(chat("hello", model="absent"), headers=headers)
    metrics = gateway.metrics()
    table = documented()
    assert len(table) > 30
    for family, kind in metrics.types.items():
        assert table[family][0] == kind
    for (name, labels), _ in metrics.samples.items():
        family = name if name in table else re.sub(r"_(bucket|sum|count)$", "", name)
        assert {label for label, _ in labels} - {"le"} == table[family][1], name
    late = {name for name, (kind, _) in table.items() if kind == "histogram"}  # they appear once they have counted
    # and these where a model has a shadow, or a migration; a provider regions, or adaptive limits; and estimates were made
    elsewhere = ("shadow_", "migration_", "region_", "key_adaptive_", "estimate_error_ratio")
    others = {name for name in table if name.startswith(tuple("bellwether_" + part for part in elsewhere))}
    assert set(table) - late - others - set(metrics.types) <= {"bellwether_request_errors_total"}
    answer = gateway.admin("/metrics")
    assert answer.get("content-type").startswith("text/plain; version=0.0.4")


def test_what_metrics_count(keyed):
    gateway = keyed(
        3,
        behave={"sk-pool-1": limited(Retry_After="60"), "sk-pool-2": [BROKEN] * 2},
        selection="priority",
        config={"models": {"m": "up/x"}},
    )
    answers = [gateway.post(chat("hello", model="m")) for _ in range(5)]
    assert all(answer.status == 200 for answer in answers)
    gateway.post(chat("hello", model="absent"))
    gateway.post(b"{")
    metrics = gateway.metrics()
    assert metrics.get("bellwether_requests_total", provider="up", model="m", status="2xx") == 5
    assert metrics.sum("bellwether_requests_total", status="4xx") == 2
    assert metrics.get("bellwether_request_errors_total", failure="model_not_found") == 1
    attempts = sum(int(answer.get("x-bellwether-attempts")) for answer in answers)
    assert metrics.sum("bellwether_attempts_total", provider="up") == attempts
    assert metrics.get("bellwether_attempts_total", provider="up", outcome="success") == 5
    assert metrics.get("bellwether_attempts_total", provider="up", outcome="rate_limited") == 1
    assert (
        metrics.get("bellwether_key_requests_total", key="k1")
        == metrics.get("bellwether_key_errors_total", key="k1")
        == 1
    )
    assert metrics.get("bellwether_key_requests_total", key="k3") == 5
    assert metrics.get("bellwether_key_errors_total", key="k3") == 0
    assert metrics.get("bellwether_retries_total", kind="rotation") == 1
    assert metrics.get("bellwether_retries_total", kind="attempt") == attempts - 5 - 1
    usage = [answer.json["usage"] for answer in answers]
    assert metrics.get("bellwether_tokens_total", provider="up", model="m", kind="prompt") == sum(
        each["prompt_tokens"] for each in usage
    )
    assert metrics.get("bellwether_tokens_total", provider="up", model="m", kind="completion") == sum(
        each["completion_tokens"] for each in usage
    )
    assert metrics.sum("bellwether_request_latency_ms_count", model="m") == 5
    assert metrics.get("bellwether_overhead_us_count") == 5
    assert metrics.get("bellwether_keys_configured", provider="up") == 3
    assert (
        metrics.get("bellwether_key_state", key="k1", state="cooling") == 1
        or metrics.sum("bellwether_key_cooldown_seconds", key="k1") > 50
    )
    assert metrics.get("bellwether_active_requests") == 0
    assert metrics.get("bellwether_bugs_total") == 0
    assert metrics.sum("bellwether_probes_total", result="valid") == 3


def test_gauges_while_work_is_under_way(pool):
    gateway = pool(1, {"defaults": {"latency": "300ms"}}, key=lambda i: {"limits": {"concurrent": 2}})
    connections = [gateway.connect() for _ in range(5)]
    for connection in connections:
        connection.send(post(chat("hello")))
    time.sleep(0.2)
    metrics = gateway.metrics()
    assert metrics.get("bellwether_active_requests") == 5
    assert metrics.get("bellwether_waiting_requests") == 3
    assert metrics.get("bellwether_client_connections") >= 5
    assert metrics.get("bellwether_upstream_connections", provider="sim") >= 2
    assert metrics.get("bellwether_body_memory_bytes") > 0
    for connection in connections:
        assert connection.answer().content == content("hello")
        connection.close()
    metrics = gateway.metrics()
    assert metrics.get("bellwether_active_requests") == metrics.get("bellwether_waiting_requests") == 0


def test_unknown_names_make_no_series(pool):
    """Who asks for a thousand names does not fill the page."""
    gateway = pool(1)
    before = len(gateway.metrics().samples)
    with gateway.connect() as connection:
        for i in range(300):
            connection.ask(post(chat("hello", model=f"name-{i}")))
    metrics = gateway.metrics()
    assert len(metrics.samples) - before < 150
    assert metrics.sum("bellwether_requests_total", model="other", status="2xx") == 300


def test_listed_names_make_series(pool):
    """Where the file names no models, the providers' own lists do."""
    gateway = pool(1)
    assert gateway.get("/v1/models").json["data"], "nothing was learned"
    for model in ("gpt-4.1", "sim/gpt-4.1", "o4-mini", "nobody"):
        assert gateway.post(chat("hello", model=model)).status == 200
    metrics = gateway.metrics()
    counted = {
        model: metrics.get("bellwether_requests_total", provider="sim", model=model, status="2xx")
        for model in ("gpt-4.1", "o4-mini", "other")
    }
    assert counted == {"gpt-4.1": 2, "o4-mini": 1, "other": 1}
    assert metrics.get("bellwether_tokens_total", provider="sim", model="o4-mini", kind="prompt") > 0
    assert not metrics.sum("bellwether_requests_total", model="gpt-4o"), "nobody asked for it"


def test_counters_never_fall_over_a_reload(pool):
    gateway = pool(2, config={"models": {"m": "sim/a"}})
    for _ in range(5):
        gateway.post(chat("hello", model="m"))
    before = gateway.metrics()
    assert gateway.reload({**gateway.config, "models": {"n": "sim/a"}})
    gateway.post(chat("hello", model="n"))
    after = gateway.metrics()
    for (name, labels), value in before.samples.items():
        if before.types.get(name) == "counter":
            assert after.samples[name, labels] >= value
    assert after.get("bellwether_requests_total", provider="sim", model="n", status="2xx") == 1


# -- the admin API ---------------------------------------------------------------------------------

KEY_MEMBERS = {
    "provider",
    "name",
    "account",
    "wish",
    "health",
    "healthy",
    "step",
    "weight",
    "spent_usd",
    "models",
    "failures",
    "request_count",
    "error_count",
    "last_used",
    "last_success_seconds_ago",
    "cooldown_until",
    "limits",
}


def test_keys(keyed):
    gateway = keyed(
        3,
        key=lambda i: [{"account": "org-1"}, {"weight": 10, "models": ["small-*", "x"]}, {"limits": {"rpm": 60}}][
            i - 1
        ],
        behave={"sk-pool-1": limited(Retry_After="60")},
        selection="priority",
    )
    for _ in range(2):
        assert gateway.post(chat("hello")).status == 200
    states = gateway.key_states()
    assert list(states) == ["k1", "k2", "k3"]
    assert all(set(state) == KEY_MEMBERS for state in states.values())
    first, second, third = states.values()
    assert (first["account"], second["account"]) == ("org-1", None)
    assert (first["health"], first["healthy"], first["wish"]) == ("cooling", False, "enabled")
    assert (first["request_count"], first["error_count"]) == (1, 1)
    assert 55 < datetime.fromisoformat(first["cooldown_until"].replace("Z", "+00:00")).timestamp() - time.time() <= 61
    assert (second["weight"], second["models"], second["request_count"]) == (10, ["small-*", "x"], 0)
    assert (
        second["last_used"] is None and second["last_success_seconds_ago"] is None and second["cooldown_until"] is None
    )
    assert (third["health"], third["healthy"], third["request_count"], third["error_count"]) == ("healthy", True, 2, 0)
    assert third["last_success_seconds_ago"] < 5
    limits = {limit["scope"]: limit for limit in third["limits"]}
    assert set(limits["rpm"]) == {"scope", "limit", "remaining", "reset"}
    assert (limits["rpm"]["limit"], limits["rpm"]["remaining"]) == (60, 58)


def test_stats(pool):
    gateway = pool(2, config={"models": {"m": "sim/a", "n": "sim/b"}})
    for name in ("m", "m", "n"):
        gateway.post(chat("hello", model=name))
    stats = gateway.admin("/v1/admin/stats").json
    assert stats["total_requests"] == 3
    assert stats["requests_by_model"] == {"m": 2, "n": 1}
    assert stats["average_latency_ms"] > 0
    totals = stats["providers"][0]
    assert (totals["healthy_keys"], totals["total_keys"]) == (2, 2)
    assert stats["ready"] is True


def test_unknown_calls_of_the_admin_api(pool):
    gateway = pool(1)
    assert gateway.admin("/nowhere").status == 404
    answer = gateway.admin("/v1/admin/keys", method="POST")
    assert answer.status == 405 and "GET" in answer.get("allow")
    assert gateway.admin("/health").status == 200
    assert gateway.admin("/ready").status == 200


@pytest.mark.parametrize(
    ("host", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("localhost", {}, 200),
        ("localhost:9090", {}, 200),
        ("[::1]:9090", {}, 200),
        ("evil.test", {}, 403),
        ("127.0.0.1.evil.test", {}, 403),
        ("localhost.evil.test:9090", {}, 403),
        ("127.0.0.1", {"Origin": "http://evil.test"}, 403),
        ("127.0.0.1", {"Origin": "http://localhost"}, 403),
        ("127.0.0.1", {"Origin": "null"}, 403),
    ],
)
def test_without_a_token_no_page_in_a_browser_reaches_it(pool, host, headers, status):
    """DNS rebinding and requests of foreign pages."""
    gateway = pool(1)
    for target in ("/v1/admin/keys", "/metrics", "/v1/admin/stats"):
        assert gateway.admin(target, headers, host=host).status == status


def test_with_a_token(pool):
    gateway = pool(1, config={"admin": {"token": "sk-admin-token-1"}})
    for target in ("/v1/admin/keys", "/metrics", "/v1/admin/stats"):
        assert gateway.admin(target).status == 200
        for headers in (
            {},
            {"Authorization": "Bearer sk-admin-token-2"},
            {"Authorization": "Bearer sk-pool-1"},
            {"Authorization": "Basic sk-admin-token-1"},
        ):
            assert gateway.admin(target, headers).status == 401
    assert gateway.admin("/v1/admin/keys", host="gateway.example").status == 200


def test_the_admin_address_withstands_odd_requests(pool):
    gateway = pool(1)
    for data in (
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 70_000,
        b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ):
        with Wire(gateway.admin_address) as connection:
            connection.send(data)
            assert 400 <= connection.answer().status < 500
            assert connection.is_closed()
    assert gateway.admin("/metrics").status == 200
