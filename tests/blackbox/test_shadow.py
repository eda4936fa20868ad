"""A share of exchanges is mirrored to another target: compared, counted, capped, and never noticed by a client."""

import json
import threading
import time

import pytest
from harness import upstream as up
from harness.expect import chat, content
from harness.fixtures import provider
from harness.processes import run
from harness.wire import post


class Target:
    """The shadow's target: behaves as it is told."""

    def __init__(self, stage):
        self.behave = up.serve
        self.is_over = threading.Event()
        self.upstream = stage.upstream(self)

    def __call__(self, peer):
        return self.behave(peer)

    @property
    def requests(self):
        return [request for request in self.upstream.requests if request.method == "POST"]


@pytest.fixture
def target(stage):
    target = Target(stage)
    yield target
    target.is_over.set()


@pytest.fixture
def mirrored(stage, sim, target):
    """A gateway whose model m is served by the simulator and mirrored to the target."""

    def start(settings=None, **shadow):
        shadow = {"to": "other/n", "share": "100%", **shadow}
        return stage.gateway({
            "providers": {
                "sim": provider(sim.base_url, ["sk-pool-1"]),
                "other": provider(target.upstream.base_url, ["sk-shadow-secret-1"], **(settings or {})),
            },
            "models": {"m": {"targets": ["sim/gpt-4.1"], "shadow": shadow}},
        }).settle()

    return start


def report(gateway):
    (row,) = gateway.admin("/v1/admin/shadows").json["shadows"]
    return row


def wait_report(gateway, within=20, **facts):
    until = time.monotonic() + within
    while True:
        row = report(gateway)
        if all(row[name] == value for name, value in facts.items()):
            return row
        assert time.monotonic() < until, f"not {facts}: {json.dumps(row, indent=1)}\n{gateway.output[-3000:]}"
        time.sleep(0.02)


def test_the_same_answers(mirrored, target):
    gateway = mirrored()
    assert report(gateway)["compared"] == 0
    for i in range(10):
        headers = {"Authorization": "Bearer client-own", "Cookie": "a=b", "X-Request-ID": f"r{i}"}
        answer = gateway.post(chat(f"number {i}", "m", stream=bool(i % 2)), headers=headers)
        assert answer.status == 200
        if not i % 2:
            assert answer.json["choices"][0]["message"]["content"] == content(f"number {i}")
    row = wait_report(gateway, compared=10, under_way=0)
    assert row["drawn"] == 10 and row["diverged"] == 0 and row["divergence"] == 0
    assert row["similarity"]["p90"] == 1
    assert row["real"]["total_ms"]["p50"] > 0 and row["shadow"]["total_ms"]["p50"] > 0
    assert row["cost"]["requests"] == 10 and row["cost"]["tokens"] > 0
    for request in target.requests:
        assert request.key == "sk-shadow-secret-1" and request.json["model"] == "n"
        assert b"client-own" not in request.head and "cookie" not in request.names
    # The access log has the clients' exchanges, and nothing of their shadows.
    for i in range(10):
        gateway.wait_access(request_id=f"r{i}")
    assert len([line for line in gateway.access_lines() if line.get("model") == "m"]) == 10
    metrics = gateway.metrics()
    assert metrics.get("bellwether_shadow_compared_total", model="m") == 10
    assert metrics.get("bellwether_shadow_diverged_total", model="m") == 0
    assert metrics.sum("bellwether_attempts_total", provider="other") == 0


def test_what_diverges_is_told(mirrored, target):
    def other(peer):
        peer.read_request()
        whole = up.completion("Quite another thing")
        whole["choices"][0]["finish_reason"] = "length"
        peer.answer(whole)

    target.behave = other
    gateway = mirrored()
    answer = gateway.post(chat("hello", "m"), headers={"X-Request-ID": "one-that-diverges"})
    assert answer.status == 200 and answer.json["choices"][0]["message"]["content"] == content("hello")
    row = wait_report(gateway, compared=1)
    assert row["diverged"] == 1 and row["divergence"] == 1
    assert row["diverged_by"]["finish"] == 1 and row["diverged_by"]["similarity"] == 1 and row["diverged_by"]["status"] == 0
    assert row["recent"][0]["request_id"] == "one-that-diverges"
    assert row["recent"][0]["diverged_by"] == ["finish", "similarity"]
    told = run(["shadow", "--address", "{}:{}".format(*gateway.admin_address), "report"])
    assert told.returncode == 0
    assert "m, mirrored to other/n: 100% of its exchanges" in told.stdout
    assert "1 of 1 drawn; 1 diverged (100.00%)" in told.stdout
    assert "finish 1, similarity 1" in told.stdout and "one-that-diverges" in told.stdout


def test_another_dialect(stage, sim, target):
    def messages(peer):
        peer.read_request()
        peer.answer({"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "stop_reason": "end_turn",
                     "content": [{"type": "text", "text": content("hello")}], "usage": {"input_tokens": 3, "output_tokens": 4}})

    target.behave = messages
    root = target.upstream.base_url.removesuffix("/v1")
    gateway = stage.gateway({
        "providers": {"sim": provider(sim.base_url, ["sk-pool-1"]),
                      "claude": {"kind": "anthropic", "base_url": root, "keys": ["sk-ant-secret"], "health": {"validate_new": False}}},
        "models": {"m": {"targets": ["sim/gpt-4.1"], "shadow": {"to": "claude/c", "share": "100%"}}},
    })
    assert gateway.post(chat("hello", "m")).status == 200
    row = wait_report(gateway, compared=1)
    assert row["diverged"] == 0 and row["cost"]["tokens"] == 7
    (request,) = target.requests
    assert request.target == "/v1/messages" and request.json["model"] == "c"


def test_a_target_that_hangs_or_fails_is_nobodys_trouble(mirrored, target):
    """Shadows hang, break and flood: each client gets what it got before, as fast."""
    gateway = mirrored()

    def took():
        begun = time.monotonic()
        answer = gateway.post(chat("hello", "m"))
        assert answer.status == 200 and answer.json["choices"][0]["message"]["content"] == content("hello")
        return time.monotonic() - begun

    def hang(peer):
        peer.read_request()
        target.is_over.wait(60)
        return False

    def flood(peer):
        peer.read_request()
        peer.begin_stream()
        while True:
            peer.send(up.chunk(b": nothing at all\n\n" * 500))

    def fail(peer):
        peer.read_request()
        peer.answer(up.error_body(), 500)

    normal = sorted(took() for _ in range(10))[5]
    wait_report(gateway, compared=10)
    for behave in (hang, flood, fail):
        target.behave = behave
        assert sorted(took() for _ in range(20))[10] < normal + 0.25
    row = wait_report(gateway, compared=10)
    assert row["drawn"] == 70
    # Neither the key nor the endpoint has to do with what a shadow met.
    assert {state["health"] for state in gateway.key_states().values()} <= {"healthy", "trial"}
    # It ends at once, whatever hangs.
    gateway.stop()


def test_budget(mirrored, target):
    gateway = mirrored(budget={"requests": 2, "per": "month"})
    for _ in range(8):
        assert gateway.post(chat("hello", "m")).status == 200
        wait_report(gateway, under_way=0)
    row = wait_report(gateway, compared=2)
    assert row["skipped"]["budget"] == 6 and row["budget"]["stopped"] is True
    assert row["budget"]["spent"]["requests"] == 2 and len(target.requests) == 2
    assert gateway.output.count("the budget of a shadow is used up") == 1
    # A larger one counts from what was spent.
    config = gateway.config
    config["models"]["m"]["shadow"]["budget"]["requests"] = 3
    assert gateway.reload(config)
    for _ in range(3):
        assert gateway.post(chat("hello", "m")).status == 200
        wait_report(gateway, under_way=0)
    assert wait_report(gateway, compared=3)["skipped"]["budget"] == 8


def test_a_new_key_is_tried_on_real_requests(stage, target):
    """The shadow's key is a standby of the same provider: it gets nothing but shadows."""
    keys = [{"name": "old", "secret": "sk-old"}, {"name": "new", "secret": "sk-new", "weight": 0}]
    gateway = stage.gateway({
        "providers": {"up": provider(target.upstream.base_url, keys)},
        "models": {"m": {"targets": ["up/n"], "shadow": {"to": "up/n", "key": "new", "share": "100%"}}},
    }).settle()
    for _ in range(3):
        assert gateway.post(chat("hello", "m")).status == 200
        wait_report(gateway, under_way=0)
    wait_report(gateway, compared=3, diverged=0)
    assert [request.key for request in target.requests] == ["sk-old", "sk-new"] * 3


@pytest.mark.threads
def test_shadows_under_load(mirrored, target):
    """With many connections, through reloads: every answer is right, and nothing is left at the end."""
    gateway = mirrored(share="50%")
    statuses = []

    def ask():
        with gateway.connect() as connection:
            for _ in range(60):
                statuses.append(connection.ask(post(chat("hello", "m"))).status)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        assert gateway.reload(gateway.config)
    for thread in threads:
        thread.join(60)
    assert statuses == [200] * 480
    row = wait_report(gateway, under_way=0)
    assert 160 < row["drawn"] < 320
    assert row["compared"] + sum(row["skipped"].values()) == row["drawn"] and row["diverged"] == 0


@pytest.mark.parametrize("shadow, complaint", [
    ("{share: 5%}", "the shadow's target is missing; allowed: to: PROVIDER/MODEL"),
    ("{to: nobody/x}", "models.m.shadow.to: 'nobody/x' names a provider that is not in providers"),
    ("{to: up/x, share: 0%}", "models.m.shadow.share"),
    ("{to: up/x, budget: {usd: much}}", "models.m.shadow.budget.usd: 'much' is no amount of money"),
    ("{to: up/x, budget: {per: week}}", "models.m.shadow.budget.per"),
])
def test_complaints(tmp_path, shadow, complaint):
    path = tmp_path / "file.yaml"
    path.write_text("providers: {up: {kind: compatible, base_url: 'http://127.0.0.1:1/v1', keys: [sk-a]}}\n"
                    f"models:\n  m: {{targets: [up/x], shadow: {shadow}}}\n")
    done = run(["check-config", str(path)])
    assert done.returncode == 1 and f"{path}:3:" in done.stderr and complaint in done.stderr, done.stderr
