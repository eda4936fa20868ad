"""GET /v1/admin/events: what happens, as it happens, to a plain reader of server-sent events."""

import time

import pytest
from harness.callers import Load
from harness.events import Events
from harness.expect import chat
from harness.fixtures import provider
from harness.keyed import BROKEN, REVOKED
from harness.rotation import ADMIN, rotation
from harness.wire import Wire, request


@pytest.fixture
def rotating(stage, sim, tmp_path):
    def start(scenario=None, **settings):
        sim.scenario(scenario)
        keys = [{"name": "a", "secret": "sk-pool-1"}, {"name": "b", "secret": "sk-pool-2"}]
        return stage.gateway({"secrets": {"seal_key": f"file:{tmp_path}/bellwether.key"},
                              "providers": {"sim": provider(sim.base_url, keys, rotation=rotation(sim, **settings))}},
                             secrets=[ADMIN]).settle()

    return start


def rotate(gateway, name="a"):
    assert gateway.admin(f"/v1/admin/keys/sim/{name}/rotate", method="POST").status == 202


def test_a_rotation_is_told_step_by_step(rotating):
    gateway = rotating(overlap="500ms")
    with Load(gateway, 2), Events(gateway) as events:
        rotate(gateway)
        promotion = events.wait("promotion")
        name = promotion.key
        events.wait("rotation", key="a", state="retired")
        steps = [event.state for event in events.seen if event.key == name and event.rotation]
        assert steps == ["issuing", "issued", "stored", "validating", "canary", "active"]
        assert promotion.provider == "sim" and promotion.replaces == "a" and promotion.rotation == 1
        assert [event.state for event in events.seen if event.kind == "rotation" and event.key == "a"] == [
            "active", "draining", "retired"]
        assert events.wait("alert", state="promoted").key == name
        numbers = [event.id for event in events.seen]
        assert numbers == sorted(set(numbers))
    # What came after a number is told again to who has that number; nothing of before, and nothing twice.
    with Events(gateway, last=promotion.id) as again:
        again.wait("rotation", key="a", state="retired")
        assert again.seen[0].id > promotion.id and not [event for event in again.seen if event.kind == "promotion"]
    with Events(gateway, f"?after={promotion.id - 1}") as again:
        assert again.wait("promotion").data == promotion.data and again.seen[0].id == promotion.id


def test_a_rollback_says_why(rotating, sim):
    gateway = rotating({"issuer": {"new_keys": {"faults": [{"fault": 500, "share": "60%"}]}}}, canary={
        "initial": "25%", "steps": 4, "every": "10s", "min_requests": 10})
    with Load(gateway), Events(gateway) as events:
        rotate(gateway)
        canary = events.wait("rotation", state="canary")
        rollback = events.wait("rollback")
        assert rollback.id > canary.id and rollback.key == canary.key
        assert rollback.state == "rolled_back" and "failed" in rollback.reason
        assert not [event for event in events.seen if event.kind == "promotion"]
        assert events.wait("alert", state="rolled_back").reason == rollback.reason


def test_keys_breakers_and_reloads(keyed):
    gateway = keyed(2, behave={"sk-pool-1": REVOKED, "sk-pool-2": BROKEN}, selection="priority",
                    breaker={"failures": 2, "ratio": "50%", "window": "10s", "open": "60s"}, health={"max_failures": 100})
    with Events(gateway) as events:
        gateway.post(chat("hello"))
        state = events.wait("key_state", key="k1", state="invalid")
        assert state.provider == "up" and state.reason == "invalid_key" and state.at.endswith("Z")
        assert events.wait("alert", state="key_invalid").key == "k1"
        gateway.post(chat("hello"))
        assert events.wait("breaker", endpoint=gateway.keys.upstream.base_url).state == "open"
        assert gateway.reload()
        events.wait("configuration", state="reloaded")
        assert not gateway.reload("providers: 7\n")
        assert events.wait("configuration", state="refused").reason == "see the complaints"


def test_one_provider_alone(rotating):
    gateway = rotating(canary="off")
    with Events(gateway, "?provider=other") as none, Events(gateway, "?provider=sim") as some, Events(gateway) as every:
        rotate(gateway)
        some.wait("promotion")
        assert gateway.reload()
        every.wait("configuration", state="reloaded")
        assert none.seen == [] and not [event for event in some.seen if event.kind == "configuration"]
        assert {event.provider for event in some.seen} == {"sim"}


def test_numbers_of_another_time(pool):
    """A reader that comes back after a restart is told that it may have missed some, and all that there is."""
    gateway = pool()
    with Events(gateway, "?after=7") as events:
        assert gateway.reload()
        events.wait("configuration", state="reloaded")
        assert events.seen[0].kind == "missed" and events.seen[0].data == {"count": None}
        events.wait("gateway", state="ready")


def test_who_may_read_and_how_many(pool):
    gateway = pool(config={"admin": {"token": "sk-operator"}})
    assert gateway.admin("/v1/admin/events", headers={}).status == 401
    assert gateway.admin("/v1/admin/events", method="POST").status == 405
    assert gateway.admin("/v1/admin/events", method="HEAD").get("content-type") == "text/event-stream"
    streams = [Events(gateway) for _ in range(16)]
    answer = gateway.admin("/v1/admin/events")
    assert answer.status == 503 and answer.json["error"]["code"] == "too_many_streams"
    for stream in streams:
        stream.__exit__()
    until = time.monotonic() + 10
    while gateway.admin("/v1/admin/events", method="HEAD").status != 200 and time.monotonic() < until:
        time.sleep(0.05)
    with Events(gateway):
        pass


def test_it_ends_with_the_process(pool):
    gateway = pool()
    with Events(gateway) as events:
        gateway.stop()
        events.wait_end()
        assert events.wait("gateway", state="shutting_down")


def test_a_reader_that_does_not_read(pool):
    """It holds up nobody."""
    gateway = pool()
    with Wire(gateway.admin_address) as slow:
        slow.send(request("GET", "/v1/admin/events?after=0", host="127.0.0.1"))
        for _ in range(20):
            assert gateway.reload()
        with Events(gateway) as events:
            assert gateway.reload()
            events.wait("configuration", state="reloaded")
