"""OpenAI's client and its Responses."""

import json

import openai

from .chat import Chat
from .told import RESULTS, Ship, Told, parameters

TOOLS = [
    {"type": "function", "name": name, "description": "A tool.", "parameters": parameters(), "strict": False}
    for name in RESULTS
]


class Responses(Chat):
    name = "responses"
    title = "OpenAI Responses"
    shows_thoughts = True

    @staticmethod
    def told(response, **more):
        usage = response.usage
        calls = [(item.name, json.loads(item.arguments)) for item in response.output if item.type == "function_call"]
        summaries = [part.text for item in response.output if item.type == "reasoning" for part in item.summary]
        finish = {"completed": "calls" if calls else "stop", "incomplete": "length"}[response.status]
        if finish == "length":
            assert response.incomplete_details.reason == "max_output_tokens"
        assert usage.total_tokens == usage.input_tokens + usage.output_tokens
        return Told(
            text=response.output_text,
            finish=finish,
            prompt=usage.input_tokens,
            completion=usage.output_tokens,
            cached=usage.input_tokens_details.cached_tokens,
            thoughts=usage.output_tokens_details.reasoning_tokens,
            thought="".join(summaries),
            calls=calls,
            **more,
        )

    def create(self, **request):
        return self.client.responses.create(instructions="Answer in one sentence.", **request)

    def stream(self, **request):
        """The helper's final response, and how many events said something."""
        pieces, numbers = 0, []
        with self.client.responses.stream(instructions="Answer in one sentence.", **request) as stream:
            for event in stream:
                numbers.append(event.sequence_number)
                pieces += event.type in ("response.output_text.delta", "response.function_call_arguments.delta")
            assert numbers == list(range(len(numbers))), "events are numbered without a gap"
            return stream.get_final_response(), pieces

    def say(self, model, text, limit=None):
        more = {"max_output_tokens": limit} if limit else {}
        return self.told(self.create(model=model, input=text, **more))

    def say_streamed(self, model, text):
        response, pieces = self.stream(model=model, input=text)
        return self.told(response, pieces=pieces)

    def loop(self, model, text, is_streamed):
        given, answers = [{"role": "user", "content": text}], []
        for _ in range(2):
            request = {"model": model, "input": given, "tools": TOOLS, "store": False}
            response, pieces = self.stream(**request) if is_streamed else (self.create(**request), 0)
            answers.append(self.told(response, pieces=pieces))
            given = given + [item.to_dict(exclude_none=True) for item in response.output]
            for item in response.output:
                if item.type == "function_call":
                    given.append(
                        {"type": "function_call_output", "call_id": item.call_id, "output": RESULTS[item.name]}
                    )
        return answers

    def see(self, model, text, image):
        parts = [
            {"type": "input_image", "image_url": f"data:image/png;base64,{image}", "detail": "auto"},
            {"type": "input_text", "text": text},
        ]
        return self.told(self.client.responses.create(model=model, input=[{"role": "user", "content": parts}]))

    def fill(self, model, text):
        response = self.client.responses.parse(model=model, input=text, text_format=Ship)
        return self.told(response, parsed=response.output_parsed)

    def think(self, model, text, is_streamed):
        request = {"model": model, "input": text, "reasoning": {"effort": "high", "summary": "auto"}}
        response, pieces = self.stream(**request) if is_streamed else (self.create(**request), 0)
        return self.told(response, pieces=pieces)

    def pieces(self, model, text):
        for event in self.create(model=model, input=text, stream=True):
            if event.type == "response.output_text.delta":
                yield event.delta
            if event.type == "error":
                raise openai.APIError(event.message, None, body={"code": event.code})
            if event.type == "response.failed":
                raise openai.APIError(event.response.error.message, None, body={"code": event.response.error.code})
