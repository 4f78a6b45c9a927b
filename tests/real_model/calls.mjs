// What calls.py does in Python, in JavaScript: each call prints what its client was told.
//
// Started by it: python calls.py http://127.0.0.1:5000 http://127.0.0.1:8431 node calls.mjs

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const tallybot = process.argv[2];
const model = "smollm2";
const messages = [{ role: "user", content: "Tell me about the sea." }];
const said = (name, tokensIn, tokensOut) => console.log("javascript:", name, tokensIn, tokensOut);

const openai = new OpenAI({ baseURL: `${tallybot}/gateway/llama/v1`, apiKey: "none", maxRetries: 0 });
const chat = (more) => openai.chat.completions.create({ model, messages, max_tokens: 30, ...more });
const { usage } = await chat();
said("chat", usage.prompt_tokens, usage.completion_tokens);
for await (const chunk of await chat({ stream: true })) if (chunk.usage) throw new Error("usage that was not asked for");
said("stream");
for await (const chunk of await chat({ stream: true, stream_options: { include_usage: true } }))
  if (chunk.usage) said("stream with usage", chunk.usage.prompt_tokens, chunk.usage.completion_tokens);
const completion = await openai.completions.create({ model, prompt: "Once", max_tokens: 20 });
said("completions", completion.usage.prompt_tokens, completion.usage.completion_tokens);
const response = await openai.responses.create({ model, input: "Say hello.", max_output_tokens: 20 });
said("responses", response.usage.input_tokens, response.usage.output_tokens);
for await (const event of await openai.responses.create({ model, input: "Say it.", max_output_tokens: 20, stream: true }))
  if (event.type === "response.completed") said("responses stream", event.response.usage.input_tokens, event.response.usage.output_tokens);

const anthropic = new Anthropic({ baseURL: `${tallybot}/gateway/llama-messages`, apiKey: "none", maxRetries: 0 });
const ask = { model, max_tokens: 30, messages };
const whole = ({ usage }) => [usage.input_tokens + (usage.cache_read_input_tokens ?? 0), usage.output_tokens];
said("messages", ...whole(await anthropic.messages.create(ask)));
said("messages stream", ...whole(await anthropic.messages.stream(ask).finalMessage()));
said("count_tokens", (await anthropic.messages.countTokens({ model, messages })).input_tokens);
