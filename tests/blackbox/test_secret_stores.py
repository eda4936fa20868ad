"""Secrets that stand elsewhere: in Vault, in files, sealed. They are found at the start, followed when they change, and the last good value
serves while their store is away."""

import base64
import json
import os
import shutil
import subprocess
import time

import pytest
from harness.callers import Load
from harness.clouds import TOKEN, Clouds
from harness.expect import chat
from harness.fixtures import provider
from harness.processes import BINARY, Gateway, run
from harness.rotation import ADMIN, issuer, rotation, rotations, wait_step
from harness.vault import TOKEN as VAULT_TOKEN
from harness.vault import Vault
from harness.wire import post

HELD = "secret/data/llm/openai"


def secrets(vault, **settings):
    return {"poll": "200ms", "vault": {"address": vault.address, "token": VAULT_TOKEN, **settings}}


def wait(what, within=20):
    until = time.monotonic() + within
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def rotate(gateway, key):
    """Its state is read from the store first, which takes a moment."""
    wait(lambda: gateway.admin(f"/v1/admin/keys/sim/{key}/rotate", method="POST").status == 202)


def names(gateway):
    return sorted(gateway.key_states())


@pytest.fixture
def held(stage, sim, vault, tmp_path):
    """A gateway whose only key stands in Vault."""

    def start(scenario=None, vault_settings=None, **settings):
        sim.scenario(scenario)
        config = {"secrets": secrets(vault, **(vault_settings or {})),
                  "providers": {"sim": provider(sim.base_url, [{"name": "a", "secret": f"${{vault:{HELD}#api_key}}"}], **settings)}}
        return stage.gateway(config, secrets=[VAULT_TOKEN, "held-1", "held-2"])

    return start


def ask(gateway):
    return gateway.ask(post(chat("hello"))).status


# ---- references ----


def test_a_key_in_vault(held, vault, sim):
    vault.put(HELD, api_key="sk-held-1")
    gateway = held().settle()
    assert ask(gateway) == 200
    assert sim.generations("sk-held-1") == 1


def test_paths_in_vault(stage, sim, vault):
    """Of both versions of the engine, and with `data/` or without."""
    vault.put(HELD, api_key="sk-held-1", second="sk-held-2")
    vault.put("kv/llm/openai", api_key="sk-flat-1")
    keys = [f"${{vault:{path}}}" for path in (HELD, "secret/llm/openai#second", "kv/llm/openai")]
    config = {"server": {"workers": 1}, "secrets": secrets(vault), "providers": {"sim": provider(sim.base_url, keys, selection="round_robin")}}
    gateway = stage.gateway(config).settle()
    assert [ask(gateway) for _ in range(3)] == [200] * 3
    assert [sim.generations(key) for key in ("sk-held-1", "sk-held-2", "sk-flat-1")] == [1, 1, 1]


def test_a_key_that_may_only_be_read(held, vault, sim):
    """Without the right to look at its metadata, its change is seen all the same."""
    vault.put(HELD, api_key="sk-held-1")
    vault.restrict()
    gateway = held().settle()
    vault.put(HELD, api_key="sk-held-2")
    gateway.wait_line("configuration reloaded")
    assert ask(gateway) == 200 and sim.generations("sk-held-2") == 1


def test_a_key_that_changes(held, vault, sim):
    """Without a signal: the next requests go with the new one, and none is lost."""
    vault.put(HELD, api_key="sk-held-1")
    gateway = held().settle()
    with Load(gateway) as load:
        vault.put(HELD, api_key="sk-held-2")
        wait(lambda: sim.generations("sk-held-2") > 5)
    assert set(load.statuses) == {200}
    assert "a secret has changed" in gateway.output


def jwt(**claims):
    parts = ({"alg": "RS256", "typ": "JWT"}, claims, "signature")
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


POD = {"sub": "system:serviceaccount:llm:gateway", "kubernetes.io": {"namespace": "llm", "serviceaccount": {"name": "gateway", "uid": "uid-1"}}}
PROOFS = {"approle": {"role_id": "role-1", "secret_id": "secret-id-1"}, "kubernetes": {"role": "gateway", "jwt": jwt(**POD)}}


def login(vault, folder, by, proof):
    settings = dict(proof)
    if by == "kubernetes":
        settings["jwt_file"] = str(folder / "jwt")
        (folder / "jwt").write_text(settings.pop("jwt"))
    return {"poll": "200ms", "vault": {"address": vault.address, "auth": by, **settings}}


@pytest.mark.parametrize("by", PROOFS)
def test_logging_in(stage, sim, vault, tmp_path, by):
    """And anew where the token is lost."""
    sim.scenario()
    vault.let_log_in(by, **PROOFS[by])
    vault.put(HELD, api_key="sk-held-1")
    config = {"secrets": login(vault, tmp_path, by, PROOFS[by]), "providers": {"sim": provider(sim.base_url, [f"${{vault:{HELD}}}"])}}
    gateway = stage.gateway(config, secrets=["secret-id-1", jwt(**POD), "hvs.of-login"]).settle()
    assert ask(gateway) == 200 and vault.logins == 1
    vault.forget_logins()
    vault.put(HELD, api_key="sk-held-2")
    gateway.wait_line("configuration reloaded")
    assert ask(gateway) == 200 and sim.generations("sk-held-2") == 1


@pytest.mark.parametrize(
    "by, change, words",
    [
        ("approle", {"secret_id": "secret-id-2"}, "invalid role or secret ID"),
        ("kubernetes", {"role": "none"}, "invalid role name"),
        ("kubernetes", {"jwt": jwt(**POD, jti="revoked")}, "permission denied"),
    ],
)
def test_logging_in_refused(vault, tmp_path, by, change, words):
    vault.let_log_in(by, **PROOFS[by])
    vault.put(HELD, api_key="sk-held-1")
    proof = {**PROOFS[by], **change}
    file = tmp_path / "b.yaml"
    file.write_text(json.dumps({"secrets": login(vault, tmp_path, by, proof), "providers": {"openai": {"keys": [f"${{vault:{HELD}}}"]}}}))
    done = run(["check-config", str(file)])
    assert done.returncode == 1 and words in done.stderr, done.stderr
    assert not any(proof.get(name, "none of it") in done.stderr for name in ("secret_id", "jwt"))


def away(vault, how):
    if how == "deleted":
        vault.delete_latest(HELD)
    elif how == "removed":
        vault.remove(HELD)
    else:
        vault.away(how)


@pytest.mark.parametrize("how", ["sealed", "forbidden", "gone", "deleted", "removed"])
def test_a_store_that_is_away_takes_no_key_away(held, vault, how):
    vault.put(HELD, api_key="sk-held-1")
    gateway = held().settle()
    with Load(gateway, 2) as load:
        away(vault, how)
        gateway.wait_line("a secret cannot be read" if how in ("sealed", "forbidden", "gone") else "reload refused")
        if how in ("sealed", "forbidden"):
            assert gateway.reload()  # from the value that was told last
        if how in ("deleted", "removed"):
            assert not gateway.reload()
        time.sleep(0.3)
    assert set(load.statuses) == {200}
    vault.back()
    vault.put(HELD, api_key="sk-held-2")
    gateway.wait_line("configuration reloaded", after=len(gateway.lines) - 1)
    assert ask(gateway) == 200


def test_a_slow_store_does_not_hold_anything_up(held, vault):
    vault.put(HELD, api_key="sk-held-1")
    gateway = held().settle()
    vault.away("slow")
    with Load(gateway, 2) as load:
        gateway.send_signal(1)
        gateway.wait_line('"message":"configuration reloaded"')
    assert set(load.statuses) == {200}
    gateway.wait_line("there was no answer in time")


CONFIG = """secrets:
  vault: {address: "%s", token: "%s"}
providers:
  openai:
    keys:
      - ${vault:%s}
"""


@pytest.mark.parametrize(
    "path, words",
    [
        ("secret/data/llm/none#api_key", "is not there"),
        ("secret/data/llm/openai#none", "is not there"),
        ("nowhere/data/llm/openai#api_key", "permission denied"),
        ("secret/data#api_key", "names no secret"),
    ],
)
def test_what_cannot_be_resolved(vault, tmp_path, path, words):
    vault.put(HELD, api_key="sk-held-1")
    file = tmp_path / "b.yaml"
    file.write_text(CONFIG % (vault.address, VAULT_TOKEN, path))
    done = run(["check-config", str(file)])
    assert done.returncode == 1 and done.stdout == ""
    assert f"b.yaml:6:9: providers.openai.keys[0]: ${{vault:{path}}} " in done.stderr and words in done.stderr, done.stderr
    assert VAULT_TOKEN not in done.stderr and "sk-held" not in done.stderr


@pytest.mark.parametrize("how", ["sealed", "forbidden", "gone"])
def test_a_start_without_the_store(vault, tmp_path, how):
    away(vault, how)
    file = tmp_path / "b.yaml"
    file.write_text(CONFIG % (vault.address, VAULT_TOKEN, HELD))
    for command in (["check-config", str(file)], ["serve", "--config", str(file)]):
        done = run(command)
        assert done.returncode == 1
        assert "b.yaml:6:9: providers.openai.keys[0]: ${vault:secret/data/llm/openai} could not be read: " in done.stderr
        assert how != "forbidden" or "vault: permission denied for " in done.stderr


def test_shown_masked(vault, tmp_path):
    vault.put(HELD, api_key="sk-held-1")
    file = tmp_path / "b.yaml"
    file.write_text(CONFIG % (vault.address, VAULT_TOKEN, HELD))
    done = run(["check-config", str(file)])
    assert done.returncode == 0, done.stderr
    assert "sk-held" not in done.stdout and VAULT_TOKEN not in done.stdout
    assert 'secret: "***"' in done.stdout and 'token: "***"' in done.stdout


def test_a_health_check_asks_no_store(held, vault, tmp_path):
    vault.put(HELD, api_key="sk-held-1")
    gateway = held().settle()
    gateway.config["admin"]["listen"] = "{}:{}".format(*gateway.admin_address)
    gateway.write(gateway.config)
    vault.away("gone")
    done = run(["healthcheck", "--config", str(gateway.path)])
    assert done.returncode == 0, done.stderr


# ---- folders and lists of keys ----


def test_a_folder_in_vault(stage, sim, vault):
    """Keys come and go without a restart; what is no key there is none."""
    sim.scenario()
    vault.put("secret/data/llm/pool/one", api_key="sk-one-1")
    vault.put("secret/data/llm/pool/state", note="no key")
    config = {"secrets": secrets(vault), "providers": {"sim": provider(sim.base_url, [], keys_from=["vault:secret/data/llm/pool/*"])}}
    del config["providers"]["sim"]["keys"]
    gateway = stage.gateway(config, secrets=[VAULT_TOKEN]).settle()
    assert names(gateway) == ["one"]
    with Load(gateway, 2) as load:
        vault.put("secret/data/llm/pool/two", api_key="sk-two-1")
        wait(lambda: names(gateway) == ["one", "two"])
        vault.remove("secret/data/llm/pool/one")
        wait(lambda: names(gateway) == ["two"])
    assert set(load.statuses) == {200}


def test_a_folder_of_files(stage, sim, tmp_path):
    """As Kubernetes mounts and swaps one; and twins are one key."""
    sim.scenario()
    folder = tmp_path / "keys"

    def mount(number, **files):
        real = folder / f"..{number}"
        real.mkdir(parents=True)
        for name, text in files.items():
            (real / name).write_text(text)
        (folder / "..data_tmp").symlink_to(real.name)
        for name in files:
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(f"..data/{name}")
        (folder / "..data_tmp").rename(folder / "..data")
        for link in folder.iterdir():
            if link.is_symlink() and not link.exists():
                link.unlink()

    mount(1, one="sk-one-1\n", two="sk-two-1\n")
    config = {"providers": {"sim": provider(sim.base_url, ["sk-own-1"], keys_from=[f"dir:{folder}", "${env:MORE}"])}}
    gateway = stage.gateway(config, env={"MORE": "sk-one-1,sk-more-1"}).settle()
    assert names(gateway) == ["one", "sim-1", "sim-3", "two"]
    assert "has the secret of key 'one', and is left out" in run(["check-config", str(gateway.path)], env={"MORE": "sk-one-1,sk-more-1"}).stderr
    with Load(gateway, 2) as load:
        mount(2, two="sk-two-2\n", three="sk-three-1\n")
        wait(lambda: names(gateway) == ["sim-1", "sim-2", "sim-3", "three", "two"])
    assert set(load.statuses) == {200}


def test_a_file_that_changes(stage, sim, tmp_path):
    sim.scenario()
    file = tmp_path / "key"
    file.write_text("sk-first-1\n")
    gateway = stage.gateway({"providers": {"sim": provider(sim.base_url, [f"${{file:{file}}}"])}}).settle()
    assert ask(gateway) == 200 and sim.generations("sk-first-1") == 1
    seen = len(gateway.lines)
    file.write_text("sk-first-1\n")  # the same: no change
    time.sleep(0.5)
    assert "a secret has changed" not in gateway.output
    other = tmp_path / "other"
    other.write_text("sk-second-1\n")
    os.rename(other, file)
    gateway.wait_line('"message":"configuration reloaded"', after=seen)
    assert ask(gateway) == 200 and sim.generations("sk-second-1") == 1
    file.write_text("two\nlines\n")
    gateway.wait_line("reload refused", after=seen)
    assert ask(gateway) == 200


# ---- where rotation keeps keys ----


def kept(sim, vault, place="vault:secret/data/llm/sim", **settings):
    keys = [{"name": "a", "secret": "sk-pool-1"}, {"name": "b", "secret": "sk-pool-2"}]
    return {"secrets": secrets(vault, created_by="rotation-service"),
            "providers": {"sim": provider(sim.base_url, keys, rotation=rotation(sim, keep_in=place, **settings))}}


@pytest.mark.parametrize("place, folder", [("vault:secret/data/llm/sim", "secret/data/llm/sim"), ("vault:kv/llm/sim", "kv/llm/sim")])
def test_rotation_keeps_its_keys_in_vault(stage, sim, vault, tmp_path, place, folder):
    """A gateway with an empty disk finds there what there is, and goes on."""
    sim.scenario()
    config = kept(sim, vault, place, canary="off", overlap="1h")
    gateway = Gateway(tmp_path, config, secrets=[ADMIN, VAULT_TOKEN]).settle()
    rotate(gateway, "a")
    row = wait_step(gateway, "active")
    entry = vault.get(f"{folder}/{row['name']}")
    assert entry["api_key"].startswith("sk-issued") and entry["created_by"] == "rotation-service"
    assert entry["key_id"] and entry["created_at"] and entry["expires_at"]
    assert vault.get(f"{folder}/state")
    assert not list(tmp_path.glob("**/bellwether.sealed"))
    gateway.kill()
    for file in tmp_path.glob("**/bellwether*"):
        file.unlink()
    gateway = stage.gateway(config, secrets=[ADMIN, VAULT_TOKEN]).settle()
    wait(lambda: row["name"] in rotations(gateway))
    wait_step(gateway, "retired", name="a")
    assert gateway.key_states()[row["name"]]["step"] == "active"
    facts = issuer(sim)
    assert (facts["issued"], facts["revoked_requests"]) == (1, 0)


def test_rotation_keeps_its_keys_in_a_folder(stage, sim, vault, tmp_path):
    sim.scenario()
    folder = tmp_path / "kept" / "sim"
    folder.parent.mkdir()
    config = kept(sim, vault, f"dir:{folder}", canary="off", overlap="1h")
    gateway = Gateway(tmp_path, config, secrets=[ADMIN, VAULT_TOKEN]).settle()
    rotate(gateway, "a")
    row = wait_step(gateway, "active")
    entry = json.loads((folder / row["name"]).read_text())
    assert entry["api_key"].startswith("sk-issued") and entry["created_by"] == "bellwether"
    assert (folder / "state").stat().st_mode & 0o777 == 0o600
    gateway.kill()
    gateway = stage.gateway(config, secrets=[ADMIN, VAULT_TOKEN]).settle()
    wait_step(gateway, "retired", name="a")
    assert gateway.key_states()[row["name"]]["step"] == "active"


@pytest.mark.parametrize("how", ["sealed", "forbidden", "gone", "slow"])
def test_rotation_while_vault_is_away(stage, sim, vault, how):
    sim.scenario()
    gateway = stage.gateway(kept(sim, vault, canary="off"), secrets=[ADMIN, VAULT_TOKEN]).settle()
    rotate(gateway, "a")
    first = wait_step(gateway, "active")["name"]
    wait_step(gateway, "retired", name="a")  # so that the promotion is written down
    away(vault, how)
    with Load(gateway, 2) as load:
        assert gateway.admin("/v1/admin/keys/sim/b/rotate", method="POST").status in (202, 409)
        gateway.wait_line("key rotation cannot go on", within=40)
        assert gateway.reload()
        time.sleep(0.3)
        assert gateway.key_states()[first]["wish"] == "enabled"
        vault.back()
        until = time.monotonic() + 40
        while len([row for row in rotations(gateway).values() if row["step"] == "active" and row["rotation"]]) < 2:
            assert time.monotonic() < until, json.dumps(rotations(gateway), indent=1) + gateway.output[-3000:]
            gateway.admin("/v1/admin/keys/sim/b/rotate", method="POST")
            time.sleep(0.1)
    assert set(load.statuses) == {200}
    assert issuer(sim)["revoked_requests"] == 0


def test_rotation_while_somebody_else_writes(stage, sim, vault):
    """Check-and-set: a state that has another version than was read is not written over; it is read again, and the rotation goes on."""
    sim.scenario()
    gateway = stage.gateway(kept(sim, vault, canary="off"), secrets=[ADMIN, VAULT_TOKEN]).settle()
    rotate(gateway, "a")
    wait_step(gateway, "retired", name="a")
    vault.behind = 1
    with Load(gateway, 2) as load:
        # The order goes with the state that it was noted in, and is given again.
        wait(lambda: gateway.admin("/v1/admin/keys/sim/b/rotate", method="POST").status == 202 and vault.behind == 0)
        wait(lambda: rotations(gateway).get("b", {}).get("step") == "retired" or not gateway.admin("/v1/admin/keys/sim/b/rotate", method="POST"))
    assert vault.behind == 0 and set(load.statuses) == {200}
    assert issuer(sim)["revoked_requests"] == 0


def test_one_folder_for_both(stage, sim, vault):
    """What rotation keeps where the keys come from is its own, and is not taken twice."""
    sim.scenario()
    vault.put("secret/data/llm/sim/own", api_key="sk-own-1")
    config = kept(sim, vault, canary="off")
    config["providers"]["sim"]["keys_from"] = ["vault:secret/data/llm/sim/*"]
    gateway = stage.gateway(config, secrets=[ADMIN, VAULT_TOKEN]).settle()
    assert names(gateway) == ["a", "b", "own"]
    rotate(gateway, "a")
    row = wait_step(gateway, "active")
    assert gateway.reload()
    assert names(gateway) == sorted(["a", "b", "own", row["name"]])
    assert gateway.key_states()[row["name"]]["step"] == "active"


def test_somebody_puts_the_next_key_into_a_store(stage, sim, vault):
    """The issuer `store`: the next key is put there, and the gateway does all the rest."""
    sim.scenario()
    config = kept(sim, vault, canary="off")
    config["providers"]["sim"]["rotation"]["issuer"] = {"kind": "store", "from": "vault:secret/data/llm/next"}
    gateway = stage.gateway(config, secrets=[VAULT_TOKEN]).settle()
    rotate(gateway, "a")
    vault.put("secret/data/llm/next", api_key="sk-next-1")
    row = wait_step(gateway, "active")
    assert row["replaces"] == "a"
    wait(lambda: sim.generations("sk-next-1") > 0 or ask(gateway) != 200)
    assert vault.get(f"secret/data/llm/sim/{row['name']}")["api_key"] == "sk-next-1"


@pytest.fixture
def double():
    """Never the real server: that one would have to be told of another token."""
    vault = Vault()
    yield vault
    vault.close()


def test_another_token(stage, sim, double):
    """A reload with another token: whoever keeps keys goes on with it, and whoever waits for the next one waits with it."""
    sim.scenario()
    config = kept(sim, double, canary="off")
    config["providers"]["sim"]["rotation"]["issuer"] = {"kind": "store", "from": "vault:secret/data/llm/next"}
    gateway = stage.gateway(config, secrets=[VAULT_TOKEN, "hvs.another"]).settle()
    rotate(gateway, "a")
    wait_step(gateway, "issuing")
    double.tokens = {"hvs.another"}
    config["secrets"]["vault"]["token"] = "hvs.another"
    assert gateway.reload(config)
    double.put("secret/data/llm/next", api_key="sk-next-1")
    row = wait_step(gateway, "active")
    assert row["replaces"] == "a" and row["rotation"] == 1
    assert double.get(f"secret/data/llm/sim/{row['name']}")["api_key"] == "sk-next-1"
    assert gateway.reload(config)
    rotate(gateway, "b")
    double.put("secret/data/llm/next", api_key="sk-next-2")
    wait(lambda: sum(row["step"] == "active" and row["rotation"] > 0 for row in rotations(gateway).values()) == 2)
    assert ask(gateway) == 200


def test_another_place(stage, sim, vault, tmp_path):
    """From a reload on keys are kept elsewhere: what stands there is gone on from, and where nothing does, the file's keys serve."""
    sim.scenario()
    places = [tmp_path / "first", tmp_path / "second", tmp_path / "third"]
    config = kept(sim, vault, f"dir:{places[0]}", canary="off", overlap="1h")
    gateway = stage.gateway(config, secrets=[ADMIN, VAULT_TOKEN]).settle()
    rotate(gateway, "a")
    row = wait_step(gateway, "active")
    wait_step(gateway, "retired", name="a")
    shutil.copytree(places[0], places[1])
    config["providers"]["sim"]["rotation"]["keep_in"] = f"dir:{places[1]}"
    assert gateway.reload(config)
    wait(lambda: gateway.key_states().get(row["name"], {}).get("step") == "active")
    assert gateway.key_states()["a"]["wish"] == "disabled"
    rotate(gateway, "b")
    wait_step(gateway, "retired", name="b")
    wait(lambda: [len(list(place.iterdir())) for place in places[:2]] == [2, 3])
    config["providers"]["sim"]["rotation"]["keep_in"] = f"dir:{places[2]}"
    assert gateway.reload(config)
    wait(lambda: names(gateway) == ["a", "b"])
    assert ask(gateway) == 200 and {key["wish"] for key in gateway.key_states().values()} == {"enabled"}


# ---- sealed secrets ----


def seal(path, *arguments, secret=""):
    return subprocess.run([BINARY, "secrets", "--config", str(path), *arguments], input=secret, capture_output=True, text=True, timeout=20, check=False)


@pytest.fixture
def sealing(sim, tmp_path):
    """A file whose first key is sealed by name; what is wrong elsewhere in it does not keep anybody from sealing."""
    sim.scenario()
    path = tmp_path / "b.yaml"
    config = {"secrets": {"seal_key": f"file:{tmp_path}/seal.key"}, "providers": {"sim": provider(sim.base_url, ["${sealed:openai-1}", "${env:MORE}"])}}
    path.write_text(json.dumps(config))
    return path, config


def test_sealed_by_name(sealing, stage, sim, tmp_path):
    path, config = sealing
    assert "nothing was sealed so far" in run(["check-config", str(path)], env={"MORE": "sk-more-1"}).stderr
    done = seal(path, "seal", "openai-1", secret="sk-sealed-1\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "${sealed:openai-1}\n", "")
    assert seal(path, "seal", "other", secret="line 1\nline 2\n").returncode == 0
    assert seal(path, "list").stdout == "openai-1\nother\n"
    for name in ("seal.key", "bellwether.secrets"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
        assert b"sk-sealed" not in (tmp_path / name).read_bytes()
    done = run(["check-config", str(path)], env={"MORE": "sk-more-1"})
    assert done.returncode == 0 and "sk-sealed" not in done.stdout
    gateway = stage.gateway(config, env={"MORE": "sk-more-1"}, secrets=["sk-sealed-1", "sk-sealed-2"]).settle()
    assert seal(path, "seal", "openai-1", secret="sk-sealed-2").returncode == 0
    gateway.wait_line("configuration reloaded")
    wait(lambda: ask(gateway) == 200 and sim.generations("sk-sealed-2") > 0)
    assert seal(path, "remove", "openai-1").returncode == 0
    assert seal(path, "remove", "openai-1").returncode == 1
    gateway.wait_line("reload refused")
    assert ask(gateway) == 200
    assert "${sealed:openai-1} is not sealed" in run(["check-config", str(path)], env={"MORE": "sk-more-1"}).stderr


def test_sealed_in_the_file(sealing, tmp_path):
    path, config = sealing
    done = seal(path, "seal", secret="sk-sealed-1\n")
    assert done.returncode == 0 and done.stdout.startswith("${sealed:") and "sk-" not in done.stdout
    config["providers"]["sim"]["keys"] = [done.stdout.strip()]
    path.write_text(json.dumps(config))
    assert run(["check-config", str(path)]).returncode == 0
    (tmp_path / "seal.key").unlink()
    done = run(["check-config", str(path)])
    assert done.returncode == 1 and "keys[0]" in done.stderr and "cannot be read" in done.stderr


@pytest.mark.parametrize("arguments, status", [((), 2), (("seal", "a/b"), 2), (("seal", "a b"), 2), (("seal", "a", "b"), 2), (("remove",), 2),
                                               (("list", "a"), 2), (("nothing",), 2), (("seal", "a"), 1)])
def test_sealing_refused(sealing, arguments, status):
    done = seal(sealing[0], *arguments)
    assert done.returncode == status and done.stderr.startswith("bellwether secrets: ")


def test_sealed_under_another_key(sealing, tmp_path):
    path, _ = sealing
    assert seal(path, "seal", "openai-1", secret="sk-sealed-1").returncode == 0
    (tmp_path / "seal.key").unlink()
    assert seal(path, "seal", "openai-1", secret="sk-sealed-2").returncode == 1
    done = run(["check-config", str(path)], env={"MORE": "sk-more-1"})
    assert done.returncode == 1 and "${sealed:openai-1} cannot be read" in done.stderr


# ---- the clouds' stores ----

AWS = {"region": "eu-west-1", "access_key_id": "AKIDOFTHETEST", "secret_access_key": "secret-of-the-key"}


@pytest.mark.parametrize(
    "kind, reference, name, settings",
    [
        ("aws", "aws:llm/openai", "llm/openai", {**AWS, "url": "ADDRESS"}),
        ("google", "google:llm/openai", "llm__openai", {"project": "p-1", "url": "ADDRESS", "token_file": "FILE"}),
        ("azure", "azure:llm/openai", "llm--openai", {"url": "ADDRESS", "token_file": "FILE"}),
        ("kubernetes", "k8s:llm/openai", "bellwether.llm.openai", {"address": "ADDRESS", "namespace": "llm", "token_file": "FILE"}),
    ],
)
def test_in_the_clouds(stage, sim, tmp_path, kind, reference, name, settings):
    """Each is asked as the file says, and followed when it changes."""
    sim.scenario()
    clouds = Clouds()
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    clouds.put(name, json.dumps({"api_key": "sk-cloud-1", "other": "x"}))
    settings = {key: {"ADDRESS": clouds.address, "FILE": str(file)}.get(value, value) for key, value in settings.items()}
    config = {"secrets": {"poll": "200ms", kind: settings}, "providers": {"sim": provider(sim.base_url, [f"${{{reference}#api_key}}"])}}
    try:
        gateway = stage.gateway(config, secrets=[TOKEN, "secret-of-the-key", "sk-cloud-2"]).settle()
        assert ask(gateway) == 200 and sim.generations("sk-cloud-1") == 1
        clouds.put(name, json.dumps({"api_key": "sk-cloud-2"}))
        gateway.wait_line("configuration reloaded")
        assert ask(gateway) == 200 and sim.generations("sk-cloud-2") == 1
        path = tmp_path / "b.yaml"
        path.write_text(json.dumps(config).replace("#api_key", "/none#api_key"))
        done = run(["check-config", str(path)])
        assert done.returncode == 1 and "is not there" in done.stderr, done.stderr
    finally:
        clouds.stop()


def test_somebody_elses_secret(stage, sim, tmp_path):
    """What stands among our keys in the cluster and is none is named and passed over; the keys serve."""
    sim.scenario()
    clouds = Clouds()
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    clouds.put("bellwether.pool.one", json.dumps({"api_key": "sk-cloud-1"}))
    clouds.put("bellwether.pool.tls", None)
    settings = {"address": clouds.address, "namespace": "llm", "token_file": str(file)}
    config = {"secrets": {"poll": "200ms", "kubernetes": settings},
              "providers": {"sim": provider(sim.base_url, [], keys_from=["k8s:pool/*"])}}
    del config["providers"]["sim"]["keys"]
    try:
        gateway = stage.gateway(config, secrets=[TOKEN]).settle()
        assert names(gateway) == ["one"] and ask(gateway) == 200
        assert "the entry 'tls' of this folder is passed over" in gateway.output
        clouds.put("bellwether.pool.tls", json.dumps({"api_key": "sk-cloud-2"}))
        wait(lambda: names(gateway) == ["one", "tls"])
    finally:
        clouds.stop()
