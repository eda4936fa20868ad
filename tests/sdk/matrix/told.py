"""What a client was told, in words that hold for every dialect, and what the application asks for."""

import struct
import zlib
from base64 import b64encode
from dataclasses import dataclass, field

from harness.expect import content, fnv1a
from pydantic import BaseModel

TEXT = "Tell me of the sea, and of the ships that cross it in winter when nobody else dares to go out"
LIMIT = 16
RESULTS = {"look_up": "It is blue.", "write_down": "Done."}
CACHED = 5  # tokens that the simulator says it had in its cache
THOUGHTS = 3  # "thinking about #HASH"


class Ship(BaseModel):
    """What structured answers hold."""

    name: str
    masts: int
    ports: list[str]


@dataclass
class Told:
    text: str
    finish: str  # "stop", "length", "calls"
    prompt: int
    completion: int  # thoughts included
    cached: int
    thoughts: int  # tokens of them
    thought: str = ""
    calls: list = field(default_factory=list)  # of (name, arguments)
    pieces: int = 0  # a stream's: how many came with words, thoughts or arguments in them
    parsed: Ship | None = None


@dataclass
class Refusal:
    """An error as an application sees it."""

    kind: str  # the class's name
    status: int | None
    code: str | None
    param: str | None
    message: str
    retry_after: str | None = None


def hash_of(text):
    return f"{fnv1a(text.encode()):016x}"


def thought_of(text):
    return f"thinking about #{hash_of(text)}"


def pieces_of(text):
    return len(text.split(" "))


def ship_of(text):
    return Ship(name=content(text), masts=0, ports=[content(text)])


def arguments_of(text):
    return {"text": text, "hash": hash_of(text)}


def parameters():
    """The JSON Schema of both tools' arguments."""
    string = {"type": "string"}
    return {"type": "object", "properties": {"text": string, "hash": string}, "required": ["text", "hash"]}


def picture():
    """A PNG of one pixel, in base64 that has both of the characters in which its two alphabets differ."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\xbe")) + chunk(b"IEND", b"")
    return b64encode(data).decode()
