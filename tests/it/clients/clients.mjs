// The official JavaScript clients through the gateway: nothing is set but the base URL and the key.
//
// Usage: node clients.mjs GATEWAY KEY POOR_KEY — prints one JSON line per call: provider, operation, and the tokens that
// the client was told of, null where it was told nothing; for a call that failed, how.

import assert from "node:assert/strict";

import Anthropic from "@anthropic-ai/sdk";
import { ApiError, GoogleGenAI } from "@google/genai";
import { Ollama } from "ollama";
import OpenAI from "openai";

const [gateway, key, poor] = process.argv.slice(2);
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const CITY = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const messages = [{ role: "user", content: "hello" }];
const model = "tiny";

function said(provider, operation, tokensIn = null, tokensOut = null, failed = null) {
  console.log(JSON.stringify([provider, operation, tokensIn, tokensOut, failed]));
}

async function raises(kind, call) {
  const raised = await call().then(() => undefined, (error) => error);
  assert(raised instanceof kind, `${raised} is a ${kind.name}`);
  return raised;
}

async function all(iterable) {
  const found = [];
  for await (const item of iterable) found.push(item);
  return found;
}

const joined = (pieces) => assert.equal([...pieces].join(""), "Hello there");

async function withOpenAI(make) {
  const client = make(key);
  const told = (operation, usage) => said("openai", operation, usage.prompt_tokens, usage.completion_tokens ?? 0);
  const chat = (more) => client.chat.completions.create({ model, messages, ...more });

  const plain = await chat();
  joined(plain.choices[0].message.content);
  told("chat.completions", plain.usage);

  let chunks = await all(await chat({ stream: true }));
  joined(chunks.map((chunk) => chunk.choices[0].delta.content ?? "")); // no chunk without a choice
  assert(chunks.every((chunk) => !chunk.usage));
  said("openai", "chat.completions");

  chunks = await all(await chat({ stream: true, stream_options: { include_usage: true } }));
  told("chat.completions", chunks.at(-1).usage);

  const withTool = await chat({ tools: [{ type: "function", function: { name: "weather", parameters: CITY } }] });
  assert.deepEqual(JSON.parse(withTool.choices[0].message.tool_calls[0].function.arguments), { city: "Lima" });
  told("chat.completions", withTool.usage);

  const image = { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } };
  told("chat.completions", (await chat({ messages: [{ role: "user", content: [image] }] })).usage);

  told("completions", (await client.completions.create({ model, prompt: "hello" })).usage);

  const response = await client.responses.create({ model, input: "hello" });
  joined(response.output_text);
  said("openai", "responses", response.usage.input_tokens, response.usage.output_tokens);
  const events = await all(await client.responses.create({ model, input: "hello", stream: true }));
  const { usage } = events.at(-1).response;
  said("openai", "responses", usage.input_tokens, usage.output_tokens);

  const vectors = await client.embeddings.create({ model, input: "hello" });
  assert.deepEqual(vectors.data[0].embedding, [0.5, 0.25]);
  told("embeddings", vectors.usage);

  assert.deepEqual((await all(client.models.list())).map((model) => model.id), ["tiny"]);
  said("openai", "other");

  await raises(OpenAI.NotFoundError, () => chat({ model: "missing" }));
  said("openai", "chat.completions", null, null, "error");
  await raises(OpenAI.AuthenticationError, () => make("tb-wrong").chat.completions.create({ model, messages }));
  told("chat.completions", (await make(poor).chat.completions.create({ model, messages })).usage);
  const limited = await raises(OpenAI.RateLimitError, () => make(poor).chat.completions.create({ model, messages }));
  assert(Number(limited.headers.get("retry-after")) > 0 && limited.message.includes("poor"), limited.message);
  said("openai", "chat.completions", null, null, "refused");
}

async function withAnthropic(make) {
  const client = make(key);
  const ask = { model, max_tokens: 100, messages };
  const told = ({ usage }) =>
    said("anthropic", "messages", usage.input_tokens + usage.cache_read_input_tokens, usage.output_tokens);

  const message = await client.messages.create(ask);
  joined(message.content[0].text);
  told(message);
  const stream = client.messages.stream(ask);
  joined(await stream.finalText());
  told(await stream.finalMessage());
  const withTool = await client.messages.create({ ...ask, tools: [{ name: "weather", input_schema: CITY }] });
  assert.deepEqual(withTool.content[1].input, { city: "Lima" });
  told(withTool);
  const source = { type: "base64", media_type: "image/png", data: PNG };
  told(await client.messages.create({ ...ask, messages: [{ role: "user", content: [{ type: "image", source }] }] }));

  assert.equal((await client.messages.countTokens({ model, messages })).input_tokens, 14);
  said("anthropic", "messages.count_tokens");
  assert.deepEqual((await all(client.models.list())).map((model) => model.id), ["tiny"]);
  said("anthropic", "other");

  await raises(Anthropic.NotFoundError, () => client.messages.create({ ...ask, model: "missing" }));
  said("anthropic", "messages", null, null, "error");
  await raises(Anthropic.AuthenticationError, () => make("tb-wrong").messages.create(ask));
  told(await make(poor).messages.create(ask));
  const limited = await raises(Anthropic.RateLimitError, () => make(poor).messages.create(ask));
  assert(Number(limited.headers.get("retry-after")) > 0 && limited.message.includes("poor"), limited.message);
  said("anthropic", "messages", null, null, "refused");
}

async function withGemini(make) {
  const { models } = make(key);
  const told = (operation, { usageMetadata }) =>
    said("gemini", operation, usageMetadata.promptTokenCount, usageMetadata.candidatesTokenCount);
  const ask = { model, contents: "hello" };

  const answer = await models.generateContent(ask);
  joined(answer.text);
  told("generate_content", answer);
  const pieces = await all(await models.generateContentStream(ask));
  joined(pieces.map((piece) => piece.text));
  told("stream_generate_content", pieces.at(-1));
  const tools = [{ functionDeclarations: [{ name: "weather", parametersJsonSchema: CITY }] }];
  const withTool = await models.generateContent({ ...ask, config: { tools } });
  assert.deepEqual(withTool.functionCalls[0].args, { city: "Lima" });
  told("generate_content", withTool);
  const image = { inlineData: { mimeType: "image/png", data: PNG } };
  told("generate_content", await models.generateContent({ model, contents: [image, { text: "what is it?" }] }));

  const vectors = await models.embedContent(ask);
  assert.deepEqual(vectors.embeddings[0].values, [0.5, 0.25]);
  said("gemini", "embed_content");
  assert.deepEqual((await all(await models.list())).map((model) => model.name), ["models/tiny"]);
  said("gemini", "other");

  const failing = async (client, status, model = "tiny") => {
    const error = await raises(ApiError, () => client.models.generateContent({ ...ask, model }));
    assert.equal(error.status, status, error.message);
    return error;
  };
  await failing(make(key), 404, "missing");
  said("gemini", "generate_content", null, null, "error");
  await failing(make("tb-wrong"), 401);
  told("generate_content", await make(poor).models.generateContent(ask));
  const limited = await failing(make(poor), 429);
  assert(limited.message.includes("RESOURCE_EXHAUSTED") && limited.message.includes("poor"), limited.message);
  said("gemini", "generate_content", null, null, "refused");
}

async function withOllama(make) {
  const client = make(key);
  const told = (operation, answer) => said("ollama", operation, answer.prompt_eval_count, answer.eval_count ?? 0);

  const answer = await client.chat({ model, messages });
  joined(answer.message.content);
  told("chat", answer);
  let pieces = await all(await client.chat({ model, messages, stream: true }));
  joined(pieces.map((piece) => piece.message.content));
  told("chat", pieces.at(-1));
  const withTool = await client.chat({ model, messages, tools: [{ type: "function", function: { name: "weather", parameters: CITY } }] });
  assert.deepEqual(withTool.message.tool_calls[0].function.arguments, { city: "Lima" });
  told("chat", withTool);
  told("chat", await client.chat({ model, messages: [{ ...messages[0], images: [PNG] }] }));

  const generated = await client.generate({ model, prompt: "hello" });
  joined(generated.response);
  told("generate", generated);
  pieces = await all(await client.generate({ model, prompt: "hello", stream: true }));
  joined(pieces.map((piece) => piece.response));
  told("generate", pieces.at(-1));
  const vectors = await client.embed({ model, input: "hello" });
  assert.deepEqual(vectors.embeddings[0], [0.5, 0.25]);
  told("embed", vectors);
  assert.deepEqual((await client.list()).models.map((model) => model.model), ["tiny"]);
  said("ollama", "other");

  const failing = async (client, status, model = "tiny") => {
    const error = await raises(Error, () => client.chat({ model, messages }));
    assert.deepEqual([error.name, error.status_code], ["ResponseError", status], error.message);
    return error;
  };
  await failing(client, 404, "missing");
  said("ollama", "chat", null, null, "error");
  await failing(make("tb-wrong"), 401);
  told("chat", await make(poor).chat({ model, messages }));
  assert((await failing(make(poor), 429)).error.includes("poor"));
  said("ollama", "chat", null, null, "refused");
}

await withOpenAI((apiKey) => new OpenAI({ baseURL: `${gateway}/openai/v1`, apiKey }));
await withAnthropic((apiKey) => new Anthropic({ baseURL: `${gateway}/anthropic`, apiKey }));
await withGemini((apiKey) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: `${gateway}/gemini` } }));
await withOllama((key) => new Ollama({ host: `${gateway}/ollama`, headers: { Authorization: `Bearer ${key}` } }));
console.log("done");
