"""The double of Vault answers as a real OpenBao: the same questions, one after another, to whichever of them runs."""

import pytest
from harness.vault import DENIED, UNSUPPORTED

A = {"data": {"a": "1"}}


def cas(version):
    return {"options": {"cas": version}, **A}


PREFLIGHT = "preflight capability check returned 403, please ensure client's policies grant access to path \"nowhere/\""
MISMATCH = "check-and-set parameter did not match the current version"
SLASH = "cannot write to a path ending in '/'"
UNFIT = "error converting input for field \"data\": '' expected type 'map[string]interface {}', got unconvertible type 'string'"


class At:
    """What is found there in an answer."""

    def __init__(self, *names, is_):
        self.names, self.value = names, is_

    def holds(self, answer):
        for name in self.names:
            answer = answer[name]
        return answer == self.value


# Method, path, what is sent; status, and for a refusal its words, for an answer what is found where.
PLAYS = {
    "version 2": [
        ("GET", "secret/data/none", None, 404, []),
        ("GET", "secret/data/", None, 404, []),
        ("POST", "secret/data/x", {}, 400, ["no data provided"]),
        ("POST", "secret/data/x", {"data": "text"}, 400, [UNFIT]),
        ("POST", "secret/data/", A, 400, [SLASH]),
        ("PUT", "secret/data/a/x", A, 200, At("data", "version", is_=1)),
        ("GET", "secret/data/a/x", None, 200, At("data", "data", is_={"a": "1"})),
        ("POST", "secret/data/a/x", cas(0), 400, [MISMATCH]),
        ("POST", "secret/data/a/x", cas(2), 400, [MISMATCH]),
        ("POST", "secret/data/a/new", cas(1), 400, [MISMATCH]),
        ("POST", "secret/data/a/x", cas(1), 200, At("data", "version", is_=2)),
        ("GET", "secret/data/a/x?version=1", None, 200, At("data", "metadata", "version", is_=1)),
        ("GET", "secret/data/a/x?version=9", None, 404, []),
        ("GET", "secret/metadata/a/x", None, 200, At("data", "current_version", is_=2)),
        ("GET", "secret/metadata/none", None, 404, []),
        ("GET", "secret/other/x", None, 404, At("data", is_=None)),
        ("POST", "secret/llm", {"a": "1"}, 404, At("data", is_=None)),
    ],
    "deleted": [
        ("DELETE", "secret/data/none", None, 204, None),
        ("DELETE", "secret/metadata/none", None, 204, None),
        ("POST", "secret/data/a/x", A, 200, At("data", "version", is_=1)),
        ("DELETE", "secret/data/a/x", None, 204, None),
        ("GET", "secret/data/a/x", None, 404, At("data", "data", is_=None)),
        ("GET", "secret/data/a/x", None, 404, At("data", "metadata", "version", is_=1)),
        ("POST", "secret/data/a/x", cas(0), 400, [MISMATCH]),
        ("POST", "secret/data/a/x", cas(1), 200, At("data", "version", is_=2)),
        ("DELETE", "secret/metadata/a/x", None, 204, None),
        ("GET", "secret/data/a/x", None, 404, []),
        ("POST", "secret/data/a/x", cas(0), 200, At("data", "version", is_=1)),
    ],
    "lists": [
        ("GET", "secret/metadata/?list=true", None, 404, []),
        ("POST", "secret/data/a/x", A, 200, At("data", "version", is_=1)),
        ("POST", "secret/data/a/b/c", A, 200, At("data", "version", is_=1)),
        ("GET", "secret/metadata/a/?list=true", None, 200, At("data", "keys", is_=["b/", "x"])),
        ("LIST", "secret/metadata/a", None, 200, At("data", "keys", is_=["b/", "x"])),
        ("GET", "secret/metadata/?list=true", None, 200, At("data", "keys", is_=["a/"])),
        ("GET", "secret/metadata/a/x?list=true", None, 404, []),
        ("GET", "secret/data/a?list=true", None, 405, [UNSUPPORTED]),
        ("DELETE", "secret/data/a/x", None, 204, None),
        ("LIST", "secret/metadata/a", None, 200, At("data", "keys", is_=["b/", "x"])),
    ],
    "version 1": [
        ("GET", "kv/none", None, 404, []),
        ("DELETE", "kv/none", None, 204, None),
        ("POST", "kv/a/x", {}, 400, ["missing data fields"]),
        ("POST", "kv/a/x", {"b": "2", "a": "1"}, 204, None),
        ("GET", "kv/a/x", None, 200, At("data", is_={"a": "1", "b": "2"})),
        ("GET", "kv/a?list=true", None, 200, At("data", "keys", is_=["x"])),
        ("GET", "kv/none?list=true", None, 404, []),
        ("DELETE", "kv/a/x", None, 204, None),
        ("GET", "kv/a/x", None, 404, []),
    ],
    "mounts and tokens": [
        ("GET", "sys/internal/ui/mounts/secret", None, 200, At("data", "options", "version", is_="2")),
        ("GET", "sys/internal/ui/mounts/kv", None, 200, At("data", "options", "version", is_="1")),
        ("GET", "sys/internal/ui/mounts/kv", None, 200, At("data", "type", is_="kv")),
        ("GET", "sys/internal/ui/mounts/nowhere", None, 403, [PREFLIGHT]),
        ("GET", "nowhere/data/x", None, 403, [DENIED]),
        ("GET", "secret", None, 403, [DENIED]),
        ("GET", "auth/token/lookup-self", None, 200, At("data", "renewable", is_=True)),
        ("POST", "auth/token/renew-self", None, 200, At("auth", "renewable", is_=True)),
        ("GET", "auth/token/renew-self", None, 403, [DENIED]),
        ("POST", "auth/approle/login", {"role_id": "a", "secret_id": "b"}, 403, [DENIED]),
    ],
}


@pytest.mark.parametrize("play", PLAYS)
def test_as_the_real_one(vault, play):
    for method, path, sent, status, expected in PLAYS[play]:
        said, answer = vault.ask(method, path, sent)
        is_so = expected.holds(answer) if isinstance(expected, At) else answer == (expected if expected is None else {"errors": expected})
        assert said == status and is_so, (method, path, said, answer)


@pytest.mark.parametrize("token", ["of-nobody", ""])
@pytest.mark.parametrize("path", ["secret/data/x", "kv/x", "auth/token/lookup-self", "sys/internal/ui/mounts/secret", "nowhere/x"])
def test_without_a_token(vault, token, path):
    assert vault.ask("GET", path, token=token) == (403, {"errors": ["permission denied"]})


def test_away_and_back(vault):
    vault.put("secret/data/a", a="1")
    vault.away("sealed")
    assert vault.ask("GET", "secret/data/a") == (503, {"errors": ["Vault is sealed"]})
    vault.back()
    vault.away("forbidden")
    assert vault.ask("GET", "secret/data/a") == (403, {"errors": [DENIED]})
    vault.back()
    assert vault.ask("GET", "secret/data/a")[1]["data"]["data"] == vault.get("secret/data/a") == {"a": "1"}


@pytest.mark.parametrize("by, good, bad, status, words", [
    ("approle", {"role_id": "r", "secret_id": "s"}, {"role_id": "r", "secret_id": "t"}, 400, "invalid role or secret ID"),
    ("approle", {"role_id": "r", "secret_id": "s"}, {"role_id": "q", "secret_id": "s"}, 400, "invalid role or secret ID"),
    ("kubernetes", {"role": "r", "jwt": "JWT"}, {"role": "q", "jwt": "JWT"}, 400, 'invalid role name "q"'),
])
def test_logins(vault, by, good, bad, status, words):
    vault.let_log_in(by, **good)
    assert vault.ask("POST", f"auth/{by}/login", bad, token="") == (status, {"errors": [words]})
