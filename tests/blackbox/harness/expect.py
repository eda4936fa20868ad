"""What the simulator must answer, worked out by its manual (docs/simulator.md) and not by its code."""

import re


def fnv1a(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


def content(text, max_tokens=None):
    whole = f"echo: {text} #{fnv1a(text.encode()):016x}"
    return "".join(re.findall(r" *[^ ]+| +$", whole)[:max_tokens])


def embedding(text, dimensions=1536):
    state, numbers = fnv1a(text.encode()), []
    for _ in range(dimensions):
        state = z = (state + 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        numbers.append(((z ^ z >> 31) >> 40) / 2**23 - 1)
    return numbers


def fingerprint(body):
    """`system_fingerprint` of an answer to a request with this body."""
    return f"fp_{fnv1a(body):016x}"


def chat(text="hello", model="gpt-4.1", **fields):
    """The body of a chat request."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}
