"""Keys whose credential is exchanged for tokens: a token server and a provider on this machine, and the gateway
between them."""

import base64
import json
import ssl
import subprocess
import time
import urllib.parse

import pytest
from harness import upstream as up
from harness.expect import chat, content
from harness.fixtures import provider
from harness.keyed import REVOKED, Keyed

SCOPE = "https://cognitiveservices.azure.com/.default"
FAST = {"retry": {"base_delay": "1ms", "wait": "3s"}}


def wait_for(condition, within=10):
    until = time.monotonic() + within
    while not condition():
        assert time.monotonic() < until, "did not come to pass"
        time.sleep(0.02)


class Issuer:
    """A token server: token-1, token-2 and so on, unless it is told to say something else."""

    def __init__(self, stage, life=3600, **options):
        self.life, self.behave, self.issued = life, None, 0
        self.upstream = stage.upstream(self, **options)
        self.url = self.upstream.base_url.removesuffix("/v1")

    def __call__(self, peer):
        peer.read_request()
        if self.behave:
            return self.behave(peer)
        self.issued += 1
        peer.answer({"access_token": f"token-{self.issued}", "expires_in": self.life, "token_type": "Bearer"})
        return True

    @property
    def asked(self):
        return len(self.upstream.requests)

    @property
    def forms(self):
        return [dict(urllib.parse.parse_qsl(request.body.decode())) for request in self.upstream.requests]


def refused(peer):
    peer.answer({"error": "invalid_client", "error_description": "AADSTS7000222: The client secret has expired."}, 401)


def azure(issuer, **more):
    return {"tenant": "t-1", "client_id": "c-1", "client_secret": "sk-client-secret", "authority": issuer.url, **more}


@pytest.fixture
def house(stage):
    """An issuer, a provider that tells keys apart, and a gateway whose one key, k1, has tokens."""

    class House:
        def __init__(self):
            self.stage = stage
            self.issuer = Issuer(stage)
            self.keys = Keyed()
            self.keys.upstream = stage.upstream(self.keys, answers_probes=False)
            self.gateway = None

        def config(self, *more, credential=None, **settings):
            first = {"name": "k1", **(credential or {"azure_entra": azure(self.issuer)})}
            up_base = self.keys.upstream.base_url
            return {**FAST, "providers": {"up": provider(up_base, [first, *more], **settings)}}

        def open(self, *more, env=None, **settings):
            self.gateway = stage.gateway(self.config(*more, **settings), env=env)
            return self.gateway

        def ask(self):
            return self.gateway.post(chat("hello"))

        def health(self):
            return self.gateway.key_states()["k1"]["health"]

    return House()


def test_the_provider_sees_the_token(house):
    house.open().settle()
    answer = house.ask()
    assert answer.status == 200 and answer.content == content("hello")
    assert answer.get("x-bellwether-key") == "k1"
    assert house.keys.upstream.request.get("authorization") == "Bearer token-1"
    assert house.keys.upstream.request.get("api-key") is None
    assert house.issuer.upstream.request.target == "/t-1/oauth2/v2.0/token"
    assert house.issuer.forms == [
        {
            "grant_type": "client_credentials",
            "client_id": "c-1",
            "client_secret": "sk-client-secret",
            "scope": SCOPE,
        }
    ]
    assert house.keys.probed("token-1") == 1
    assert house.gateway.metrics().get("bellwether_token_renewals_total", provider="up", result="obtained") == 1
    assert "token-1" not in house.gateway.output + house.gateway.pages()


def test_renewed_before_its_end(house):
    house.issuer.life = 3
    house.open().settle()
    seen = set()
    until = time.monotonic() + 6
    while time.monotonic() < until:
        assert house.ask().status == 200
        seen.add(house.keys.upstream.requests[-1].key)
        time.sleep(0.05)
    assert len(seen) >= 3
    assert house.issuer.asked < 8


def test_an_issuer_that_fails_leaves_the_last_token(house):
    house.issuer.life = 4
    house.open().settle()
    house.issuer.behave = refused
    wait_for(lambda: house.issuer.asked >= 2)
    assert house.ask().status == 200
    house.gateway.wait_line("token of a key cannot be obtained.*invalid_client: AADSTS7000222: The client secret")
    # Its time is up: the key is as good as invalid, and says so.
    wait_for(lambda: house.health() == "invalid")
    answer = house.ask()
    assert answer.status == 502 and answer.json["error"]["code"] == "upstream_auth"
    assert len([line for line in house.gateway.lines if "cannot be obtained" in line]) == 1
    # And it comes back by itself.
    house.issuer.behave = None
    wait_for(lambda: house.ask().status == 200, 15)
    assert house.gateway.metrics().get("bellwether_token_renewals_total", provider="up", result="failed") >= 1


def test_ready_though_the_issuer_is_down(house):
    house.issuer.behave = lambda peer: peer.close()
    house.open({"name": "k2", "secret": "sk-pool-2"}).settle()
    answer = house.ask()
    assert answer.status == 200 and answer.get("x-bellwether-key") == "k2"
    assert house.health() == "invalid"


def test_a_request_waits_for_the_first_token(house):
    def slowly(peer):
        time.sleep(1)
        house.issuer.behave = None
        return house.issuer(peer)

    house.issuer.behave = slowly
    house.open()
    assert house.gateway.get("/ready").status == 503
    assert house.ask().status == 200


def test_a_refused_token_is_replaced(house):
    house.open({"name": "k2", "secret": "sk-pool-2", "priority": 1}).settle()
    assert house.ask().get("x-bellwether-key") == "k1"
    house.keys.behave["token-1"] = REVOKED
    answer = house.ask()
    assert answer.status == 200 and answer.get("x-bellwether-key") == "k2"
    wait_for(lambda: house.ask().get("x-bellwether-key") == "k1")
    assert house.keys.upstream.requests[-1].key == "token-2"
    # The next one is refused as well: then it is the key.
    house.keys.behave["token-2"] = house.keys.behave["token-3"] = REVOKED
    house.keys.probe.update({"token-2": 401, "token-3": 401})
    wait_for(lambda: [house.ask(), house.health()][1] == "invalid")
    assert house.issuer.issued == 3


def test_a_request_waits_for_the_token_that_replaces_a_refused_one(house):
    house.open().settle()
    assert house.ask().status == 200
    house.keys.behave["token-1"] = REVOKED
    answer = house.ask()
    assert answer.status == 200 and answer.get("x-bellwether-attempts") == "2"
    assert [request.key for request in house.keys.upstream.requests] == ["token-1", "token-1", "token-2"]
    assert house.health() == "healthy"


def test_a_reload_keeps_the_token(house):
    gateway = house.open().settle()
    assert gateway.reload(house.config(selection="round_robin"))
    assert house.ask().status == 200
    assert house.issuer.asked == 1
    # Another credential is another key.
    assert gateway.reload(house.config(credential={"azure_entra": azure(house.issuer, client_id="c-2")}))
    wait_for(lambda: house.ask().status == 200 and house.keys.upstream.requests[-1].key == "token-2")
    assert house.issuer.forms[-1]["client_id"] == "c-2"
    # And without it nobody asks.
    assert gateway.reload(house.config(credential={"secret": "sk-plain-1"}))
    assert house.ask().status == 200
    assert house.issuer.asked == 2


def test_a_federated_token_is_read_anew(house, tmp_path):
    file = tmp_path / "assertion"
    file.write_text("ey.one.x\n")
    house.issuer.life = 2
    credential = azure(house.issuer, token_file=str(file))
    del credential["client_secret"]
    house.open(credential={"azure_entra": credential}).settle()
    assert house.issuer.forms[0]["client_assertion"] == "ey.one.x"
    file.write_text("ey.two.x\n")
    wait_for(lambda: house.issuer.forms[-1]["client_assertion"] == "ey.two.x")


def test_anthropics_federation(house, tmp_path):
    file = tmp_path / "assertion"
    file.write_text("ey.one.x\n")
    house.open(
        credential={
            "anthropic_federation": {
                "token_file": str(file),
                "rule": "fdrl_1",
                "organization": "org-1",
                "url": house.issuer.url,
            }
        }
    ).settle()
    assert house.ask().status == 200
    asked, got = house.issuer.upstream.request, house.keys.upstream.request
    assert asked.target == "/v1/oauth/token"
    assert asked.get("anthropic-beta") == "oauth-2025-04-20,oidc-federation-2026-04-01"
    assert asked.json == {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": "ey.one.x",
        "federation_rule_id": "fdrl_1",
        "organization_id": "org-1",
    }
    assert got.get("authorization") == "Bearer token-1"
    assert got.get("anthropic-beta") == "oauth-2025-04-20"


def test_each_kind_sends_the_token_and_not_its_own_header(house, tmp_path):
    """Whatever field its keys have; and what a client says in anthropic-beta goes along."""
    (tmp_path / "assertion").write_text("ey.one.x")
    federation = {
        "token_file": str(tmp_path / "assertion"),
        "rule": "fdrl_1",
        "organization": "org-1",
        "url": house.issuer.url,
    }

    def answer(peer):
        peer.read_request()
        peer.answer({"type": "error", "error": {"type": "invalid_request_error", "message": "No."}}, 400)

    house.keys.behave["token-1"] = answer
    config = house.config(credential={"anthropic_federation": federation})
    config["providers"]["up"].update(kind="anthropic", base_url=house.keys.upstream.base_url.removesuffix("/v1"))
    house.gateway = house.stage.gateway(config).settle()
    body = {"model": "claude", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}
    house.gateway.post(body, "/v1/messages", {"anthropic-version": "2023-06-01", "anthropic-beta": "files-2025"})
    fields = [(name.lower(), value) for name, value in house.keys.upstream.request.fields]
    assert ("authorization", "Bearer token-1") in fields
    assert not {"x-api-key", "api-key"} & {name for name, _ in fields}
    betas = {value for name, value in fields if name == "anthropic-beta"}
    assert betas == {"files-2025", "oauth-2025-04-20"}


def test_googles_service_account(house, tmp_path):
    key = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, text=True, check=True).stdout
    account = {
        "type": "service_account",
        "private_key_id": "k-1",
        "private_key": key,
        "client_email": "gw@p.iam.gserviceaccount.com",
        "token_uri": f"{house.issuer.url}/token",
    }
    (tmp_path / "sa.json").write_text(json.dumps(account, indent=2))
    house.open(credential={"google_service_account": f"${{file:{tmp_path}/sa.json}}"}).settle()
    assert house.ask().status == 200
    assert house.keys.upstream.request.get("authorization") == "Bearer token-1"
    assert house.issuer.upstream.request.target == "/token"
    form = house.issuer.forms[0]
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    header, claims, _ = (base64.urlsafe_b64decode(part + "==") for part in form["assertion"].split("."))
    assert json.loads(header) == {"alg": "RS256", "typ": "JWT", "kid": "k-1"}
    assert json.loads(claims)["aud"] == account["token_uri"]
    assert abs(json.loads(claims)["iat"] - time.time()) < 60
    assert key.splitlines()[1] not in house.gateway.output


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (lambda peer: peer.answer({"access_token": "x\r\nX-Evil: 1"}), "none that a header could carry"),
        (lambda peer: peer.answer(b"x" * 100_000), "the answer is too large"),
        (lambda peer: peer.answer(b"", 302, {"Location": "http://127.0.0.1:1/"}), "HTTP 302"),
        (lambda peer: peer.answer(b"<html>"), "no JSON object"),
        (lambda peer: peer.answer({"error": "x", "error_description": f"sent {peer.request.body.decode()}"}, 400),
         "words that hold our own secret"),
        (lambda peer: peer.reset(), "reset|failure|error"),
    ],
    ids=["line break", "too large", "redirect", "no JSON", "echo", "reset"],
)
def test_hostile_issuers(house, behave, reason):
    house.issuer.behave = behave
    house.open()
    house.gateway.wait_line(f"token of a key cannot be obtained.*({reason})")
    wait_for(lambda: house.health() == "invalid")
    assert house.ask().status == 502
    assert house.issuer.asked >= 1


def test_tls_is_verified(house, stage, tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, capture_output=True, check=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    house.issuer = Issuer(stage, tls=context)
    house.open()
    house.gateway.wait_line("token of a key cannot be obtained.*certificate")
    assert house.issuer.asked == 0
    house.gateway.stop()
    house.open(env={"SSL_CERT_FILE": str(tmp_path / "cert.pem")}).settle()
    assert house.ask().status == 200
    assert house.issuer.asked == 1


def test_no_proxy_is_asked(house):
    nobody = "http://127.0.0.1:1"
    house.open(env={"http_proxy": nobody, "HTTP_PROXY": nobody, "ALL_PROXY": nobody}).settle()
    assert house.ask().status == 200
