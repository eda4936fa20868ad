"""Images by URL for providers that look up no URLs: the gateway fetches them, from a server on this machine."""

import base64
import socket
import threading
import time

import pytest
from harness import upstream as up
from harness import wire
from harness.expect import content
from harness.fixtures import provider

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9 + b"end"
GOOGLE = "gemini-2.5-flash"


class Place:
    """A web server: what stands at each path, by its function of a Peer."""

    def __init__(self, stage):
        self.pages = {"/x.png": lambda peer: peer.send(up.answer(PNG, content_type="image/png"))}
        self.upstream = stage.upstream(self, answers_probes=False)
        self.url = f"http://127.0.0.1:{self.upstream.port}"

    def __call__(self, peer):
        request = peer.read_request()
        return self.pages[request.target.partition("?")[0]](peer) is not None

    @property
    def asked(self):
        return [request.target for request in self.upstream.requests]

    def redirect(self, path, to):
        self.pages[path] = lambda peer: peer.send(up.answer(b"", 302, (("Location", to),)))


def google(peer):
    """Answers as Gemini, whatever it is asked."""
    peer.read_request()
    peer.answer(
        {
            "candidates": [{"content": {"role": "model", "parts": [{"text": "seen"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 1, "totalTokenCount": 10},
        }
    )


def asked(upstream):
    """What it was asked but for probes."""
    return [request for request in upstream.requests if request.method == "POST"]


def images(*urls, model=GOOGLE, **fields):
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {
        "model": model,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "what is it?"}, *parts]}],
        **fields,
    }


class House:
    def __init__(self, stage):
        self.stage = stage
        self.place = Place(stage)
        self.google = stage.upstream(google)
        self.gateway = None

    def open(self, private=True, more=None, server=None, **media):
        if private is not None:
            media["private"] = private
        base = self.google.base_url.removesuffix("/v1")
        providers = {"google": provider(base, ["sk-google-1"], kind="gemini"), **(more or {})}
        self.gateway = self.stage.gateway(
            {"server": {"media": media, **(server or {})}, "providers": providers, "models": self.models(providers)}
        )
        return self.gateway.settle()

    @staticmethod
    def models(providers):
        first, *others = [f"{name}/{GOOGLE}" for name in providers]
        return {GOOGLE: {"targets": [{"to": first}], "fallback": others}}

    def ask(self, *paths, **fields):
        return self.gateway.post(images(*(self.place.url + path for path in paths), **fields))

    def fetches(self, result):
        return self.gateway.metrics().get("bellwether_media_fetches_total", result=result)


@pytest.fixture
def house(stage):
    return House(stage)


def refusal(answer):
    assert answer.status == 400, (answer.status, answer.body)
    error = answer.json["error"]
    assert error["type"] == "invalid_request_error" and error["param"] == "messages[0].content[1]"
    return error["message"]


def test_the_bytes_go_in_place_of_the_url(house):
    gateway = house.open()
    answer = house.ask("/x.png", "/x.png")
    assert answer.status == 200 and answer.content == "seen"
    (request,) = asked(house.google)
    parts = request.json["contents"][0]["parts"]
    data = {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}
    assert [part["inlineData"] for part in parts[1:]] == [data, data]
    assert house.place.asked == ["/x.png"] and house.fetches("fetched") == 1
    names = house.place.upstream.request.names
    assert names == {"host", "user-agent", "accept"}
    assert gateway.wait_access(status=200)["attempts"] == 1


def test_the_simulator_takes_it(stage, sim):
    place = Place(stage)
    base = sim.base_url.removesuffix("/v1")
    gateway = stage.gateway(
        {
            "server": {"media": {"private": True}},
            "providers": {"google": provider(base, ["sk-google-1"], kind="gemini")},
            "models": House.models(["google"]),
        }
    ).settle()
    answer = gateway.post(images(place.url + "/x.png"))
    assert answer.status == 200 and answer.content == content("what is it?")


def test_streams_too(house):
    house.google.handler = lambda peer: (
        peer.read_request(),
        peer.begin_stream(),
        peer.event('{"candidates":[{"content":{"parts":[{"text":"seen"}]},"finishReason":"STOP"}]}'),
        peer.end_stream(),
    )
    house.open()
    answer = house.ask("/x.png", stream=True)
    assert answer.status == 200 and b"seen" in answer.body and b"[DONE]" in answer.body


def test_not_from_private_addresses(house):
    house.open(private=None)
    message = refusal(house.ask("/x.png"))
    assert message.endswith("/x.png' is at a private address.")
    named = house.gateway.post(images(f"http://localhost:{house.place.upstream.port}/x.png"))
    assert "is at a private address" in refusal(named)
    mapped = house.gateway.post(images(f"http://[::ffff:127.0.0.1]:{house.place.upstream.port}/x.png"))
    assert "is at a private address" in refusal(mapped)
    assert house.place.upstream.connections == 0 and not asked(house.google)
    assert house.fetches("private") == 3


def test_a_redirect_is_followed_a_few_times(house):
    house.place.redirect("/1", "/2")
    house.place.redirect("/2", "/3")
    house.place.redirect("/3", house.place.url + "/x.png")
    house.place.redirect("/0", "/1")
    house.place.redirect("/file", "file:///etc/passwd")
    house.open()
    assert house.ask("/1").status == 200
    assert "redirects more than 3 times" in refusal(house.ask("/0"))
    assert "could not be fetched" in refusal(house.ask("/file"))


def answers(status=200, body=PNG, kind="image/png"):
    return lambda peer: peer.send(up.answer(body, status, (), kind))


@pytest.mark.parametrize(
    "page, why",
    [
        (answers(404, b"{}", "application/json"), "could not be fetched: HTTP 404."),
        (answers(500, b"secret words", "text/plain"), "could not be fetched: HTTP 500."),
        (answers(200, b"<html>secret words", "image/png"), "is no image."),
        (answers(200, b"", "image/png"), "is empty."),
        (answers(200, PNG * 100), "is larger than 64KiB."),
        (lambda peer: time.sleep(5), "could not be fetched: it did not come within 1s."),
        (lambda peer: peer.reset(), "could not be fetched: "),
    ],
    ids=["404", "500", "html", "empty", "large", "slow", "reset"],
)
def test_what_cannot_be_had_is_told(house, page, why):
    house.place.pages["/bad"] = page
    house.open(max="64KiB", timeout="1s")
    message = refusal(house.ask("/bad?token=hush"))
    assert why in message and "/bad'" in message
    assert "secret words" not in message and "hush" not in message
    assert not asked(house.google)
    assert house.ask("/x.png").status == 200


def test_large_without_a_length(house):
    def endless(peer):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nConnection: close\r\n\r\n" + PNG)
        while True:
            peer.send(b"x" * 65536)

    house.place.pages["/endless"] = endless
    house.open(max="1MiB")
    assert "is larger than 1MiB" in refusal(house.ask("/endless"))


def test_nobody_listens(house):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    house.open()
    message = refusal(house.gateway.post(images(f"http://127.0.0.1:{port}/x.png")))
    assert "could not be fetched" in message


def test_a_target_that_looks_it_up_itself_is_asked_instead(house):
    other = house.stage.upstream(lambda peer: (peer.read_request(), peer.answer(up.completion("other"))))
    house.open(private=False, more={"other": provider(other.base_url, ["sk-other-1"])})
    answer = house.ask("/x.png")
    assert answer.status == 200 and answer.content == "other"
    assert other.request.json["messages"][0]["content"][1]["image_url"]["url"] == house.place.url + "/x.png"


def test_the_next_target_fetches_nothing_again(house):
    house.google.handler = lambda peer: (peer.read_request(), peer.answer({"error": {"code": 500}}, 500))
    second = house.stage.upstream(google)
    base = second.base_url.removesuffix("/v1")
    house.open(more={"second": provider(base, ["sk-second-1"], kind="gemini")})
    answer = house.ask("/x.png")
    assert answer.status == 200
    for upstream in (house.google, second):
        assert asked(upstream)[0].json["contents"][0]["parts"][1]["inlineData"]
    assert house.place.asked == ["/x.png"]


def test_a_provider_with_the_quirk(house):
    ollama = house.stage.upstream(lambda peer: (peer.read_request(), peer.answer(up.completion("local"))))
    base = ollama.base_url
    gateway = house.stage.gateway(
        {
            "server": {"media": {"private": True}},
            "providers": {"ollama": provider(base, ["sk-ollama-1"], kind="ollama")},
            "models": {GOOGLE: {"targets": [{"to": "ollama/llava"}]}},
        }
    ).settle()
    answer = gateway.post(images(house.place.url + "/x.png"))
    assert answer.status == 200, answer.body
    sent = ollama.request.json["messages"][0]["content"][1]["image_url"]["url"]
    assert sent == "data:image/png;base64," + base64.b64encode(PNG).decode()


PDF = b"%PDF-1.7\n" + bytes(1000)


def test_a_document_of_an_anthropic_client(house):
    """OpenAI's chat completions take documents as data only. Errors come in the client's shape."""
    openai = house.stage.upstream(lambda peer: (peer.read_request(), peer.answer(up.completion("read"))))
    house.place.pages["/x.pdf"] = answers(body=PDF, kind="application/octet-stream")
    house.place.pages["/none.pdf"] = answers(410)
    gateway = house.stage.gateway(
        {
            "server": {"media": {"private": True}},
            "providers": {"up": provider(openai.base_url, ["sk-openai-1"])},
            "models": {"m": {"targets": [{"to": "up/m"}]}},
        }
    ).settle()

    def read(path):
        document = {"type": "document", "title": "A paper", "source": {"type": "url", "url": house.place.url + path}}
        messages = [{"role": "user", "content": [document, {"type": "text", "text": "sum up"}]}]
        return gateway.post({"model": "m", "max_tokens": 99, "messages": messages}, target="/v1/messages")

    answer = read("/x.pdf")
    assert answer.status == 200 and answer.json["content"][0]["text"] == "read"
    (file,) = [part["file"] for part in openai.request.json["messages"][0]["content"] if part["type"] == "file"]
    assert file == {
        "filename": "A paper",
        "file_data": "data:application/pdf;base64," + base64.b64encode(PDF).decode(),
    }
    refused = read("/none.pdf")
    assert refused.status == 400 and refused.json["error"]["type"] == "invalid_request_error"
    assert "/none.pdf' could not be fetched: HTTP 410." in refused.json["error"]["message"]


@pytest.mark.threads
def test_the_client_leaves_meanwhile(house):
    house.place.pages["/slow"] = lambda peer: (peer.wait_end(), None)[1]
    gateway = house.open()
    with gateway.connect() as client:
        client.send(wire.post(images(house.place.url + "/slow")))
        house.place.upstream.wait_requests(1)
    gateway.wait_access(cancelled_by="client")
    until = time.monotonic() + 5
    while house.fetches("cancelled") != 1:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert house.ask("/x.png").status == 200


def test_the_deadline_covers_it(house):
    house.place.pages["/slow"] = lambda peer: (peer.wait_end(), None)[1]
    base = house.google.base_url.removesuffix("/v1")
    slow = provider(base, ["sk-google-1"], kind="gemini", timeouts={"total": "1s"})
    house.open(more={"google": slow})
    assert house.ask("/slow").status == 504
    house.gateway.wait_access(cancelled_by="deadline")


@pytest.mark.threads
def test_shutting_down_meanwhile(house):
    house.place.pages["/slow"] = lambda peer: (peer.wait_end(), None)[1]
    gateway = house.open(server={"shutdown_grace": "300ms"})
    with gateway.connect() as client:
        client.send(wire.post(images(house.place.url + "/slow")))
        house.place.upstream.wait_requests(1)
        gateway.stop()
    assert gateway.wait_access(cancelled_by="shutdown")["status"] == 503


def test_a_slow_place_holds_no_key(house):
    house.place.pages["/slow"] = lambda peer: (peer.wait_end(), None)[1]
    base = house.google.base_url.removesuffix("/v1")
    one = provider(base, [{"secret": "sk-google-1", "limits": {"concurrent": 1}}], kind="gemini")
    gateway = house.open(more={"google": one}, timeout="20s")
    with gateway.connect() as client:
        client.send(wire.post(images(house.place.url + "/slow")))
        house.place.upstream.wait_requests(1)
        assert house.ask("/x.png").status == 200


@pytest.mark.threads
def test_many_at_once(house):
    """More than are fetched at one time, each with several URLs."""
    for i in range(4):
        house.place.pages[f"/{i}.png"] = answers()
    house.open()
    got = []
    threads = [
        threading.Thread(target=lambda: got.append(house.ask("/0.png", "/1.png", "/2.png", "/3.png").status))
        for _ in range(24)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [200] * 24 and house.fetches("fetched") == 96
