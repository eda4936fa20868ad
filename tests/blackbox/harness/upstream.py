"""A provider in plain Python sockets. It shares no code with the gateway's own HTTP and shows what came to the byte.

A test gives a handler, a function of a Peer that reads and writes as it likes:

    def handler(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\\r\\n…")

It is called for each request of a connection until it returns False, or the connection ends. Probes (GET …/models) are
answered by the upstream itself unless `answers_probes` is False.
"""

import json
import socket
import threading
import time

from . import expect


class Gone(Exception):
    """The peer ended the connection."""


class Request:
    """What came, to the byte: `head` holds the start line and the fields, `body` what followed."""

    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.head = head
        self.method, self.target, self.version = lines[0].split(" ")
        self.fields = [tuple(part.strip(" \t") for part in line.split(":", 1)) for line in lines[1:] if line]
        self.body = b""

    def __repr__(self):
        return f"<{self.head!r} {self.body[:300]!r}>"

    def get(self, name):
        values = [value for field, value in self.fields if field.lower() == name.lower()]
        assert len(values) <= 1, f"{name}: {values}"
        return values[0] if values else None

    @property
    def names(self):
        return {name.lower() for name, _ in self.fields}

    @property
    def key(self):
        return (self.get("authorization") or "").removeprefix("Bearer ")

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        """The last message's."""
        return self.json["messages"][-1]["content"]


class Peer:
    """One connection, as the upstream sees it."""

    def __init__(self, upstream, connection, number):
        self.upstream, self.socket, self.number = upstream, connection, number
        self.buffer = b""
        self.request = None

    # -- reading -----------------------------------------------------------------------------------

    def fill(self):
        try:
            data = self.socket.recv(65536)
        except OSError as error:
            raise Gone from error
        if not data:
            raise Gone
        self.buffer += data

    def read_head(self):
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        self.request = Request(head + b"\r\n\r\n")
        return self.request

    def read_body(self):
        length = int(self.request.get("content-length") or 0)
        assert not self.request.get("transfer-encoding"), "the gateway knows the length"
        while len(self.buffer) < length:
            self.fill()
        self.request.body, self.buffer = self.buffer[:length], self.buffer[length:]
        self.upstream.note(self.request)
        return self.request

    def read_request(self):
        """The request whole. The handler's own call may come after the upstream's look at it."""
        if not self.request:
            self.read_head()
        if self.request not in self.upstream.requests:
            self.read_body()
        return self.request

    def wait_end(self, within=10):
        """Whether the gateway ends the connection in time."""
        self.socket.settimeout(within)
        try:
            while True:
                self.fill()
        except Gone as gone:
            return not isinstance(gone.__cause__, TimeoutError)

    # -- writing -----------------------------------------------------------------------------------

    def send(self, *pieces):
        for piece in pieces:
            try:
                self.socket.sendall(piece)
            except OSError as error:
                raise Gone from error
        return self

    def send_slowly(self, data, piece=1, pause=0.0):
        """Each piece leaves in a segment of its own."""
        for i in range(0, len(data), piece):
            self.send(data[i : i + piece])
            if pause:
                time.sleep(pause)
        return self

    def answer(self, body, status=200, fields=(), content_type="application/json"):
        self.send(answer(body, status, fields, content_type))

    def begin_stream(self, fields=()):
        self.send(stream_head(fields))

    def event(self, data):
        self.send(chunk(event(data)))

    def end_stream(self):
        self.send(b"0\r\n\r\n")

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()
        raise Gone

    def close(self):
        self.socket.close()
        raise Gone


# -- messages --------------------------------------------------------------------------------------


def answer(body, status=200, fields=(), content_type="application/json"):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in dict(fields).items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def stream_head(fields=()):
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/event-stream; charset=utf-8", "Transfer-Encoding: chunked"]
    lines += [f"{name}: {value}" for name, value in dict(fields).items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(data, end=b"\n"):
    if not isinstance(data, (bytes, str)):
        data = json.dumps(data)
    if isinstance(data, str):
        data = data.encode()
    return b"data: " + data + end + end


def completion(text="hi", model="upstream-model", usage=(5, 1), **more):
    """A chat answer."""
    message = {"role": "assistant", "content": text, "refusal": None}
    whole = {
        "id": "chatcmpl-up",
        "object": "chat.completion",
        "created": 1763600000,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        **more,
    }
    if usage:
        whole["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return whole


def delta(content=None, finish=None, **more):
    """A chunk of a chat stream."""
    part = {"role": "assistant", "content": ""} if content is None and finish is None else {}
    if content is not None:
        part["content"] = content
    choice = {"index": 0, "delta": part, "logprobs": None, "finish_reason": finish}
    return {
        "id": "chatcmpl-up",
        "object": "chat.completion.chunk",
        "created": 1763600001,
        "model": "upstream-model",
        "choices": [choice],
        **more,
    }


def usage_chunk(prompt=5, completion_tokens=2):
    total = {
        "prompt_tokens": prompt,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt + completion_tokens,
    }
    return {**delta(), "choices": [], "usage": total}


def stream_events(*texts):
    """The data of a whole chat stream."""
    return [delta(), *map(delta, texts), delta(finish="stop"), "[DONE]"]


def error_body(message="The upstream's own words.", kind="server_error", code=None, param=None):
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def serve(peer):
    """The handler of a well-behaved provider: echoes as the simulator does."""
    request = peer.read_request()
    content = expect.content(request.text)
    if request.json.get("stream"):
        peer.begin_stream()
        for data in stream_events(*content.split(" ")):
            peer.event(data)
        peer.end_stream()
    else:
        peer.answer(completion(content))


# -- the server ------------------------------------------------------------------------------------


class Upstream:
    def __init__(self, handler=None, answers_probes=True, tls=None, family=socket.AF_INET):
        self.handler = handler or serve
        self.answers_probes = answers_probes
        self.tls = tls
        self.requests, self.probes = [], []
        self.connections = 0
        self.handshake_failures = 0
        self.errors = []
        self.changed = threading.Condition()
        self.peers = []
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        self.listener = socket.create_server((host, 0), family=family, backlog=512)
        self.port = self.listener.getsockname()[1]
        self.address = (host, self.port)
        self.is_running = True
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()

    @property
    def base_url(self):
        host = f"[{self.address[0]}]" if ":" in self.address[0] else self.address[0]
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}/v1"

    def accept(self):
        while self.is_running:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.changed:
                self.connections += 1
                peer = Peer(self, connection, self.connections)
                self.peers.append(peer)
            threading.Thread(target=self.talk, args=(peer,), daemon=True).start()

    def talk(self, peer):
        try:
            if self.tls:
                try:
                    peer.socket = self.tls.wrap_socket(peer.socket, server_side=True)
                except OSError:
                    with self.changed:
                        self.handshake_failures += 1
                        self.changed.notify_all()
                    return
            while self.serve_one(peer) is not False:
                pass
        except Gone:
            pass
        except Exception as error:  # pylint: disable=broad-exception-caught # told when the test ends
            self.errors.append(repr(error))
        finally:
            peer.socket.close()

    def serve_one(self, peer):
        peer.request = None
        request = peer.read_head()
        if self.answers_probes and request.method == "GET" and request.target.endswith("/models"):
            with self.changed:
                self.probes.append(request)
            peer.answer({"object": "list", "data": []})
            return True
        return self.handler(peer)

    def note(self, request):
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()

    def wait(self, condition, within=10):
        with self.changed:
            if not self.changed.wait_for(condition, within):
                raise AssertionError(f"did not come to pass; requests: {self.requests}")

    def wait_requests(self, count, within=10):
        self.wait(lambda: len(self.requests) >= count, within)
        return self.requests[:count]

    @property
    def request(self):
        """The only request."""
        assert len(self.requests) == 1, self.requests
        return self.requests[0]

    def stop(self):
        self.is_running = False
        self.listener.close()
        for peer in self.peers:
            peer.socket.close()
        assert not self.errors, self.errors
