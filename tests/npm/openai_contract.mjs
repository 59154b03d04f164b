// The official npm SDK against a running gateway. Prints one line of JSON: what each call gave; test_openai_node.py judges.
import OpenAI from 'openai';

const { BASE_URL, API_KEY, MODEL } = process.env;
const client = new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY, maxRetries: 0 });
const ask = (content) => [{ role: 'user', content }];
const tools = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    },
  },
];
const found = {};

async function failure(work) {
  try {
    await work();
    return null;
  } catch (error) {
    return { kind: error.constructor.name, status: error.status ?? null, code: error.code, param: error.param };
  }
}

const plain = await client.chat.completions.create({ model: MODEL, messages: ask('Hello') }).withResponse();
found.plain = {
  text: plain.data.choices[0].message.content,
  usage: plain.data.usage,
  told: plain.data.tollway,
  id: plain.response.headers.get('x-request-id'),
};

found.stream = { text: '', usages: 0 };
for await (const chunk of await client.chat.completions.create({ model: MODEL, messages: ask('Hello'), stream: true })) {
  found.stream.text += chunk.choices[0].delta.content ?? '';
  if (chunk.usage) {
    found.stream.usages += 1;
    found.stream.usage = chunk.usage;
    found.stream.told = chunk.tollway;
  }
}

const helper = client.chat.completions.stream({
  model: MODEL, messages: ask('Hello'), stream_options: { include_usage: true },
});
const final = await helper.finalChatCompletion();
found.helper = { text: final.choices[0].message.content, usage: final.usage };

const messages = ask('weather in Paris');
const first = await client.chat.completions.create({ model: MODEL, messages, tools });
const calls = first.choices[0].message.tool_calls;
messages.push(first.choices[0].message);
for (const call of calls) messages.push({ role: 'tool', tool_call_id: call.id, content: '21' });
const second = await client.chat.completions.create({ model: MODEL, messages, tools });
found.tools = {
  reason: first.choices[0].finish_reason,
  city: JSON.parse(calls[0].function.arguments).city,
  text: second.choices[0].message.content,
};

const runner = client.chat.completions.runTools({
  model: MODEL,
  messages: ask('weather in Paris'),
  tools: [{ type: 'function', function: { ...tools[0].function, parse: JSON.parse, function: async () => '21' } }],
});
found.runner = await runner.finalContent();

found.models = [];
for await (const model of client.models.list()) found.models.push(model.id);
found.retrieved = (await client.models.retrieve('openai/gpt-4o')).id;

const stranger = new OpenAI({ baseURL: BASE_URL, apiKey: 'tw_nobody', maxRetries: 0 });
const create = (who, more) => () => who.chat.completions.create({ model: MODEL, messages: ask('Hello'), ...more });
found.errors = {
  stranger: await failure(create(stranger)),
  field: await failure(create(client, { max_tokens: 'many' })),
  model: await failure(create(client, { model: 'openai/gpt-4oo' })),
  missing: await failure(() => client.models.retrieve('openai/gpt-4oo')),
  budget: await failure(create(client, { max_price: '0.000001' })),
  broken: await failure(create(client, { model: 'fault-openai/fault-status-500' })),
  stream: await failure(async () => {
    const stream = await client.chat.completions.create({
      model: 'fault-openai/fault-error-frame-mid', messages: ask('hi'), stream: true,
    });
    for await (const chunk of stream) chunk.choices[0].delta.content;
  }),
};

console.log(JSON.stringify(found));
