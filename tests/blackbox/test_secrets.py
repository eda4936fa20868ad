"""No secret is shown, whatever the gateway has done: not in what it says or writes, nor in the memory that a core dump holds."""

import pytest
from harness import memory
from harness.expect import chat, content
from harness.fixtures import provider
from harness.rotation import ADMIN, rotation, wait_step

CLIENT, TOKEN = "sk-client-secret-1", "token-of-the-admin-address"
KEYS = ["sk-pool-secret-1", "sk-pool-secret-2"]
ISSUED = "sk-issued-"  # what each key begins with that the simulator makes


@pytest.fixture
def busy(stage, sim, tmp_path):
    """A gateway that has had all kinds of work: answers, refusals, a key that is invalid, a key that was replaced, a reload."""
    sim.scenario({"keys": {KEYS[1]: {"state": "forbidden"}}})
    gateway = stage.gateway(
        {"secrets": {"seal_key": f"file:{tmp_path}/bellwether.key"},
         "admin": {"token": TOKEN},
         "clients": {"keys": [{"name": "web", "secret": CLIENT}]},
         "providers": {"sim": provider(sim.base_url, KEYS, rotation=rotation(sim, canary="off", overlap="0s"))}},
        secrets=[ADMIN, TOKEN]).settle()
    headers = {"Authorization": f"Bearer {CLIENT}"}
    for number in range(20):
        assert gateway.post(chat(f"hello {number}", stream=number % 2 == 1), headers=headers).content == content(f"hello {number}")
    for secret in ("sk-unknown-client", CLIENT + "x"):
        assert gateway.post(chat("hello"), headers={"Authorization": f"Bearer {secret}"}).status == 401
    name = "sim-1"
    for _ in range(2):
        assert gateway.admin(f"/v1/admin/keys/sim/{name}/rotate", method="POST").status == 202
        name = wait_step(gateway, "active")["name"]
    assert gateway.reload()
    assert gateway.post(chat("hello"), headers=headers).status == 200
    return gateway


def test_memory(busy):
    """Outside the locked arena, which is left out of dumps, nothing stays."""
    found = memory.find(busy.pid, [ADMIN, ISSUED, *KEYS, TOKEN, CLIENT])
    assert not found, "\n".join(found[:10])


def test_what_is_said_and_written(busy, tmp_path):
    shown = busy.pages() + busy.admin("/v1/admin/rotations").body.decode() + busy.output
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.suffix not in (".yaml", ".json"):
            shown += path.read_bytes().decode(errors="replace")
    for secret in (ADMIN, ISSUED, *KEYS, TOKEN, CLIENT):
        assert secret not in shown, secret
