"""The requests that the load generator sends, and a slow, careful look at the answers before anything is timed."""

import http.client
import json

from .programs import BenchError

CLIENT_KEY = "bw-bench-client-%05d-7c1f0e5a9d3b4286"
BODY_BYTES = 1024
LARGE_BYTES = 200 * 1024
TEXT = ("You are a careful assistant. Summarise the following report in three sentences, name the numbers that matter, "
        "and say what should be done next. ")


def chat_body(model, is_stream):
    """A chat request of exactly 1,024 bytes."""
    body = {
        "model": model,
        "messages": [{"role": "system", "content": "Answer briefly and in plain words."},
                     {"role": "user", "content": ""}],
        "temperature": 0.7,
        "max_tokens": 256,
    }
    if is_stream:
        body["stream"] = True
    room = BODY_BYTES - len(json.dumps(body))
    body["messages"][1]["content"] = (TEXT * 10)[:room]
    return json.dumps(body).encode()


def conversation_body():
    """A conversation of exactly 200 KB, as an agent sends it: tools, their calls and what they brought, text with line ends
    and quotes."""
    schema = {"type": "object", "required": ["path"], "additionalProperties": False, "properties": {
        "path": {"type": "string", "description": "Where the file is, from the project's root."},
        "first": {"type": "integer", "minimum": 1}, "last": {"type": "integer"}}}
    messages = [{"role": "system", "content": TEXT * 8}]
    for turn in range(1000):
        call = {"id": f"call_{turn:024d}", "type": "function",
                "function": {"name": f"read_file_{turn % 8}", "arguments": json.dumps({"path": f"src/{turn}.c", "first": 1})}}
        messages += [
            {"role": "user", "content": f"Turn {turn}: \"what does it do\"?\n" + TEXT},
            {"role": "assistant", "content": "I shall look at the file.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": "int main(void)\n{\n\tputs(\"\u00fcber\");\n}\n" * 16},
            {"role": "assistant", "content": TEXT * 2}]
        body = {"model": "bench-model", "messages": messages, "max_tokens": 256, "tools": [
            {"type": "function", "function": {"name": f"read_file_{i}", "description": TEXT, "parameters": schema}}
            for i in range(8)]}
        if len(encode(body)) > LARGE_BYTES - 4096:
            break
    messages.append({"role": "user", "content": ""})
    messages[-1]["content"] = (TEXT * 40)[:LARGE_BYTES - len(encode(body))]
    return encode(body)


def encode(body):
    """As the provider's Python SDK spells it."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def chat_request(client=1, model="bench-model", is_stream=False):
    return request(chat_body(model, is_stream), client)


def request(body, client=1):
    """Head and body, as the provider's Python SDK would send them, without its telemetry fields."""
    head = ("POST /v1/chat/completions HTTP/1.1\r\n"
            "Host: 127.0.0.1\r\n"
            "Accept-Encoding: identity\r\n"
            "Connection: keep-alive\r\n"
            "Accept: application/json\r\n"
            "Content-Type: application/json\r\n"
            "User-Agent: OpenAI/Python 1.99.0\r\n"
            f"Authorization: Bearer {CLIENT_KEY % client}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n")
    return head.encode() + body


def ask(port, is_stream):
    """One request by Python's own HTTP client: status, text of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/v1/chat/completions", chat_body("bench-model", is_stream),
                           {"Content-Type": "application/json", "Authorization": "Bearer " + CLIENT_KEY % 1})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def said(text, is_stream):
    """What the model said, so that answers of two roads can be compared."""
    if not is_stream:
        return json.loads(text)["choices"][0]["message"]["content"]
    events = [event.removeprefix("data: ") for event in text.split("\n\n") if event and not event.startswith(":")]
    if not events or events[-1] != "[DONE]":
        raise ValueError("no [DONE] at the end")
    choices = [choice for event in events[:-1] for choice in json.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def check_same(ports, is_stream):
    """All of {name: port} say the same, with a 200; otherwise nothing measured would mean anything."""
    wanted = None
    for name, port in ports.items():
        status, text = ask(port, is_stream)
        try:
            heard = said(text, is_stream) if status == 200 else None
        except (ValueError, KeyError) as error:
            raise BenchError(f"{name} answered what is no answer ({error}): {text[:300]}") from error
        if heard is None or heard != (wanted or heard):
            raise BenchError(f"{name} answered {status}: {text[:300]}")
        wanted = heard


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def get_json(port, path):
    return json.loads(get(port, path))


def get_metrics(port):
    """{name: sum over its labels} of a Prometheus page; what is not understood is left out."""
    sums = {}
    for line in get(port, "/metrics").splitlines():
        name, value = line.partition("{")[0].partition(" ")[0], line.rpartition(" ")[2]
        try:
            if not line.startswith("#"):
                sums[name] = sums.get(name, 0.0) + float(value)
        except ValueError:
            pass
    return sums
