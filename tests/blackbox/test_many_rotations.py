"""Rotation after rotation at full speed, under load: every answer is right, none is lost, and no request ever shows a revoked key."""

import time

import pytest
from harness.clients import Clients
from harness.expect import chat, content
from harness.fixtures import provider
from harness.rotation import ADMIN, issuer, rotation, rotations, wait_step
from harness.wire import post

ROTATIONS = 200


class Load(Clients):
    """Each client checks what it is told: the simulator answers with what was asked."""

    def __init__(self, gateway, clients=4):
        super().__init__(gateway, clients)
        self.right, self.wrong = [0] * clients, []

    def ask(self, connection, i):
        question = f"question {i} {self.right[i]}"
        answer = connection.ask(post(chat(question, stream=self.right[i] % 2 == 1)))
        if answer.status == 200 and answer.content == content(question):
            self.right[i] += 1
        else:
            self.wrong.append(repr(answer))


@pytest.mark.timeout(280)
def test_two_hundred_in_a_row(stage, sim, tmp_path):
    """Each replaces the key that the one before it had made."""
    sim.scenario()
    rotated = rotation(sim, canary="off", overlap="0s")
    keys = [{"name": "a", "secret": "sk-pool-1"}, {"name": "b", "secret": "sk-pool-2"}]
    gateway = stage.gateway(
        {"secrets": {"seal_key": f"file:{tmp_path}/bellwether.key"},
         "providers": {"sim": provider(sim.base_url, keys, rotation=rotated)}}, secrets=[ADMIN]).settle()
    newest, until = "a", time.monotonic() + 240
    with Load(gateway) as load:
        for number in range(1, ROTATIONS + 1):
            while True:
                answer = gateway.admin(f"/v1/admin/keys/sim/{newest}/rotate", method="POST")
                if answer.status == 202:
                    break
                # The one before is not at its end yet.
                assert answer.status == 409 and time.monotonic() < until, repr(answer)
                time.sleep(0.005)
            assert answer.json["rotation"] == number
            newest = wait_step(gateway, "active", within=until - time.monotonic())["name"]
    assert not load.wrong, load.wrong[:3]
    assert min(load.right) > ROTATIONS / 4
    until = time.monotonic() + 60
    while issuer(sim)["revoked"] < ROTATIONS - 1:
        assert time.monotonic() < until, issuer(sim)
        time.sleep(0.05)
    facts = issuer(sim)
    assert (facts["issued"], facts["revoked"], facts["revoked_requests"]) == (ROTATIONS, ROTATIONS - 1, 0)
    assert rotations(gateway)[newest]["step"] == "active"


BAD_KEYS = 12


@pytest.mark.timeout(280)
@pytest.mark.parametrize("fault, median", [({"fault": 500, "share": "20%"}, 35), ({"fault": 401}, 3)], ids=["20%", "401"])
def test_a_bad_key_is_taken_back_each_time(stage, sim, tmp_path, fault, median):
    """After few of its requests, each of which another key has answered; and each is revoked at its issuer. The rates stand in
    docs/canary.md; here, that a running gateway keeps near them."""
    sim.scenario({"issuer": {"new_keys": {"faults": [fault]}}})
    canary = {"initial": "10%", "steps": 10, "every": "60s", "min_requests": 100}
    keys = [{"name": "a", "secret": "sk-pool-1"}, {"name": "b", "secret": "sk-pool-2"}]
    gateway = stage.gateway(
        {"secrets": {"seal_key": f"file:{tmp_path}/bellwether.key"},
         "providers": {"sim": provider(sim.base_url, keys, rotation=rotation(sim, canary=canary))}}, secrets=[ADMIN]).settle()
    with Load(gateway) as load:
        for number in range(1, BAD_KEYS + 1):
            assert gateway.admin("/v1/admin/keys/sim/a/rotate", method="POST").status == 202
            until = time.monotonic() + 90
            while (row := wait_step(gateway, "rolled_back"))["rotation"] != number:
                assert time.monotonic() < until
            assert gateway.key_states()["a"]["step"] == "active"
            while issuer(sim)["revoked"] < number:
                assert time.monotonic() < until, issuer(sim)
                time.sleep(0.02)
            assert row["replaces"] == "a"
    assert not load.wrong, load.wrong[:3]
    asked = sorted(sum(stats["generations"].values()) for key, stats in sim.stats()["keys"].items() if key.startswith("sk-issued-"))
    assert len(asked) == BAD_KEYS and asked[BAD_KEYS // 2] <= median, asked
    facts = issuer(sim)
    assert (facts["issued"], facts["revoked"], facts["revoked_requests"]) == (BAD_KEYS, BAD_KEYS, 0)
