// Asks the edge with OpenAI's SDK, and prints what it got as JSON: `node client.mjs BASE_URL CASE MODEL`.
import OpenAI from "openai";

const [baseURL, name, model] = process.argv.slice(2);
const client = new OpenAI({ apiKey: "k", baseURL, maxRetries: 0 });
const messages = [{ role: "user", content: "hi" }];
const objectOf = (name) => ({
  type: "object",
  properties: { [name]: { type: "string" } },
  required: [name],
  additionalProperties: false,
});
const read = { name: "read", strict: true, parameters: objectOf("path") };
const chatTools = [{ type: "function", function: read }];
const tools = [{ type: "function", ...read }];
const response_format = {
  type: "json_schema",
  json_schema: { name: "place", strict: true, schema: objectOf("city") },
};
const image_url = { url: "data:image/png;base64,iVBORw0KGgo=" };
const image = [{ role: "user", content: [{ type: "text", text: "what is it?" }, { type: "image_url", image_url }] }];
const stream_options = { include_usage: true };

// A stream's answer as the SDK gathers it.
const gathered = (asked) =>
  client.chat.completions.stream({ model, messages, stream_options, ...asked }).finalChatCompletion();
const plain = (asked) => client.chat.completions.create({ model, messages, ...asked });

const CASES = {
  chat: () => plain(),
  chat_stream: () => gathered(),
  tools: () => plain({ tools: chatTools }),
  tools_stream: () => gathered({ tools: chatTools }),
  image: () => plain({ messages: image }),
  schema: () => plain({ response_format }),
  several: () => plain({ n: 2, logprobs: true }),
  responses: () => client.responses.create({ model, input: "hi", tools }),
  responses_stream: () => client.responses.stream({ model, input: "hi", tools }).finalResponse(),
  stored: () => client.responses.create({ model, input: "hi", previous_response_id: "resp_1" }),
  completions: () => client.completions.create({ model, prompt: "say hello" }),
  embeddings: () => client.embeddings.create({ model, input: ["a", "b"] }),
  models: async () => ({
    listed: (await client.models.list()).data.map(({ id }) => id),
    one: await client.models.retrieve(model),
  }),
  events: () => each(client.chat.completions.create({ model, messages, stream: true })),
  response_events: () => each(client.responses.create({ model, input: "hi", stream: true })),
};

// A stream's events one by one, and the error that ends it, if one does.
async function each(asked) {
  const events = [];
  try {
    for await (const event of await asked) events.push(event);
  } catch (error) {
    return { events, error: told(error) };
  }
  return { events };
}

// An error as a caller tells it from others: by its class, its status and what it says.
function told({ constructor, status, code, message, headers }) {
  return { kind: constructor.name, status, code, message, retryAfter: headers?.get("retry-after") };
}

try {
  console.log(JSON.stringify(await CASES[name]()));
} catch (error) {
  if (!(error instanceof OpenAI.OpenAIError)) throw error;
  console.log(JSON.stringify({ error: told(error) }));
}
