"""Many exchanges at once over asyncio: kept connections, answers read strictly enough to see one that is cut, mixed
or doubled."""

import asyncio
import json
import time
from dataclasses import dataclass, field

from .expect import chat, content


@dataclass
class Result:
    """What an exchange came to. `error` is None where the answer is the right one."""

    text: str
    status: int = 0
    error: str = None
    seconds: float = 0.0
    fields: dict = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_ok(self):
        return self.error is None


class Connection:
    def __init__(self, address):
        self.address = address
        self.reader = self.writer = None

    async def open(self):
        if isinstance(self.address, str):
            self.reader, self.writer = await asyncio.open_unix_connection(self.address, limit=1 << 20)
        else:
            self.reader, self.writer = await asyncio.open_connection(*self.address, limit=1 << 20)

    def close(self):
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None

    async def ask(self, data):
        """Status, fields by their lower-case names, body; and closes where the answer says so."""
        if not self.writer:
            await self.open()
        self.writer.write(data)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {}
        for line in head[1:-2]:
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        status = int(head[0].split(" ")[1])
        if "chunked" in fields.get("transfer-encoding", ""):
            body = b"".join([piece async for piece in self.chunks()])
        else:
            body = await self.reader.readexactly(int(fields["content-length"]))
        if fields.get("connection") == "close":
            self.close()
        return status, fields, body

    async def chunks(self):
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"


def encode(body, target="/v1/chat/completions", key=None):
    body = json.dumps(body).encode()
    credential = f"Authorization: Bearer {key}\r\n" if key else ""
    return (
        f"POST {target} HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\n{credential}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def text_of(fields, body):
    if not fields.get("content-type", "").startswith("text/event-stream"):
        return json.loads(body)["choices"][0]["message"]["content"]
    events = [line[6:] for line in body.decode().split("\n") if line.startswith("data: ")]
    if events[-1] != "[DONE]" or events.count("[DONE]") != 1:
        raise ValueError("no proper end of the stream")
    parts = [json.loads(event) for event in events[:-1]]
    return "".join(part["choices"][0]["delta"].get("content") or "" for part in parts if part["choices"])


async def one(connection, text, key=None, patience=None, **fields):
    result = Result(text)
    started = time.monotonic()
    try:
        answer = connection.ask(encode(chat(text, **fields), key=key))
        result.status, result.fields, result.body = await asyncio.wait_for(answer, patience)
        if result.status != 200:
            result.error = f"{result.status} {result.body[:300]!r}"
        elif text_of(result.fields, result.body) != content(text):
            result.error = f"not the answer to this request: {result.body[:300]!r}"
    except (
        OSError,
        asyncio.TimeoutError,
        asyncio.IncompleteReadError,
        ValueError,
        KeyError,
        IndexError,
        AssertionError,
    ) as error:
        result.error = f"{type(error).__name__}: {error}"
        connection.close()
    result.seconds = time.monotonic() - started
    return result


async def run(address, count, clients=32, stream_share=0.0, before=None, key=None, stop=None, patience=None, **fields):
    """The results of `count` exchanges over so many connections; `fields` stand in each body.
    A client gives up after `patience` seconds.
    before(i) is called as the i-th begins; stop() ends it early."""
    results, numbers = [], iter(range(count))

    async def client():
        connection = Connection(address)
        for i in numbers:
            if stop and stop():
                break
            if before:
                before(i)
            stream = {"stream": True} if (i * 7919) % 1000 < stream_share * 1000 else {}
            results.append(await one(connection, f"question {i}", key, patience, **stream, **fields))
        connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return results


def exchanges(*arguments, **settings):
    return asyncio.run(run(*arguments, **settings))


def failures(results):
    return [result for result in results if not result.is_ok]
