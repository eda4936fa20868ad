"""Google's client and its generateContent."""

from base64 import b64decode

from google import genai
from google.genai import errors, types

from .told import RESULTS, Refusal, Ship, Told, parameters

TOOLS = [
    types.Tool(
        function_declarations=[
            types.FunctionDeclaration(name=name, description="A tool.", parameters_json_schema=parameters())
            for name in RESULTS
        ]
    )
]
MANUAL = types.AutomaticFunctionCallingConfig(disable=True)


def config(**more):
    return types.GenerateContentConfig(
        system_instruction="Answer in one sentence.", automatic_function_calling=MANUAL, **more
    )


class Generate:
    name = "generate"
    title = "Gemini generateContent"
    error = errors.APIError
    shows_thoughts = True
    busy = ("ServerError", 503, "UNAVAILABLE")
    limited = ("ClientError", 429, "RESOURCE_EXHAUSTED")
    absent = ("ClientError", 404, "NOT_FOUND")
    long = ("ClientError", 400, "INVALID_ARGUMENT")

    def __init__(self, root, retries=2):
        options = types.HttpOptions(base_url=root, api_version="v1beta", timeout=20000)
        if not retries:
            options.retry_options = types.HttpRetryOptions(attempts=1)
        self.client = genai.Client(api_key="AIza-anything", http_options=options)

    def close(self):
        self.client.close()

    @staticmethod
    def told(answers, **more):
        """Of the one answer, or of a stream's."""
        parts = [part for answer in answers for part in answer.candidates[0].content.parts or []]
        calls = [(part.function_call.name, part.function_call.args) for part in parts if part.function_call]
        usage = answers[-1].usage_metadata
        reason = answers[-1].candidates[0].finish_reason.name
        thoughts, candidates = usage.thoughts_token_count or 0, usage.candidates_token_count or 0
        assert usage.total_token_count == usage.prompt_token_count + candidates + thoughts
        return Told(
            text="".join(part.text for part in parts if part.text and not part.thought),
            finish={"STOP": "calls" if calls else "stop", "MAX_TOKENS": "length"}[reason],
            prompt=usage.prompt_token_count,
            completion=candidates + thoughts,
            cached=usage.cached_content_token_count or 0,
            thoughts=thoughts,
            thought="".join(part.text for part in parts if part.text and part.thought),
            calls=calls,
            **more,
        )

    def create(self, **request):
        return [self.client.models.generate_content(**request)]

    def stream(self, **request):
        return list(self.client.models.generate_content_stream(**request))

    @staticmethod
    def count(answers):
        return sum(bool(answer.candidates[0].content.parts) for answer in answers)

    def say(self, model, text, limit=None):
        return self.told(self.create(model=model, contents=text, config=config(max_output_tokens=limit)))

    def say_streamed(self, model, text):
        answers = self.stream(model=model, contents=text, config=config())
        return self.told(answers, pieces=self.count(answers))

    def loop(self, model, text, is_streamed):
        contents, told = [types.Content(role="user", parts=[types.Part(text=text)])], []
        for _ in range(2):
            request = {"model": model, "contents": contents, "config": config(tools=TOOLS)}
            answers = self.stream(**request) if is_streamed else self.create(**request)
            told.append(self.told(answers, pieces=self.count(answers) if is_streamed else 0))
            parts = [part for answer in answers for part in answer.candidates[0].content.parts or []]
            results = [
                types.Part(
                    function_response=types.FunctionResponse(
                        id=part.function_call.id,
                        name=part.function_call.name,
                        response={"output": RESULTS[part.function_call.name]},
                    )
                )
                for part in parts
                if part.function_call
            ]
            contents = [*contents, types.Content(role="model", parts=parts), types.Content(role="user", parts=results)]
        return told

    def see(self, model, text, image):
        picture = types.Part.from_bytes(data=b64decode(image), mime_type="image/png")
        return self.told(self.create(model=model, contents=[picture, text]))

    def fill(self, model, text):
        answers = self.create(
            model=model,
            contents=text,
            config=config(response_mime_type="application/json", response_schema=Ship),
        )
        return self.told(answers, parsed=answers[0].parsed)

    def think(self, model, text, is_streamed):
        """Plain with a budget, streamed with a level: both ways of asking are in use."""
        asked = {"thinking_level": "HIGH"} if is_streamed else {"thinking_budget": 2048}
        thinking = types.ThinkingConfig(include_thoughts=True, **asked)
        request = {"model": model, "contents": text, "config": config(thinking_config=thinking)}
        answers = self.stream(**request) if is_streamed else self.create(**request)
        return self.told(answers, pieces=self.count(answers) if is_streamed else 0)

    def pieces(self, model, text):
        for answer in self.client.models.generate_content_stream(model=model, contents=text):
            if answer.text:
                yield answer.text

    @staticmethod
    def refusal(error):
        headers = getattr(error.response, "headers", None) or {}
        return Refusal(
            kind=type(error).__name__,
            status=error.code,
            code=error.status,
            param=None,
            message=error.message or "",
            retry_after=headers.get("retry-after"),
        )
