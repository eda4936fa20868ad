"""TLS on both sides: the listener's own certificate; an endpoint verified by default, against a CA of one's own, and
with a certificate of ours where it asks for one."""

import contextlib
import socket
import ssl
import time

import openai
import pytest
import trustme
from harness.expect import chat, content
from harness.fixtures import provider
from harness.upstream import Gone
from harness.wire import Wire, post

GOOD = post(chat("hello"))


@pytest.fixture(scope="module")
def ca():
    return trustme.CA()


@pytest.fixture
def certificate(ca, tmp_path):
    """Files of a certificate for these names: (certificate, private key)."""

    def make(*names):
        made = ca.issue_cert(*names)
        stem = tmp_path / names[0].replace("*", "any").replace(":", "_")
        chain, key = stem.with_suffix(".pem"), stem.with_suffix(".key")
        chain.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        key.write_bytes(made.private_key_pem.bytes())
        return str(chain), str(key)

    return make


@pytest.fixture
def ca_file(ca, tmp_path):
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return str(path)


def server_context(certificate, ca_file=None, **settings):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    if ca_file:
        context.load_verify_locations(ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    for name, value in settings.items():
        setattr(context, name, value)
    return context


# -- the listener ----------------------------------------------------------------------------------


@pytest.fixture
def listening(stage, sim, certificate):
    chain, key = certificate("gateway.test", "127.0.0.1")
    return stage.gateway(
        {
            "server": {"tls": {"certificate": chain, "private_key": key}, "timeouts": {"header": "400ms"}},
            "providers": {"sim": provider(sim.base_url, ["sk-tls-1"])},
        }
    )


@pytest.fixture
def client_context(ca):
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_listener(listening, client_context, version):
    client_context.minimum_version = client_context.maximum_version = version
    client_context.set_alpn_protocols(["h2", "http/1.1"])
    with listening.connect(tls=client_context, server_hostname="gateway.test") as connection:
        assert connection.socket.selected_alpn_protocol() == "http/1.1"
        for stream in (False, True, False):
            assert connection.ask(post(chat("hello", stream=stream))).content == content("hello")


def test_listener_with_the_sdk(listening, ca_file, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    with openai.OpenAI(base_url=listening.base_url.replace("http:", "https:"), api_key="any", max_retries=0) as client:
        answer = client.chat.completions.create(model="gpt-4.1", messages=chat("hello")["messages"])
    assert answer.choices[0].message.content == content("hello")


def test_a_renewed_certificate_is_taken_at_a_reload(stage, sim, ca, certificate, client_context):
    chain, key = certificate("gateway.test")
    gateway = stage.gateway(
        {
            "server": {"tls": {"certificate": chain, "private_key": key}},
            "providers": {"sim": provider(sim.base_url, ["sk-tls-1"])},
        }
    )

    def serial():
        with gateway.connect(tls=client_context, server_hostname="gateway.test") as connection:
            return connection.socket.getpeercert()["serialNumber"]

    before = serial()
    certificate("gateway.test")  # the same files
    assert serial() == before
    assert gateway.reload()
    assert serial() != before


def test_sessions_are_resumed(listening, client_context):
    client_context.maximum_version = ssl.TLSVersion.TLSv1_2
    with listening.connect() as plain:
        first = client_context.wrap_socket(plain.socket, server_hostname="gateway.test")
        session = first.session
        first.close()
    with listening.connect() as plain:
        second = client_context.wrap_socket(plain.socket, server_hostname="gateway.test", session=session)
        assert second.session_reused
        second.close()


def test_large_messages(listening, client_context):
    """Many records each way."""
    text = "x" * 60_000
    with listening.connect(tls=client_context, server_hostname="gateway.test") as connection:
        for stream in (False, True):
            assert connection.ask(post(chat(text, stream=stream))).content == content(text)
        assert connection.ask(post({**chat(text), "padding": "y" * 3_000_000})).content == content(text)


def test_plaintext_at_a_tls_listener(listening, client_context):
    """It gets nothing, and nobody else notices."""
    with Wire(listening.address) as connection:
        connection.send(GOOD)
        connection.is_closed(3)
        assert b"HTTP" not in connection.buffer
    with listening.connect(tls=client_context, server_hostname="gateway.test") as connection:
        assert connection.ask(GOOD).content == content("hello")


def test_a_handshake_that_never_ends(listening):
    with Wire(listening.address) as connection:
        started = time.monotonic()
        connection.send(bytes.fromhex("16030102000100"))
        while connection.fill():
            pass
        assert time.monotonic() - started < 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_are_refused(listening, client_context):
    client_context.minimum_version = ssl.TLSVersion.TLSv1
    client_context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError):
        listening.connect(tls=client_context, server_hostname="gateway.test")


def test_clients_that_leave_a_tls_connection(listening, client_context):
    """In the handshake, in a record, in a stream."""
    with listening.connect(tls=client_context, server_hostname="gateway.test") as connection:
        connection.ask(GOOD)
    for at in range(0, 60, 5):
        with Wire(listening.address) as connection:
            connection.send(bytes.fromhex("16030100c8010000c40303") + bytes(at))
            connection.reset()
        with listening.connect(tls=client_context, server_hostname="gateway.test") as connection:
            connection.send(post(chat("hello", stream=True))[: 20 + 5 * at])
            if at % 2:
                with contextlib.suppress(OSError):
                    connection.socket.unwrap()
            connection.reset()
    with listening.connect(tls=client_context, server_hostname="gateway.test") as connection:
        assert connection.ask(GOOD).content == content("hello")
    until = time.monotonic() + 3
    while listening.metrics().get("bellwether_client_connections") > 0:
        assert time.monotonic() < until
        time.sleep(0.05)


# -- endpoints -------------------------------------------------------------------------------------


def over(stage, upstream, **tls):
    return stage.gateway(
        {
            "retry": {"wait": "300ms"},
            "providers": {
                "up": provider(
                    upstream.base_url.replace("127.0.0.1", "localhost"),
                    ["sk-tls-1"],
                    tls=tls,
                    health={"validate_new": False},
                )
            },
        }
    )


def refused(answer):
    return answer.status in (502, 503) and answer.error["code"] in ("upstream_failed", "upstream_open")


def test_endpoint_with_a_ca_of_ones_own(stage, certificate, ca_file):
    upstream = stage.upstream(tls=server_context(certificate("localhost")))
    gateway = over(stage, upstream, ca=ca_file)
    for stream in (False, True):
        assert gateway.post(chat("hello", stream=stream)).status == 200
    assert len(upstream.requests) == 2


def test_endpoint_with_an_unknown_ca(stage, certificate):
    upstream = stage.upstream(tls=server_context(certificate("localhost")))
    assert refused(over(stage, upstream).post(chat("hello")))
    assert not upstream.requests, "the key was sent to a stranger"
    assert upstream.handshake_failures > 0


def test_endpoint_with_a_wrong_name(stage, certificate, ca_file):
    upstream = stage.upstream(tls=server_context(certificate("other.test")))
    assert refused(over(stage, upstream, ca=ca_file).post(chat("hello")))
    assert not upstream.requests


def test_endpoint_named_by_its_address(stage, certificate, ca_file):
    upstream = stage.upstream(tls=server_context(certificate("127.0.0.1")))
    gateway = stage.gateway({"providers": {"up": provider(upstream.base_url, ["sk-tls-1"], tls={"ca": ca_file})}})
    assert gateway.post(chat("hello")).status == 200


def test_endpoint_that_is_not_verified(stage, certificate):
    upstream = stage.upstream(tls=server_context(certificate("other.test")))
    assert over(stage, upstream, verify=False).post(chat("hello")).status == 200


def test_endpoint_sees_the_name_asked_for(stage, certificate, ca_file):
    context = server_context(certificate("localhost"))
    names = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    upstream = stage.upstream(tls=context)
    context.set_alpn_protocols(["http/1.1"])
    assert over(stage, upstream, ca=ca_file).post(chat("hello")).status == 200
    assert set(names) == {"localhost"}
    assert {peer.socket.selected_alpn_protocol() for peer in upstream.peers} == {"http/1.1"}


def test_endpoint_that_asks_for_our_certificate(stage, certificate, ca_file):
    upstream = stage.upstream(tls=server_context(certificate("localhost"), ca_file))
    ours, key = certificate("gateway.test")
    assert over(stage, upstream, ca=ca_file, certificate=ours, private_key=key).post(chat("hello")).status == 200


def test_endpoint_that_misses_our_certificate(stage, certificate, ca_file):
    upstream = stage.upstream(tls=server_context(certificate("localhost"), ca_file))
    answer = over(stage, upstream, ca=ca_file).post(chat("hello"))
    assert answer.status in (502, 503)
    assert not upstream.requests


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_with_an_endpoint_are_resumed(stage, certificate, ca_file, version):
    reused = []

    def handler(peer):
        peer.read_request()
        reused.append(peer.socket.session_reused)
        peer.answer(b'{"choices": []}', fields={"Connection": "close"})
        peer.close()

    context = server_context(certificate("localhost"), minimum_version=version, maximum_version=version)
    gateway = stage.gateway(
        {
            "server": {"workers": 1},
            "providers": {
                "up": provider(
                    stage.upstream(handler, tls=context).base_url.replace("127.0.0.1", "localhost"),
                    ["sk-tls-1"],
                    tls={"ca": ca_file},
                )
            },
        }
    )
    for _ in range(4):
        assert gateway.post(chat("hello")).status == 200
    assert reused[1:] == [True] * 3


def test_a_large_stream_from_a_tls_endpoint(stage, certificate, ca_file):
    """Records are read until there are none: what is buffered in the library is not forgotten."""
    event = b'data: {"choices": [{"index": 0, "delta": {"content": "' + b"x" * 5_000 + b'"}}]}\n\n'

    def handler(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for _ in range(500):
            peer.send(event)
        peer.send(b"data: [DONE]\n\n")
        with contextlib.suppress(OSError):
            peer.socket.unwrap()
        raise Gone

    upstream = stage.upstream(handler, tls=server_context(certificate("localhost")))
    answer = over(stage, upstream, ca=ca_file).post(chat("hello", stream=True))
    assert answer.body == event * 500 + b"data: [DONE]\n\n"


def test_an_endpoint_that_ends_without_close_notify(stage, certificate, ca_file):
    """Where the connection's end is the answer's end, an unannounced end may be anybody's: it is no whole answer."""

    def handler(peer):
        peer.read_request()
        peer.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"choices": []}')
        time.sleep(0.05)
        peer.socket.shutdown(socket.SHUT_RDWR)
        raise Gone

    upstream = stage.upstream(handler, tls=server_context(certificate("localhost")))
    answer = over(stage, upstream, ca=ca_file).post(chat("hello"))
    assert (answer.status, answer.error["code"]) == (502, "upstream_failed")
