"""OpenAI's client and its chat completions."""

import json

import openai

from .told import RESULTS, Refusal, Ship, Told, parameters

FINISHES = {"stop": "stop", "length": "length", "tool_calls": "calls"}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "A tool.", "parameters": parameters()}}
    for name in RESULTS
]


def ask(text):
    return [{"role": "system", "content": "Answer in one sentence."}, {"role": "user", "content": text}]


class Chat:
    name = "chat"
    title = "OpenAI chat completions"
    error = openai.APIError
    shows_thoughts = False  # no place for them in OpenAI's own words; DeepSeek's member is passed on where there is one
    busy = ("InternalServerError", 503, "server_is_overloaded")
    limited = ("RateLimitError", 429, "rate_limit_exceeded")
    absent = ("NotFoundError", 404, "model_not_found")
    long = ("BadRequestError", 400, "context_length_exceeded")

    def __init__(self, root, retries=2):
        self.client = openai.OpenAI(base_url=f"{root}/v1", api_key="sk-anything", max_retries=retries, timeout=20)

    def close(self):
        self.client.close()

    @staticmethod
    def told(completion, **more):
        choice, usage = completion.choices[0], completion.usage
        calls = [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or []]
        assert len({call.id for call in choice.message.tool_calls or []}) == len(calls)
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        return Told(
            text=choice.message.content or "",
            finish=FINISHES[choice.finish_reason],
            prompt=usage.prompt_tokens,
            completion=usage.completion_tokens,
            cached=usage.prompt_tokens_details.cached_tokens,
            thoughts=usage.completion_tokens_details.reasoning_tokens,
            thought=getattr(choice.message, "reasoning_content", None) or "",
            calls=calls,
            **more,
        )

    def create(self, **request):
        return self.client.chat.completions.create(**request)

    def stream(self, **request):
        """The helper's final completion, and how many chunks said something."""
        pieces = 0
        with self.client.chat.completions.stream(stream_options={"include_usage": True}, **request) as stream:
            for event in stream:
                pieces += event.type in ("content.delta", "tool_calls.function.arguments.delta")
            return stream.get_final_completion(), pieces

    def say(self, model, text, limit=None):
        more = {"max_completion_tokens": limit} if limit else {}
        return self.told(self.create(model=model, messages=ask(text), **more))

    def say_streamed(self, model, text):
        completion, pieces = self.stream(model=model, messages=ask(text))
        return self.told(completion, pieces=pieces)

    def loop(self, model, text, is_streamed):
        """Asks, calls what is to be called, and asks again: both answers."""
        messages, answers = ask(text), []
        for _ in range(2):
            request = {"model": model, "messages": messages, "tools": TOOLS}
            completion, pieces = self.stream(**request) if is_streamed else (self.create(**request), 0)
            answers.append(self.told(completion, pieces=pieces))
            message = completion.choices[0].message
            messages.append(message)
            for call in message.tool_calls or []:
                result = {"role": "tool", "tool_call_id": call.id, "content": RESULTS[call.function.name]}
                messages.append(result)
        return answers

    def see(self, model, text, image):
        parts = [
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}},
            {"type": "text", "text": text},
        ]
        return self.told(self.create(model=model, messages=[{"role": "user", "content": parts}]))

    def fill(self, model, text):
        completion = self.client.chat.completions.parse(model=model, messages=ask(text), response_format=Ship)
        return self.told(completion, parsed=completion.choices[0].message.parsed)

    def think(self, model, text, is_streamed):
        request = {"model": model, "messages": ask(text), "reasoning_effort": "high"}
        completion, pieces = self.stream(**request) if is_streamed else (self.create(**request), 0)
        return self.told(completion, pieces=pieces)

    def pieces(self, model, text):
        """The words of a stream as they come."""
        for chunk in self.create(model=model, messages=ask(text), stream=True):
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content

    @staticmethod
    def refusal(error):
        response = getattr(error, "response", None)
        return Refusal(
            kind=type(error).__name__,
            status=getattr(error, "status_code", None),
            code=error.code,
            param=error.param,
            message=error.message,
            retry_after=response.headers.get("retry-after") if response is not None else None,
        )
