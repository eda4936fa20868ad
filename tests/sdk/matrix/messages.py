"""Anthropic's client and its Messages."""

import anthropic

from .told import RESULTS, Refusal, Ship, Told, parameters

FINISHES = {"end_turn": "stop", "max_tokens": "length", "tool_use": "calls"}
TOOLS = [{"name": name, "description": "A tool.", "input_schema": parameters()} for name in RESULTS]
MOST = 4096


class Messages:
    name = "messages"
    title = "Anthropic Messages"
    error = anthropic.APIError
    shows_thoughts = True
    busy = ("OverloadedError", 529, "overloaded_error")
    limited = ("RateLimitError", 429, "rate_limit_error")
    absent = ("NotFoundError", 404, "not_found_error")
    long = ("BadRequestError", 400, "invalid_request_error")

    def __init__(self, root, retries=2):
        self.client = anthropic.Anthropic(base_url=root, api_key="sk-anything", max_retries=retries, timeout=20)

    def close(self):
        self.client.close()

    @staticmethod
    def told(message, **more):
        usage, details = message.usage, message.usage.output_tokens_details
        uses = [block for block in message.content if block.type == "tool_use"]
        assert len({use.id for use in uses}) == len(uses)
        assert all(block.signature is not None for block in message.content if block.type == "thinking")
        return Told(
            text="".join(block.text for block in message.content if block.type == "text"),
            finish=FINISHES[message.stop_reason],
            prompt=usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens,
            completion=usage.output_tokens,
            cached=usage.cache_read_input_tokens,
            thoughts=details.thinking_tokens if details else 0,
            thought="".join(block.thinking for block in message.content if block.type == "thinking"),
            calls=[(use.name, use.input) for use in uses],
            **more,
        )

    def create(self, **request):
        return self.client.messages.create(**{"max_tokens": MOST, "system": "Answer in one sentence.", **request})

    def stream(self, **request):
        """The helper's accumulated message, and how many events said something."""
        pieces = 0
        request = {"max_tokens": MOST, "system": "Answer in one sentence.", **request}
        with self.client.messages.stream(**request) as stream:
            for event in stream:
                pieces += event.type == "content_block_delta"
            return stream.get_final_message(), pieces

    def say(self, model, text, limit=None):
        more = {"max_tokens": limit} if limit else {}
        return self.told(self.create(model=model, messages=[{"role": "user", "content": text}], **more))

    def say_streamed(self, model, text):
        message, pieces = self.stream(model=model, messages=[{"role": "user", "content": text}])
        return self.told(message, pieces=pieces)

    def loop(self, model, text, is_streamed):
        messages, answers = [{"role": "user", "content": text}], []
        for _ in range(2):
            request = {"model": model, "messages": messages, "tools": TOOLS}
            message, pieces = self.stream(**request) if is_streamed else (self.create(**request), 0)
            answers.append(self.told(message, pieces=pieces))
            results = [
                {"type": "tool_result", "tool_use_id": block.id, "content": RESULTS[block.name]}
                for block in message.content
                if block.type == "tool_use"
            ]
            messages = [*messages, {"role": "assistant", "content": message.content}, {"role": "user", "content": results}]
        return answers

    def see(self, model, text, image):
        source = {"type": "base64", "media_type": "image/png", "data": image}
        parts = [{"type": "image", "source": source}, {"type": "text", "text": text}]
        return self.told(
            self.client.messages.create(model=model, max_tokens=MOST, messages=[{"role": "user", "content": parts}])
        )

    def fill(self, model, text):
        messages = [{"role": "user", "content": text}]
        message = self.client.messages.parse(model=model, max_tokens=MOST, messages=messages, output_format=Ship)
        return self.told(message, parsed=message.parsed_output)

    def think(self, model, text, is_streamed):
        """Plain with a budget, streamed with an effort: both ways of asking are in use."""
        request = {"model": model, "messages": [{"role": "user", "content": text}]}
        if is_streamed:
            message, pieces = self.stream(thinking={"type": "adaptive"}, output_config={"effort": "high"}, **request)
            return self.told(message, pieces=pieces)
        return self.told(self.create(thinking={"type": "enabled", "budget_tokens": 2048}, **request))

    def pieces(self, model, text):
        with self.client.messages.stream(
            model=model, max_tokens=MOST, messages=[{"role": "user", "content": text}]
        ) as stream:
            yield from stream.text_stream

    @staticmethod
    def refusal(error):
        body = error.body if isinstance(error.body, dict) else {}
        response = getattr(error, "response", None)
        return Refusal(
            kind=type(error).__name__,
            status=getattr(error, "status_code", None),
            code=body.get("error", {}).get("type"),
            param=None,
            message=body.get("error", {}).get("message", error.message),
            retry_after=response.headers.get("retry-after") if response is not None else None,
        )
