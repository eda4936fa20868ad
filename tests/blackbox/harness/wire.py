"""HTTP/1.1 by hand: what is sent is exactly what the test says, and what comes back is read strictly by RFC 9112."""

import json
import re
import socket
import ssl
import time

TIMEOUT = 20


class Cut(Exception):
    """The connection ended, or was reset, before the message did; `answer` is what had come of it."""

    answer = None


class NotHttp(Exception):
    """What came is no well-formed HTTP/1.1 message."""


def request(method, target, headers=(), body=b"", version="HTTP/1.1", host="gateway.test"):
    """A request as bytes. headers: a dict or pairs; Host and Content-Length are added unless named there (None: left
    out)."""
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    named = {name.lower() for name, _ in pairs}
    if "host" not in named:
        pairs.insert(0, ("Host", host))
    if body and not named & {"content-length", "transfer-encoding"}:
        pairs.append(("Content-Length", str(len(body))))
    lines = [f"{method} {target} {version}"] + [f"{name}: {value}" for name, value in pairs if value is not None]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def post(body, target="/v1/chat/completions", headers=(), **more):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    if "content-type" not in {name.lower() for name, _ in pairs}:
        pairs.append(("Content-Type", "application/json"))
    return request("POST", target, pairs, body, **more)


class Answer:
    """A whole answer. `chunks` are its pieces with their times of arrival where it was chunked."""

    def __init__(self, status, reason, fields, version):
        self.status, self.reason, self.fields, self.version = status, reason, fields, version
        self.body = b""
        self.chunks = []
        self.interim = []  # 1xx before it

    def __repr__(self):
        return f"<{self.status} {self.fields} {self.body[:500]!r}>"

    def all(self, name):
        return [value for field, value in self.fields if field.lower() == name.lower()]

    def get(self, name, default=None):
        """The field's only value."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands there {len(values)} times"
        return values[0] if values else default

    @property
    def names(self):
        return {name.lower() for name, _ in self.fields}

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """The error in OpenAI's shape: exactly these four members."""
        error = self.json["error"]
        assert set(error) == {"message", "type", "param", "code"}, error
        assert isinstance(error["message"], str) and error["message"]
        return error

    @property
    def events(self):
        return sse_events(self.body)

    @property
    def content(self):
        """Text of a chat answer, streamed or not."""
        if self.get("content-type", "").startswith("text/event-stream"):
            parts = [json.loads(data) for data in self.events if data != "[DONE]"]
            return "".join(part["choices"][0]["delta"].get("content") or "" for part in parts if part["choices"])
        assert self.status == 200, repr(self)
        return self.json["choices"][0]["message"]["content"]


def sse_events(body):
    """The data of each event (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    events, data = [], []
    for line in re.split("\r\n|\n|\r", body.decode(errors="replace")):
        if line == "" and data:
            events.append("\n".join(data))
            data = []
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
    return events


class Wire:
    """A connection. `address` is (host, port) or the path of a unix socket."""

    def __init__(self, address, tls=None, server_hostname=None, timeout=TIMEOUT):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=server_hostname)
        self.buffer = b""
        self.ended = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def send_slowly(self, data, piece=1, pause=0.0):
        for i in range(0, len(data), piece):
            self.socket.sendall(data[i : i + piece])
            if pause:
                time.sleep(pause)
        return self

    def end_sending(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    # -- reading -----------------------------------------------------------------------------------

    def fill(self):
        """Reads once more; False at the end."""
        if self.ended:
            return False
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
            data = b""
        self.ended = not data
        self.buffer += data
        return bool(data)

    def line(self):
        while b"\n" not in self.buffer:
            if not self.fill():
                raise Cut(f"in a line: {self.buffer[:200]!r}")
        line, _, self.buffer = self.buffer.partition(b"\n")
        if not line.endswith(b"\r"):
            raise NotHttp(f"bare LF: {line!r}")
        return line[:-1]

    def take(self, size):
        while len(self.buffer) < size:
            if not self.fill():
                raise Cut(f"{len(self.buffer)} of {size} bytes came")
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def head(self):
        """The next head, after 1xx ones."""
        interim = []
        while True:
            line = self.line().decode("latin-1")
            match = re.fullmatch(r"(HTTP/1\.[01]) (\d{3}) ([\t -~]*)", line)
            if not match:
                raise NotHttp(f"status line {line!r}")
            fields = []
            while line := self.line().decode("latin-1"):
                field = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*", line)
                if not field:
                    raise NotHttp(f"field {line!r}")
                fields.append(field.groups())
            answer = Answer(int(match[2]), match[3], fields, match[1])
            if answer.status >= 200:
                answer.interim = interim
                return answer
            interim.append(answer)

    def pieces(self, answer, method="POST"):
        """The body's pieces as they come: chunks, or what one read brings."""
        lengths, codings = answer.all("content-length"), answer.all("transfer-encoding")
        if method == "HEAD" or answer.status in (204, 304):
            return
        if codings:
            if lengths or codings != ["chunked"]:
                raise NotHttp(f"framing {lengths} {codings}")
            yield from self.read_chunks()
        elif lengths:
            if len(lengths) != 1 or not re.fullmatch(r"\d+", lengths[0]):
                raise NotHttp(f"Content-Length {lengths}")
            left = int(lengths[0])
            while left:
                if not self.buffer and not self.fill():
                    raise Cut(f"{left} bytes of the body are missing")
                piece = self.take(min(left, len(self.buffer)))
                left -= len(piece)
                yield piece
        else:
            while self.buffer or self.fill():
                yield self.take(len(self.buffer))

    def read_chunks(self):
        while True:
            line = self.line()
            if not re.fullmatch(rb"[0-9a-fA-F]+", line):
                raise NotHttp(f"chunk size {line!r}")
            size = int(line, 16)
            if not size:
                if self.line():
                    raise NotHttp("trailers")
                return
            piece = self.take(size)
            if self.take(2) != b"\r\n":
                raise NotHttp("no CRLF behind a chunk")
            yield piece

    def answer(self, method="POST"):
        answer = self.head()
        try:
            for piece in self.pieces(answer, method):
                answer.chunks.append((time.monotonic(), piece))
        except Cut as cut:
            cut.answer = answer
            raise
        finally:
            answer.body = b"".join(piece for _, piece in answer.chunks)
        return answer

    def ask(self, data, method="POST"):
        return self.send(data).answer(method)

    def is_closed(self, within=5.0):
        """Whether the peer ends the connection within so many seconds, sending nothing more."""
        self.socket.settimeout(within)
        try:
            return not self.buffer and not self.fill()
        except TimeoutError:
            return False
        finally:
            self.socket.settimeout(TIMEOUT)

    def is_open(self, during=0.15):
        return not self.is_closed(during)
