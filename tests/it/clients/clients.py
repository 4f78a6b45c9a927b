"""The official Python clients through the gateway: nothing is set but the base URL and the key.

Usage: clients.py GATEWAY KEY POOR_KEY — prints one JSON line per call: provider, operation, and the tokens that the client
was told of, null where it was told nothing; for a call that failed, how.
"""

import base64
import json
import sys

import anthropic
import ollama
import openai
from google import genai
from google.genai import errors, types

gateway, key, poor = sys.argv[1:]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ASK = [{"role": "user", "content": "hello"}]


def said(provider, operation, tokens_in=None, tokens_out=None, failed=None):
    print(json.dumps([provider, operation, tokens_in, tokens_out, failed]))


def raises(error, call):
    try:
        call()
    except error as raised:
        return raised
    raise AssertionError(f"no {error}")


def joined(pieces):
    text = "".join(pieces)
    assert text == "Hello there", text


def with_openai(make):
    client = make(key)
    chat = client.chat.completions.create(model="tiny", messages=ASK)
    joined(chat.choices[0].message.content)
    said("openai", "chat.completions", chat.usage.prompt_tokens, chat.usage.completion_tokens)

    chunks = list(client.chat.completions.create(model="tiny", messages=ASK, stream=True))
    joined(chunk.choices[0].delta.content or "" for chunk in chunks)  # no chunk without a choice
    assert all(not chunk.usage for chunk in chunks)
    said("openai", "chat.completions")

    asked = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="tiny", messages=ASK, stream=True, stream_options=asked))
    said("openai", "chat.completions", chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens)

    tool = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
    chat = client.chat.completions.create(model="tiny", messages=ASK, tools=[tool])
    assert json.loads(chat.choices[0].message.tool_calls[0].function.arguments) == {"city": "Lima"}
    said("openai", "chat.completions", chat.usage.prompt_tokens, chat.usage.completion_tokens)

    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG}}
    seen = [{"role": "user", "content": [{"type": "text", "text": "what is it?"}, image]}]
    chat = client.chat.completions.create(model="tiny", messages=seen)
    said("openai", "chat.completions", chat.usage.prompt_tokens, chat.usage.completion_tokens)

    old = client.completions.create(model="tiny", prompt="hello")
    said("openai", "completions", old.usage.prompt_tokens, old.usage.completion_tokens)

    response = client.responses.create(model="tiny", input="hello")
    joined(response.output_text)
    said("openai", "responses", response.usage.input_tokens, response.usage.output_tokens)
    with client.responses.stream(model="tiny", input="hello") as stream:
        usage = stream.get_final_response().usage
    said("openai", "responses", usage.input_tokens, usage.output_tokens)

    vectors = client.embeddings.create(model="tiny", input="hello")
    assert vectors.data[0].embedding == [0.5, 0.25], vectors
    said("openai", "embeddings", vectors.usage.prompt_tokens, 0)

    assert [model.id for model in client.models.list()] == ["tiny"]
    said("openai", "other")

    raises(openai.NotFoundError, lambda: client.chat.completions.create(model="missing", messages=ASK))
    said("openai", "chat.completions", failed="error")
    raises(openai.AuthenticationError, lambda: make("tb-wrong").chat.completions.create(model="tiny", messages=ASK))
    once = make(poor).chat.completions.create(model="tiny", messages=ASK)
    said("openai", "chat.completions", once.usage.prompt_tokens, once.usage.completion_tokens)
    limited = raises(openai.RateLimitError, lambda: make(poor).chat.completions.create(model="tiny", messages=ASK))
    assert int(limited.response.headers["retry-after"]) > 0 and "poor" in str(limited), limited
    said("openai", "chat.completions", failed="refused")


def with_anthropic(make):
    client = make(key)
    ask = {"model": "tiny", "max_tokens": 100, "messages": ASK}

    def told(message):
        usage = message.usage
        said("anthropic", "messages", usage.input_tokens + usage.cache_read_input_tokens, usage.output_tokens)

    message = client.messages.create(**ask)
    joined(message.content[0].text)
    told(message)
    with client.messages.stream(**ask) as stream:
        joined(stream.text_stream)
        told(stream.get_final_message())
    message = client.messages.create(**ask, tools=[{"name": "weather", "input_schema": CITY}])
    assert message.content[1].input == {"city": "Lima"}
    told(message)
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    seen = [{"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": "what is it?"}]}]
    told(client.messages.create(model="tiny", max_tokens=100, messages=seen))

    assert client.messages.count_tokens(model="tiny", messages=ASK).input_tokens == 14
    said("anthropic", "messages.count_tokens")
    assert [model.id for model in client.models.list()] == ["tiny"]
    said("anthropic", "other")

    raises(anthropic.NotFoundError, lambda: client.messages.create(**{**ask, "model": "missing"}))
    said("anthropic", "messages", failed="error")
    raises(anthropic.AuthenticationError, lambda: make("tb-wrong").messages.create(**ask))
    told(make(poor).messages.create(**ask))
    limited = raises(anthropic.RateLimitError, lambda: make(poor).messages.create(**ask))
    assert int(limited.response.headers["retry-after"]) > 0 and "poor" in str(limited), limited
    said("anthropic", "messages", failed="refused")


def with_gemini(make):
    client = make(key)

    def told(operation, answer):
        usage = answer.usage_metadata
        said("gemini", operation, usage.prompt_token_count, usage.candidates_token_count)

    answer = client.models.generate_content(model="tiny", contents="hello")
    joined(answer.text)
    told("generate_content", answer)
    pieces = list(client.models.generate_content_stream(model="tiny", contents="hello"))
    joined(piece.text for piece in pieces)
    told("stream_generate_content", pieces[-1])
    weather = types.FunctionDeclaration(name="weather", parameters_json_schema=CITY)
    tools = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[weather])])
    answer = client.models.generate_content(model="tiny", contents="hello", config=tools)
    assert answer.function_calls[0].args == {"city": "Lima"}
    told("generate_content", answer)
    image = types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png")
    told("generate_content", client.models.generate_content(model="tiny", contents=[image, "what is it?"]))

    assert client.models.embed_content(model="tiny", contents="hello").embeddings[0].values == [0.5, 0.25]
    said("gemini", "embed_content")
    assert [model.name for model in client.models.list()] == ["models/tiny"]
    said("gemini", "other")

    def failing(client, status, model="tiny"):
        error = raises(errors.ClientError, lambda: client.models.generate_content(model=model, contents="hello"))
        assert error.code == status, error
        return error

    failing(client, 404, "missing")
    said("gemini", "generate_content", failed="error")
    failing(make("tb-wrong"), 401)
    once = make(poor)  # a client that nobody holds closes itself
    told("generate_content", once.models.generate_content(model="tiny", contents="hello"))
    limited = failing(once, 429)
    assert limited.status == "RESOURCE_EXHAUSTED" and "poor" in str(limited), limited
    assert int(limited.response.headers["retry-after"]) > 0
    said("gemini", "generate_content", failed="refused")


def with_ollama(make):
    client = make(key)

    def told(operation, answer):
        said("ollama", operation, answer.prompt_eval_count, answer.eval_count)

    answer = client.chat(model="tiny", messages=ASK)
    joined(answer.message.content)
    told("chat", answer)
    pieces = list(client.chat(model="tiny", messages=ASK, stream=True))
    joined(piece.message.content for piece in pieces)
    told("chat", pieces[-1])
    tool = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
    answer = client.chat(model="tiny", messages=ASK, tools=[tool])
    assert answer.message.tool_calls[0].function.arguments == {"city": "Lima"}
    told("chat", answer)
    told("chat", client.chat(model="tiny", messages=[{**ASK[0], "images": [base64.b64decode(PNG)]}]))

    answer = client.generate(model="tiny", prompt="hello")
    joined(answer.response)
    told("generate", answer)
    pieces = list(client.generate(model="tiny", prompt="hello", stream=True))
    joined(piece.response for piece in pieces)
    told("generate", pieces[-1])
    vectors = client.embed(model="tiny", input="hello")
    assert list(vectors.embeddings[0]) == [0.5, 0.25]
    said("ollama", "embed", vectors.prompt_eval_count, 0)
    assert [model.model for model in client.list().models] == ["tiny"]
    said("ollama", "other")

    def failing(client, status, model="tiny"):
        error = raises(ollama.ResponseError, lambda: client.chat(model=model, messages=ASK))
        assert error.status_code == status, error
        return error

    failing(client, 404, "missing")
    said("ollama", "chat", failed="error")
    failing(make("tb-wrong"), 401)
    told("chat", make(poor).chat(model="tiny", messages=ASK))
    assert "poor" in failing(make(poor), 429).error
    said("ollama", "chat", failed="refused")


def gemini(key):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=f"{gateway}/gemini"))


with_openai(lambda key: openai.OpenAI(base_url=f"{gateway}/openai/v1", api_key=key))
with_anthropic(lambda key: anthropic.Anthropic(base_url=f"{gateway}/anthropic", api_key=key))
with_gemini(gemini)
with_ollama(lambda key: ollama.Client(host=f"{gateway}/ollama", headers={"Authorization": f"Bearer {key}"}))
print("done")
