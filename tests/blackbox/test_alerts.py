"""alerts: what is worth waking somebody for reaches the webhooks, few messages of many alerts, and no secret in them."""

import json
import threading
import time

import pytest
from harness.callers import Load
from harness.events import Events
from harness.expect import chat
from harness.fixtures import provider
from harness.keyed import REVOKED
from harness.processes import run
from harness.rotation import ADMIN, rotation, wait_step
from harness.upstream import Upstream
from harness.vault import TOKEN as VAULT_TOKEN
from harness.vault import Vault

TOKEN = "T0PTOKEN99"


class Hook:
    """A webhook. `statuses` are its answers, one a message, 200 behind them."""

    def __init__(self, stage, statuses=()):
        self.messages, self.statuses, self.changed = [], list(statuses), threading.Condition()
        self.upstream = stage.upstream(self.answer, answers_probes=False)
        host, port = self.upstream.base_url.removeprefix("http://").removesuffix("/v1").rsplit(":", 1)
        self.url = f"http://{host}:{port}/hook/{TOKEN}?key={TOKEN}"

    def answer(self, peer):
        request = peer.read_request()
        assert request.method == "POST" and request.target == f"/hook/{TOKEN}?key={TOKEN}"
        assert request.get("content-type") == "application/json"
        assert b"sk-" not in request.body and TOKEN.encode() not in request.body
        status = self.statuses.pop(0) if self.statuses else 200
        peer.answer("ok", status, content_type="text/plain")
        with self.changed:
            self.messages.append((status, request.json))
            self.changed.notify_all()
        return True

    def told(self):
        return [message for status, message in self.messages if status == 200]

    def alerts(self):
        return [alert for message in self.told() for alert in message["alerts"]]

    def wait(self, kind, within=60, **facts):
        """The alert of that kind with these members."""
        until = time.monotonic() + within
        with self.changed:
            while True:
                for alert in self.alerts():
                    if alert["kind"] == kind and all(alert[name] == value for name, value in facts.items()):
                        return alert
                assert time.monotonic() < until, f"no {kind} {facts} among {self.messages}"
                self.changed.wait(0.2)

    def wait_messages(self, count, within=30):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.messages) >= count, within), self.messages


@pytest.fixture
def rotating(stage, sim, tmp_path):
    def start(hook, scenario=None, **settings):
        sim.scenario(scenario)
        keys = [{"name": "a", "secret": "sk-pool-1"}, {"name": "b", "secret": "sk-pool-2"}]
        return stage.gateway({"secrets": {"seal_key": f"file:{tmp_path}/bellwether.key"},
                              "alerts": {"webhooks": [{"url": hook.url, "format": "json"}]},
                              "providers": {"sim": provider(sim.base_url, keys, rotation=rotation(sim, **settings))}},
                             secrets=[ADMIN, TOKEN]).settle()

    return start


def end(gateway, hook, kind):
    """It is over; what is collected of it goes out with the process."""
    with Events(gateway, "?after=0") as events:
        events.wait("alert", state=kind, over=True)
    gateway.stop()
    hook.wait(kind, state="over")


def test_a_storm_is_one_message(stage, keyed):
    """Twelve keys die at once: the first is told at once, the rest together, in Slack's format."""
    hook = Hook(stage)
    behave = {f"sk-pool-{i}": REVOKED for i in range(1, 13)}
    gateway = keyed(13, behave=behave, selection="priority", config={"alerts": {"webhooks": [hook.url]}})
    gateway.secrets.add(TOKEN)
    assert gateway.post(chat("hello")).status == 200
    hook.wait_messages(1)
    assert [list(message) for message in hook.told()] == [["text"]]
    first = hook.told()[0]["text"]  # of whatever had died by then
    assert "ERROR key_invalid (up): the provider refuses a key that used to work" in first and "k1: invalid_key" in first
    told = int(gateway.metrics().get("bellwether_alerts_total", webhook="1", result="sent"))
    assert 1 <= told < 12
    time.sleep(1)
    gateway.stop()  # what is collected goes out with the process
    assert len(hook.messages) == 2 and f"{12 - told} alert" in hook.told()[1]["text"] and "k12" in hook.told()[1]["text"]


def test_json_and_again_when_it_is_down(stage, keyed):
    down = Hook(stage, statuses=[503, 500])
    well = Hook(stage)
    config = {"alerts": {"webhooks": [{"url": down.url, "format": "json"}, {"url": well.url, "format": "json"}]}}
    gateway = keyed(2, behave={"sk-pool-1": REVOKED}, selection="priority", config=config)
    gateway.secrets.add(TOKEN)
    assert gateway.post(chat("hello")).status == 200
    alert = well.wait("key_invalid")
    assert (alert["severity"], alert["state"], alert["provider"], alert["key"]) == ("error", "firing", "up", "k1")
    assert alert["reason"] == "invalid_key" and alert["at"].endswith("Z")
    down.wait("key_invalid", key="k1")
    assert [status for status, _ in down.messages] == [503, 500, 200]
    assert all(message == down.messages[0][1] or message["sent_at"] for _, message in down.messages)
    assert len(well.messages) == 1


def test_a_rotation_that_goes_well(stage, rotating):
    hook = Hook(stage)
    gateway = rotating(hook, canary="off")
    assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
    row = wait_step(gateway, "active")
    alert = hook.wait("promoted")
    assert (alert["severity"], alert["key"]) == ("info", row["name"])
    # What is left for a person to do: nobody knows the id of a key of the file. It goes out at the end of the process.
    wait_step(gateway, "retired", name="a")
    gateway.stop()
    assert "take it out of the file" in hook.wait("revoke_by_hand", key="a")["reason"]


def test_a_key_that_is_taken_back(stage, rotating):
    hook = Hook(stage)
    gateway = rotating(hook, {"issuer": {"new_keys": {"faults": [{"fault": 500, "share": "60%"}]}}}, canary={
        "initial": "25%", "steps": 4, "every": "10s", "min_requests": 10})
    with Load(gateway, 2):
        assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
        row = wait_step(gateway, "rolled_back")
    alert = hook.wait("rolled_back", key=row["name"])
    assert alert["reason"] == row["reason"] and alert["severity"] == "error"


def test_a_rotation_that_fails(stage, rotating):
    hook = Hook(stage)
    gateway = rotating(hook, {"issuer": {"known_after": "1h"}})
    assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
    row = wait_step(gateway, "rolled_back")
    assert hook.wait("rotation_failed", key=row["name"])["reason"] == "its provider does not know it (401)"
    metrics = gateway.metrics()
    assert metrics.get("bellwether_key_rotation_errors_total", provider="sim") == 1


def test_a_leak(stage, rotating):
    """Critical: told within a second; and what has to be done by hand."""
    hook = Hook(stage)
    gateway = rotating(hook, canary="off")
    done = run(["keys", "--address", "{}:{}".format(*gateway.admin_address), "rotate", "sim/a", "--leaked"], env={"ADMIN_TOKEN": ""})
    assert done.returncode == 0
    assert hook.wait("key_leaked", key="a")["severity"] == "critical"
    hook.wait("revoke_by_hand", key="a")


def test_an_issuer_that_is_away(stage, sim, tmp_path):
    """Told once, and once when it is over."""
    hook = Hook(stage)
    is_there = threading.Event()
    made = Upstream(lambda peer: (peer.read_request(), peer.answer({"api_key": "sk-pool-9", "key_id": "id-9"} if is_there.is_set() else {},
                                                                    200 if is_there.is_set() else 429))[1] or True, answers_probes=False)
    root = made.base_url.removesuffix("/v1")
    try:
        settings = {"kind": "http", "create": {"url": f"{root}/keys", "body": {"name": "{name}"}, "key": "/api_key", "id": "/key_id"}}
        gateway = stage.gateway({
            "secrets": {"seal_key": f"file:{tmp_path}/bellwether.key"},
            "alerts": {"webhooks": [{"url": hook.url, "format": "json"}]},
            "providers": {"sim": provider(sim.base_url, [{"name": "a", "secret": "sk-pool-1"}],
                                          rotation={"issuer": settings, "canary": "off", "validate": {"attempts": 9, "base_delay": "500ms"}})},
        }, secrets=[TOKEN]).settle()
        assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
        hook.wait("issuer_unreachable", state="firing")
        (waiting,) = [row for row in gateway.admin("/v1/admin/rotations").json["rotations"] if row["step"] == "issuing"]
        assert waiting["reason"].startswith("waits: ")  # so that history says it too
        is_there.set()
        end(gateway, hook, "issuer_unreachable")
    finally:
        made.stop()


def test_a_store_of_keys_that_is_away(stage, sim):
    """Of all that the file refers to, one alert, and one when it is over; the keys serve on."""
    sim.scenario()
    hook, vault = Hook(stage), Vault()
    vault.put("secret/data/llm", api_key="sk-pool-1", other="sk-pool-2")
    vault.put("secret/data/more", api_key="sk-pool-3")
    keys = ["${vault:secret/data/llm}", "${vault:secret/data/llm#other}", "${vault:secret/data/more}"]
    try:
        gateway = stage.gateway({
            "secrets": {"poll": "200ms", "vault": {"address": vault.address, "token": VAULT_TOKEN}},
            "alerts": {"webhooks": [{"url": hook.url, "format": "json"}]},
            "providers": {"sim": provider(sim.base_url, keys)},
        }, secrets=[VAULT_TOKEN, TOKEN]).settle()
        vault.is_sealed = True
        alert = hook.wait("store_unreachable", state="firing")
        assert alert["count"] == 1 and "vault:secret/data/" in alert["reason"] and "sealed" in alert["reason"], alert
        assert gateway.post(chat("hello")).status == 200
        vault.is_sealed = False
        end(gateway, hook, "store_unreachable")
    finally:
        vault.stop()


def test_a_reload_changes_who_is_told(stage, keyed):
    first, second = Hook(stage), Hook(stage)
    gateway = keyed(3, selection="priority", config={"alerts": {"webhooks": [first.url]}})
    gateway.secrets.add(TOKEN)
    assert gateway.reload({**gateway.config, "alerts": {"webhooks": [{"url": second.url, "format": "json"}]}})
    gateway.keys.behave["sk-pool-1"] = REVOKED
    assert gateway.post(chat("hello")).status == 200
    second.wait("key_invalid", key="k1")
    assert first.messages == []


def test_the_environment_names_one(stage, sim, tmp_path):
    """check-config shows neither the URL nor a part of it."""
    hook = Hook(stage)
    path = tmp_path / "b.yaml"
    path.write_text(json.dumps({"alerts": {"webhooks": ["${env:HOOK}"]}, "providers": {"openai": {"keys": ["sk-a"]}}}))
    done = run(["check-config", str(path)], env={"HOOK": hook.url})
    assert done.returncode == 0 and 'url: "***"' in done.stdout and TOKEN not in done.stdout
    done = run(["check-config", str(path)], env={"HOOK": f"ftp://{TOKEN}"})
    assert done.returncode == 1 and TOKEN not in done.stdout + done.stderr


def test_rules(stage, keyed):
    """Too few keys that may be used, for a while; and over again."""
    hook = Hook(stage)
    rules = {"active_keys_below": 2, "for": "1s"}
    config = {"alerts": {"webhooks": [{"url": hook.url, "format": "json"}], "rules": rules}}
    gateway = keyed(2, selection="priority", config=config)
    gateway.secrets.add(TOKEN)
    assert gateway.admin("/v1/admin/keys/up/k1/disable", method="POST").status == 202
    begun = time.monotonic()
    assert hook.wait("active_keys_low", state="firing")["reason"] == "1, where 2 should be"
    assert time.monotonic() - begun > 0.5, "not at once: for about a second, by a look every so often"
    assert gateway.admin("/v1/admin/keys/up/k1/enable", method="POST").status == 202
    end(gateway, hook, "active_keys_low")


def test_too_many_rotations_fail(stage, sim, tmp_path):
    hook = Hook(stage)
    sim.scenario({"issuer": {"known_after": "1h"}})
    gateway = stage.gateway({
        "secrets": {"seal_key": f"file:{tmp_path}/bellwether.key"},
        "alerts": {"webhooks": [{"url": hook.url, "format": "json"}], "rules": {"rotation_errors_above": 0, "for": "2s"}},
        "providers": {"sim": provider(sim.base_url, [{"name": "a", "secret": "sk-pool-1"}], rotation=rotation(sim))},
    }, secrets=[ADMIN, TOKEN]).settle()
    assert gateway.metrics().get("bellwether_key_rotation_errors_total", provider="sim") == 0
    assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
    assert hook.wait("rotation_errors", state="firing")["reason"] == "1 failed within 2 s"
    end(gateway, hook, "rotation_errors")


def test_budgets_that_run_out(stage, sim):
    """Of four fifths and of all of it, each once, with whose it is; not again after a restart."""
    hook = Hook(stage)
    sim.scenario()
    config = {
        "providers": {"sim": provider(sim.base_url, [{"name": "k1", "secret": "sk-pool-1"}])},
        "store": "sqlite:one.db",
        "prices": {"gpt-4.1": {"input": 200, "output": 800}},
        "alerts": {"webhooks": [{"url": hook.url, "format": "json"}]},
        "clients": {"keys": [{"name": "web", "secret": "web-secret", "pool": "search"}]},
        "pools": {"search": {}},
        "names": {"direct": True},
    }
    gateway = stage.gateway(config, secrets=[TOKEN]).settle()
    headers = {"Authorization": "Bearer web-secret"}
    cost = float(gateway.post(chat("hello", model="gpt-4.1"), headers=headers).get("x-bellwether-cost-usd"))
    config["clients"]["keys"][0]["budget"] = {"usd": round(cost / 0.85, 6), "per": "month"}
    config["pools"]["search"]["budget"] = {"usd": round(cost * 0.9, 6), "per": "month"}
    assert gateway.reload(dict(gateway.config, **config))
    assert gateway.post(chat("hello", model="gpt-4.1"), headers=headers).status == 200
    near, passed = hook.wait("budget_near"), hook.wait("budget_passed")
    assert near["reason"].startswith("client web: ") and "USD for the month are spent" in near["reason"]
    assert passed["reason"].startswith("pool search: ")
    time.sleep(2.5)
    assert (near["count"], passed["count"]) == (1, 1) and len(hook.alerts()) == 2
    gateway.stop()
    gateway = stage.gateway(config, secrets=[TOKEN]).settle()
    gateway.wait_line(r'"message":"pool has spent its budget"', 10)
    time.sleep(2.5)
    assert len(hook.alerts()) == 2
