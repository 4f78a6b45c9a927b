"""OpenAI's client through tallybot: only the base URL and the key change. `pip install openai`

OPENAI_BASE_URL=http://127.0.0.1:5000/gateway/cloud/v1 OPENAI_API_KEY=tb-… python chat.py
"""

from openai import OpenAI

client = OpenAI()  # reads the two variables
model = client.models.list().data[0].id

# What the call is for, and whose it is: all optional, and none of it is passed on.
about = {"x-feature": "examples", "x-agent": "chat.py", "x-user": "ana", "x-session": "first"}

answer = client.chat.completions.with_raw_response.create(
    model=model,
    messages=[{"role": "user", "content": "Say hello."}],
    extra_headers=about,
)
print(answer.parse().choices[0].message.content)
print("tokens:", answer.headers["x-tallybot-tokens"], "cost: $" + answer.headers.get("x-tallybot-cost-usd", "unknown"))

with client.chat.completions.create(
    model=model,
    messages=[{"role": "user", "content": "Say it again."}],
    extra_headers=about,
    stream=True,
) as stream:
    for chunk in stream:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
