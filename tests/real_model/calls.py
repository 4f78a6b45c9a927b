"""The gateway's books against a real model's own: every call's usage, and the totals of the server's /metrics.

Run by hand, since it needs a model: a llama-server (llama.cpp) and any small GGUF file of instructions.

    llama-server -m model.gguf --port 8431 -c 4096 --parallel 2 --metrics --alias smollm2
    tallybot serve --config real.toml              # tests/real_model/real.toml
    pip install openai anthropic; npm install openai @anthropic-ai/sdk
    python calls.py http://127.0.0.1:5000 http://127.0.0.1:8431 [node calls.mjs]

The server must serve nothing else meanwhile. Prints what differs, and ends with 1 if anything does.
"""

import json
import subprocess
import sys
import time
import urllib.request

import anthropic
import openai

tallybot, server, *other = sys.argv[1:]
ASK = [{"role": "user", "content": "Tell me a story about a lighthouse."}]


def get(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read().decode()


def metrics():
    """(input, output) of all calls, as the server counts them."""
    rows = dict(line.split() for line in get(f"{server}/metrics").splitlines() if line.startswith("llamacpp:"))
    total = lambda *names: sum(int(float(rows.get(f"llamacpp:{name}", 0))) for name in names)
    return total("prompt_tokens_total", "prompt_tokens_cached_total"), total("tokens_predicted_total")


def books():
    """(input, output, of which estimated, records) as tallybot counts them."""
    totals = json.loads(get(f"{tallybot}/v1/usage"))["totals"]
    return tuple(totals[name] for name in ("prompt_tokens", "completion_tokens", "estimated_tokens", "requests"))


def calls():
    """Yields (name, input, output) of each call as its client was told it; None where it was not."""
    client = openai.OpenAI(base_url=f"{tallybot}/gateway/llama/v1", api_key="none", max_retries=0)
    told = lambda name, usage: (name, usage.prompt_tokens, usage.completion_tokens)
    chat = lambda **more: client.chat.completions.create(model="smollm2", messages=ASK, max_tokens=40, **more)
    yield told("chat", chat().usage)
    chunks = list(chat(stream=True))
    assert all(chunk.choices and not chunk.usage for chunk in chunks)
    yield "stream", None, None
    yield told("stream with usage", list(chat(stream=True, stream_options={"include_usage": True}))[-1].usage)
    with client.chat.completions.create(model="smollm2", messages=ASK, max_tokens=200, stream=True) as stream:
        for _ in zip(range(5), stream):
            pass
    yield "stream, left after 5 pieces", None, None
    yield told("completions", client.completions.create(model="smollm2", prompt="Once", max_tokens=20).usage)
    usage = client.responses.create(model="smollm2", input="Say hello.", max_output_tokens=20).usage
    yield "responses", usage.input_tokens, usage.output_tokens
    events = list(client.responses.create(model="smollm2", input="Say hello.", max_output_tokens=20, stream=True))
    usage = events[-1].response.usage
    yield "responses stream", usage.input_tokens, usage.output_tokens

    client = anthropic.Anthropic(base_url=f"{tallybot}/gateway/llama-messages", api_key="none", max_retries=0)
    whole = lambda usage: usage.input_tokens + (usage.cache_read_input_tokens or 0)
    usage = client.messages.create(model="smollm2", max_tokens=30, messages=ASK).usage
    yield "messages", whole(usage), usage.output_tokens
    with client.messages.stream(model="smollm2", max_tokens=30, messages=ASK) as stream:
        usage = stream.get_final_message().usage
    yield "messages stream", whole(usage), usage.output_tokens
    with client.messages.stream(model="smollm2", max_tokens=150, messages=ASK) as stream:
        for _ in zip(range(5), stream):
            pass
    yield "messages stream, left", None, None
    assert client.messages.count_tokens(model="smollm2", messages=ASK).input_tokens > 0
    yield "count_tokens", 0, 0


def recorded_since(before):
    """The books when the next record is in them: that of a client which left comes when its answer has ended."""
    while (now := books())[3] == before[3]:
        time.sleep(0.05)
    return now


def difference(before, after):
    return [now - was for was, now in zip(before, after)]


def main():
    server_before, before = metrics(), books()
    now, wrong = before, 0
    for name, tokens_in, tokens_out in calls():
        last, now = now, recorded_since(now)
        recorded = difference(last, now)
        agrees = tokens_in is None or recorded == [tokens_in, tokens_out, 0, 1]
        wrong += not agrees
        print(f"{name:28} told {tokens_in!s:>5} {tokens_out!s:>5}   in, out, estimated, records: {recorded}" + " WRONG" * (not agrees))
    if other:
        subprocess.run([*other, tallybot], check=True)
    of_server, of_books = difference(server_before, metrics()), difference(before, books())
    print(f"the server counted {of_server[0]} in, {of_server[1]} out; the books have {of_books}")
    return wrong or of_server != of_books[:2]


sys.exit(1 if main() else 0)
