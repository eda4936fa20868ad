"""The file: every complaint at once with line and column, what is in force with secrets masked, the environment, and
the start that fails with words."""

import contextlib
import json
import re
import socket

import pytest
from harness.expect import chat, content
from harness.processes import run

GOOD = """\
admin: {token: sk-secret-admin}
clients:
  keys:
    - {name: web, secret: sk-secret-web, limits: {rpm: 60}}
providers:
  up:
    kind: compatible
    base_url: http://127.0.0.1:1/v1
    headers: {X-Own: "${env:HEADER}", X-Team: search}
    keys:
      - sk-secret-1
      - {name: second, secret: "${env:SECOND}", priority: 1}
      - {name: third, secret: "${file:third.key}", weight: 0}
    keys_from: ["${env:MORE}", "dir:keys"]
models:
  m: up/x
"""
SECRETS = [
    "sk-secret-admin",
    "sk-secret-web",
    "sk-secret-header",
    "sk-secret-1",
    "sk-secret-2",
    "sk-secret-3",
    "sk-secret-4",
    "sk-secret-5",
    "sk-secret-6",
]
ENVIRONMENT = {"SECOND": "sk-secret-2", "MORE": "sk-secret-4,sk-secret-5", "HEADER": "sk-secret-header"}


@pytest.fixture
def file(tmp_path):
    def write(text):
        (tmp_path / "third.key").write_text("sk-secret-3\n")
        (tmp_path / "keys").mkdir(exist_ok=True)
        (tmp_path / "keys/one").write_text("sk-secret-6")
        path = tmp_path / "bellwether.yaml"
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        return str(path)

    return write


def complaints(path, env=None):
    """(line, column, text) of each complaint of check-config; serve must say the same."""
    done = run(["check-config", path], env)
    assert (done.returncode, done.stdout) == (1, "")
    assert run(["serve", "--config", path], env).stderr == done.stderr
    found = []
    for line in done.stderr.splitlines():
        match = re.fullmatch(re.escape(path) + r":(\d+):(\d+): (.*)", line)
        assert match, f"a complaint without place: {line}"
        found.append((int(match[1]), int(match[2]), match[3]))
    return found


# -- what is good ----------------------------------------------------------------------------------


def test_what_is_in_force(file):
    """With all defaults, without any secret, and readable as a configuration of its own."""
    done = run(["check-config", file(GOOD)], ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    for secret in SECRETS:
        assert secret not in done.stdout + done.stderr
    for line in (
        "    base_url: http://127.0.0.1:1/v1",
        "  attempts: 3",
        "  max_body: 32MiB",
        "      - name: second",
        "  - name: web",
    ):
        assert line in done.stdout
    assert done.stdout.count('secret: "***"') == 7, "six of the provider, one of the client"
    names = re.findall(r"- name: (up-\d+)", done.stdout)
    assert names == ["up-1", "up-2", "up-3"]


def test_an_unusual_look_is_a_warning(file):
    done = run(["check-config", file({"providers": {"openai": {"keys": ["abc-1234"]}}})])
    assert done.returncode == 0
    assert "warning" in done.stderr and "sk-" in done.stderr
    assert "abc-1234" not in done.stdout + done.stderr


def test_a_relative_path_is_relative_to_the_file(file, tmp_path):
    done = run(["check-config", file(GOOD)], {**ENVIRONMENT, "PWD": "/"})
    shown = [line for line in done.stdout.splitlines() if "seal_key:" not in line and "store:" not in line]  # which stand beside the file
    assert done.returncode == 0 and str(tmp_path) not in "\n".join(shown)
    assert f"seal_key: file:{tmp_path}/bellwether.key" in done.stdout
    assert f"store: sqlite:{tmp_path}/bellwether.db" in done.stdout


def test_the_least_file(file):
    assert run(["check-config", file("providers: {openai: {keys: [sk-secret-1]}}")]).returncode == 0


# -- complaints ------------------------------------------------------------------------------------


def test_all_complaints_at_once(file):
    path = file("""\
server:
  listn: 127.0.0.1:8080
  workers: many
  timeouts: {header: 10}
  max_body: 5 apples
providers:
  up:
    kind: compatible
    base_url: http://127.0.0.1:1/v1
    keys: [sk-secret-1, sk-secret-1, "${env:NO_SUCH}", "${file:/no/such}"]
    rotation_strategy: round_robin
    health: {max_failures: -1, cooldown: 5parsecs}
    breaker: {ratio: 150%}
    selection: fastest
models:
  a: nowhere/x
retry: {on: [sunshine]}
""")
    found = complaints(path)
    wanted = [
        (2, 3, "listen"),
        (3, 12, "workers"),
        (4, 22, "duration"),
        (5, 13, "size"),
        (10, 25, "secret"),
        (10, 38, "NO_SUCH"),
        (10, 56, "/no/such"),
        (11, 5, "selection"),
        (12, 28, "max_failures"),
        (12, 42, "cooldown"),
        (13, 22, "ratio"),
        (14, 16, "round_robin"),
        (16, 6, "nowhere"),
        (17, 14, "sunshine"),
    ]
    for line, column, word in wanted:
        assert any((line, column) == complaint[:2] and word in complaint[2] for complaint in found), (
            line,
            column,
            word,
            found,
        )
    assert len(found) == len(wanted)
    assert all(";" in text for _, _, text in found), "each says what is allowed"


SINGLE = {
    "an unknown key": ("provider: {}\nproviders: {openai: {keys: [sk-1234567]}}", 1, 1, "providers"),
    "no YAML": ("providers: [", None, None, ""),
    "a tab": ("providers:\n\tup: {}", 2, None, ""),
    "a list where a map belongs": ("retry: []\nproviders: {openai: {keys: [sk-1234567]}}", 1, 8, "map"),
    "a map where a word belongs": ("providers: {openai: {keys: [sk-1234567], selection: {}}}", 1, 53, "selection"),
    "a duplicate name": (
        "providers:\n  a: {kind: openai, keys: [sk-1234567]}\n  a: {kind: openai, keys: [sk-7654321]}",
        3,
        3,
        "line 2",
    ),
    "a duplicate client": (
        "clients: {keys: [{name: a, secret: sk-abcdefg}, {name: a, secret: sk-gfedcba}]}\n"
        "providers: {openai: {keys: [sk-1234567]}}",
        1,
        None,
        "'a'",
    ),
    "a client's secret twice": (
        "clients: {keys: [{name: a, secret: sk-abcdefg}, {name: b, secret: sk-abcdefg}]}\n"
        "providers: {openai: {keys: [sk-1234567]}}",
        1,
        None,
        "secret",
    ),
    "a missing secret": ("clients: {keys: [{name: a}]}\nproviders: {openai: {keys: [sk-1234567]}}", 1, None, "secret"),
    "an empty secret": ('providers: {openai: {keys: [""]}}', 1, 29, "empty"),
    "an unset variable": ('providers: {openai: {keys: ["${env:NOT_SET}"]}}', 1, 29, "NOT_SET"),
    "a file that is not there": ('providers: {openai: {keys: ["${file:/no/such}"]}}', 1, 29, "/no/such"),
    "a folder that is not there": ('providers: {openai: {keys_from: ["dir:/no/such"]}}', 1, None, "not found"),
    "a reference that is not closed": ('providers: {openai: {keys: ["${env:X"]}}', 1, 29, ""),
    "a reference of an unknown kind": ('providers: {openai: {keys: ["${moon:X}"]}}', 1, 29, "moon"),
    "no URL": ("providers: {up: {kind: compatible, base_url: example.com, keys: [x-1234567]}}", 1, 46, "http"),
    "no base_url": ("providers: {up: {kind: compatible, keys: [x-1234567]}}", 1, None, "base_url"),
    "an unknown kind": ("providers: {up: {kind: abacus, keys: [x-1234567]}}", 1, 24, "compatible"),
    "no address": ("server: {listen: here}\nproviders: {openai: {keys: [sk-1234567]}}", 1, 18, "host:port"),
    "a port too high": ("server: {listen: '127.0.0.1:70000'}\nproviders: {openai: {keys: [sk-1234567]}}", 1, 18, ""),
    "an address for everybody without clients": (
        "server: {listen: '0.0.0.0:0'}\nproviders: {openai: {keys: [sk-1234567]}}",
        None,
        None,
        "open",
    ),
    "an admin address for everybody without a token": (
        "admin: {listen: '0.0.0.0:0'}\nproviders: {openai: {keys: [sk-1234567]}}",
        None,
        None,
        "token",
    ),
    "a certificate without its key": (
        "server: {tls: {certificate: third.key}}\nproviders: {openai: {keys: [sk-1234567]}}",
        1,
        None,
        "private_key",
    ),
    "what is not built yet": ("store: postgres://db/x\nproviders: {openai: {keys: [sk-1234567]}}", 1, 8, "not built yet"),
    "no providers": ("server: {}", None, None, "providers"),
    "an empty file": ("", None, None, "providers"),
    "a word of another tool": ("providers: {openai: {keys: [sk-1234567], cooldown_seconds: 5}}", 1, 42, "health"),
    "a boolean that is none": ("providers: {openai: {keys: [sk-1234567], tls: {verify: maybe}}}", 1, 56, "true"),
    "a date that is none": ("providers: {openai: {keys: [{secret: sk-1234567, expires: soon}]}}", 1, None, "expires"),
    "hexadecimal digits that are none": (
        "clients: {keys: [{name: a, sha256: xyz}]}\nproviders: {openai: {keys: [sk-1234567]}}",
        1,
        None,
        "64",
    ),
}


@pytest.mark.parametrize(("text", "line", "column", "word"), SINGLE.values(), ids=SINGLE.keys())
def test_complaint(file, text, line, column, word):
    found = complaints(file(text))
    assert len(found) == 1, found
    assert line is None or found[0][0] == line
    assert column is None or found[0][1] == column
    assert word in found[0][2]
    assert not re.search(r"sk-1234567|sk-abcdefg|x-1234567", str(found)), "a secret in a complaint"


def test_a_file_that_cannot_be_read(tmp_path):
    for path in (str(tmp_path / "absent.yaml"), str(tmp_path)):
        for command in (["check-config", path], ["serve", "--config", path]):
            done = run(command)
            assert done.returncode == 1 and path in done.stderr


def test_a_binary_file(file, tmp_path):
    path = tmp_path / "noise.yaml"
    path.write_bytes(bytes(range(256)) * 10)
    assert run(["check-config", str(path)]).returncode == 1


# -- the start -------------------------------------------------------------------------------------


def test_a_port_in_use(file):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for section in ("server", "admin"):
            other = "admin" if section == "server" else "server"
            done = run(
                [
                    "serve",
                    "--config",
                    file(
                        {
                            section: {"listen": f"127.0.0.1:{port}"},
                            other: {"listen": "127.0.0.1:0"},
                            "providers": {"openai": {"keys": ["sk-secret-1"]}},
                        }
                    ),
                ]
            )
            assert done.returncode == 1
            assert f"127.0.0.1:{port}" in done.stderr and "use" in done.stderr


def test_a_port_of_another_gateway(stage, sim, file):
    """SO_REUSEPORT must not let two gateways share a port unawares."""
    gateway = stage.gateway(
        {"providers": {"sim": {"kind": "compatible", "base_url": sim.base_url, "keys": ["sk-secret-1"]}}}
    )
    host, port = gateway.address
    done = run(
        [
            "serve",
            "--config",
            file(
                {
                    "server": {"listen": f"{host}:{port}"},
                    "admin": {"listen": "127.0.0.1:0"},
                    "providers": {"openai": {"keys": ["sk-secret-1"]}},
                }
            ),
        ]
    )
    assert done.returncode == 1 and f"{host}:{port}" in done.stderr


def test_unusable_certificate(file, tmp_path):
    (tmp_path / "c.pem").write_text("no certificate")
    done = run(
        [
            "serve",
            "--config",
            file(
                {
                    "server": {"listen": "127.0.0.1:0", "tls": {"certificate": "c.pem", "private_key": "c.pem"}},
                    "admin": {"listen": "127.0.0.1:0"},
                    "providers": {"openai": {"keys": ["sk-secret-1"]}},
                }
            ),
        ]
    )
    assert done.returncode == 1 and "c.pem" in done.stderr


# -- the environment -------------------------------------------------------------------------------


def test_no_configuration_at_all():
    done = run(["serve"], {"CONFIG_PATH": ""})
    assert done.returncode == 1
    assert "OPENAI_API_KEY" in done.stderr


def test_the_file_that_config_path_names(file):
    done = run(["serve"], {"CONFIG_PATH": file("nonsense: 1")})
    assert done.returncode == 1 and "nonsense" in done.stderr


@pytest.mark.parametrize(
    "variable",
    [
        "OPENAI_API_KEY",
        "OPENAI_API_KEYS",
        "OPENAI_KEYS",
        "DEEPSEEK_API_KEY",
        "DEEPSEEK_API_KEYS",
        "DEEPSEEK_KEYS",
        "OPENROUTER_API_KEY",
        "OPENROUTER_API_KEYS",
    ],
)
def test_providers_of_the_environment(variable):
    """One of them is a whole configuration. Its address is taken here, so that no real provider is asked."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # then another process has it
            taken.bind(("127.0.0.1", 8080))
            taken.listen()
        done = run(["serve"], {"CONFIG_PATH": "", variable: "sk-secret-1,sk-secret-2"})
    assert done.returncode == 1
    assert "127.0.0.1:8080" in done.stderr and "use" in done.stderr
    assert "sk-secret" not in done.stderr


# -- references ------------------------------------------------------------------------------------


def test_keys_by_reference_are_used(stage, sim, tmp_path):
    (tmp_path / "third.key").write_text("sk-secret-3\n")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/one").write_text("sk-secret-6")
    gateway = stage.gateway(
        {
            "server": {"workers": 1},
            "providers": {
                "sim": {
                    "kind": "compatible",
                    "base_url": sim.base_url,
                    "selection": "round_robin",
                    "keys": ["sk-secret-1", "${env:SECOND}", "${file:third.key}", "sk-${env:PART}-x"],
                    "keys_from": ["${env:MORE}", "dir:keys"],
                }
            },
        },
        env={**ENVIRONMENT, "PART": "secret"},
        secrets=[*SECRETS, "sk-secret-x"],
    ).settle()
    for _ in range(14):
        assert gateway.post(chat("hello")).content == content("hello")
    asked = {key: facts["generations"]["answered"] for key, facts in sim.stats()["keys"].items()}
    assert asked == {
        key: 2
        for key in (
            "sk-secret-1",
            "sk-secret-2",
            "sk-secret-3",
            "sk-secret-x",
            "sk-secret-4",
            "sk-secret-5",
            "sk-secret-6",
        )
    }


# -- other commands --------------------------------------------------------------------------------


def test_help_and_version():
    assert re.fullmatch(r"bellwether \d+\.\d+\.\d+\n", run(["--version"]).stdout)
    for arguments in (["help"], ["help", "serve"], ["help", "sim"]):
        done = run(arguments)
        assert done.returncode == 0 and "bellwether" in done.stdout
    done = run(["nonsense"])
    assert done.returncode == 2 and "nonsense" in done.stderr


def test_healthcheck(stage, pool):
    gateway = pool(1)
    address = f"{gateway.address[0]}:{gateway.address[1]}"
    assert run(["healthcheck", "--address", address]).returncode == 0
    gateway.stop()
    assert run(["healthcheck", "--address", address]).returncode == 1


def test_demo():
    done = run(["demo", "--once"])
    assert done.returncode == 0
    assert "plain" in done.stdout and "streamed" in done.stdout
    assert "Try:" not in done.stdout  # it is gone
    steps = re.findall(r"s  (\S+) +(issued|canary|active|draining|retired|revoked)", done.stdout)
    first, second = dict.fromkeys(name for name, _ in steps if name != "sim-1")
    assert [step for name, step in steps if name == "sim-1"] == ["draining", "retired"]
    ramp = ["canary"] * 4
    # A leaked key is revoked once nothing runs on it any more, which may take a moment.
    way = [step for name, step in steps if name == first and step not in ("draining", "retired")]
    assert way == ["issued", *ramp, "active", "revoked"]
    assert [step for name, step in steps if name == second] == ["issued", *ramp, "active"]
    assert " 0 of them failed; requests that showed the provider a revoked key: 0" in done.stdout


def test_demo_of_strategies():
    """Each selection in turn; what the provider refused is what tells them apart."""
    done = run(["demo", "--strategies", "--once"], within=90)
    assert done.returncode == 0, done.stdout + done.stderr
    halves = done.stdout[done.stdout.index("all keys well"):].split("a key slow")
    refused = {}
    for half in halves:
        rows = re.findall(r"^(\w+) +(\d+) +(\d+) +(\d+) +(\d+) ", half, re.MULTILINE)
        assert [row[0] for row in rows] == ["round_robin", "weighted", "least_used", "headroom"]
        for name, answered, to_clients, failed, by_provider in rows:
            assert int(answered) > 50 and int(to_clients) == int(failed) == 0
            refused[name] = refused.get(name, 0) + int(by_provider)
    assert refused["headroom"] * 4 < refused["round_robin"]
