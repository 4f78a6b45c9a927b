// OpenAI's client through tallybot: only the base URL and the key change. `npm install openai`
//
// OPENAI_BASE_URL=http://127.0.0.1:5000/gateway/cloud/v1 OPENAI_API_KEY=tb-… npx tsx chat.ts

import OpenAI from "openai";

async function main() {
  const client = new OpenAI(); // reads the two variables
  const model = (await client.models.list()).data[0].id;

  // What the call is for, and whose it is: all optional, and none of it is passed on.
  const headers = { "x-feature": "examples", "x-agent": "chat.ts", "x-user": "ana", "x-session": "first" };

  const { data, response } = await client.chat.completions
    .create({ model, messages: [{ role: "user", content: "Say hello." }] }, { headers })
    .withResponse();
  console.log(data.choices[0].message.content);
  const cost = response.headers.get("x-tallybot-cost-usd") ?? "unknown";
  console.log(`tokens: ${response.headers.get("x-tallybot-tokens")} cost: $${cost}`);

  const stream = await client.chat.completions.create(
    { model, messages: [{ role: "user", content: "Say it again." }], stream: true },
    { headers },
  );
  for await (const chunk of stream) process.stdout.write(chunk.choices[0].delta.content ?? "");
  console.log();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
