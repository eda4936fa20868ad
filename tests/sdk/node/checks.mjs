// OpenAI's Node client against a running gateway: node checks.mjs GATEWAY SIMULATOR, both http://host:port.
// Prints one JSON line for each check, {"check": NAME, "error": null or what went wrong}. test_openai_node.py starts it and
// says what each model of the gateway does.
import assert from 'node:assert/strict';
import OpenAI from 'openai';

const [gateway, simulator] = process.argv.slice(2);
const settings = { baseURL: `${gateway}/v1`, apiKey: 'sk-client-web', maxRetries: 0, timeout: 20000 };
const client = new OpenAI(settings);
const messages = [{ role: 'user', content: 'Tell me of the sea' }];
const tools = ['look_up', 'write_down'].map((name) => ({
  type: 'function',
  function: { name, parameters: { type: 'object', properties: {} } },
}));

// What the simulator answers, by its manual.
function fnv1a(text) {
  let h = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(text)) h = BigInt.asUintN(64, (h ^ BigInt(byte)) * 0x100000001b3n);
  return h;
}

const content = (text) => `echo: ${text} #${fnv1a(text).toString(16).padStart(16, '0')}`;

function embedding(text, dimensions) {
  let state = fnv1a(text);
  return Array.from({ length: dimensions }, () => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let z = BigInt.asUintN(64, (state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return Number((z ^ (z >> 31n)) >> 40n) / 2 ** 23 - 1;
  });
}

const sea = content('Tell me of the sea');

async function gather(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');

async function statistics(key) {
  const answer = await fetch(`${simulator}/sim/keys/${key}`);
  return answer.json();
}

async function until(condition) {
  for (let i = 0; i < 250; i++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail('did not come to pass');
}

// Rejects with an error of this class and with these members.
async function fails(promise, kind, members) {
  const error = await promise.then(() => assert.fail('no error'), (reason) => reason);
  assert.equal(error.constructor.name, kind, error.stack);
  for (const [name, value] of Object.entries(members)) assert.deepEqual(error[name], value, `${name}: ${error[name]}`);
  return error;
}

const checks = {
  async chat() {
    const answer = await client.chat.completions.create({ model: 'well', messages });
    assert.equal(answer.choices[0].message.content, sea);
    assert.equal(answer.choices[0].finish_reason, 'stop');
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
    assert.match(answer._request_id, /^req_/);
  },

  async stream() {
    const chunks = await gather(await client.chat.completions.create({ model: 'well', messages, stream: true }));
    assert.equal(textOf(chunks), sea);
    assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
    assert.ok(chunks.every((chunk) => !chunk.usage), 'usage that nobody asked for');
  },

  async stream_with_usage() {
    const chunks = await gather(
      await client.chat.completions.create({ model: 'well', messages, stream: true, stream_options: { include_usage: true } }),
    );
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.equal(chunks.at(-1).usage.completion_tokens, sea.split(' ').length);
  },

  async tools() {
    const answer = await client.chat.completions.create({ model: 'well', messages, tools });
    const call = answer.choices[0].message.tool_calls[0];
    assert.equal(answer.choices[0].finish_reason, 'tool_calls');
    assert.equal(call.function.name, 'look_up');
    assert.equal(JSON.parse(call.function.arguments).text, 'Tell me of the sea');
  },

  async tools_streamed() {
    const runner = client.chat.completions.stream({ model: 'two-calls', messages, tools });
    let pieces = 0;
    runner.on('tool_calls.function.arguments.delta', () => pieces++);
    const { message } = (await runner.finalChatCompletion()).choices[0];
    assert.ok(pieces > 2);
    assert.deepEqual(message.tool_calls.map((call) => call.function.name), ['look_up', 'write_down']);
    for (const call of message.tool_calls) assert.equal(JSON.parse(call.function.arguments).text, 'Tell me of the sea');
  },

  // The client asks for base64 by itself and decodes it.
  async embeddings() {
    const answer = await client.embeddings.create({ model: 'well', input: ['one', 'two'], dimensions: 16 });
    answer.data.forEach((item, i) => assert.deepEqual([...item.embedding], embedding(['one', 'two'][i], 16)));
  },

  async embeddings_as_floats() {
    const answer = await client.embeddings.create({ model: 'well', input: 'one', dimensions: 16, encoding_format: 'float' });
    answer.data[0].embedding.forEach((number, i) => assert.ok(Math.abs(number - embedding('one', 16)[i]) < 1e-6));
  },

  async completions() {
    const request = { model: 'well', prompt: 'Once upon', max_tokens: 50 };
    const answer = await client.completions.create(request);
    assert.equal(answer.choices[0].text, content('Once upon'));
    const chunks = await gather(await client.completions.create({ ...request, stream: true }));
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.text ?? '').join(''), content('Once upon'));
  },

  async models() {
    const names = (await gather(await client.models.list())).map((model) => model.id);
    assert.ok(names.includes('well') && names.includes('team/deep'), names.join());
    assert.equal((await client.models.retrieve('well')).id, 'well');
    assert.equal((await client.models.retrieve('team/deep')).id, 'team/deep');
    await fails(client.models.retrieve('nobody'), 'NotFoundError', { status: 404, code: 'model_not_found' });
  },

  async bad_request() {
    const error = await fails(client.chat.completions.create({ model: 'well', messages: 'no list' }), 'BadRequestError', {
      status: 400,
      code: 'invalid_type',
      param: 'messages',
    });
    assert.match(error.message, /messages/);
  },

  async authentication_error() {
    const stranger = new OpenAI({ ...settings, apiKey: 'sk-nobody' });
    await fails(stranger.chat.completions.create({ model: 'well', messages }), 'AuthenticationError', {
      status: 401,
      code: 'invalid_api_key',
    });
  },

  async permission_denied() {
    const narrow = new OpenAI({ ...settings, apiKey: 'sk-client-narrow' });
    await fails(narrow.chat.completions.create({ model: 'well', messages }), 'PermissionDeniedError', {
      status: 403,
      code: 'model_not_allowed',
    });
  },

  async model_not_found() {
    await fails(client.chat.completions.create({ model: 'absent', messages }), 'NotFoundError', {
      status: 404,
      code: 'model_not_found',
      param: 'model',
    });
  },

  async rate_limit_error() {
    const limited = new OpenAI({ ...settings, apiKey: 'sk-client-limited' });
    await limited.chat.completions.create({ model: 'well', messages });
    const error = await fails(limited.chat.completions.create({ model: 'well', messages }), 'RateLimitError', {
      status: 429,
      code: 'rate_limit_exceeded',
    });
    assert.ok(Number(error.headers.get('retry-after')) >= 55);
  },

  async waits_as_it_is_told() {
    const bursting = new OpenAI({ ...settings, apiKey: 'sk-client-bursting', maxRetries: 1 });
    const started = Date.now();
    for (let i = 0; i < 2; i++) await bursting.chat.completions.create({ model: 'well', messages });
    assert.ok(Date.now() - started > 500 && Date.now() - started < 2000, `${Date.now() - started} ms`);
  },

  async failed_exchange_is_not_begun_anew() {
    const eager = new OpenAI({ ...settings, maxRetries: 2 });
    const error = await fails(eager.chat.completions.create({ model: 'overloaded', messages }), 'InternalServerError', {
      status: 503,
    });
    assert.equal(error.headers.get('x-should-retry'), 'false');
    assert.equal((await statistics('sk-up-overloaded')).generations.failed, 3);
  },

  async error_in_mid_stream() {
    const stream = await client.chat.completions.create({ model: 'cut', messages, stream: true });
    const seen = [];
    await fails(
      (async () => {
        for await (const chunk of stream) seen.push(chunk);
      })(),
      'APIError',
      { code: 'upstream_failed' },
    );
    assert.equal(seen.length, 3);
  },

  async client_times_out() {
    const hasty = new OpenAI({ ...settings, timeout: 300 });
    await fails(hasty.chat.completions.create({ model: 'slow', messages }), 'APIConnectionTimeoutError', {});
    await until(async () => (await statistics('sk-up-slow')).cancelled === 1);
  },

  async gateway_times_out() {
    await fails(client.chat.completions.create({ model: 'silent', messages }), 'InternalServerError', {
      status: 504,
      code: 'timeout',
    });
  },

  async abort_in_mid_stream() {
    const stream = await client.chat.completions.create({ model: 'long', messages, stream: true });
    let seen = 0;
    for await (const _ of stream) if (++seen === 5) break;
    await until(async () => (await statistics('sk-up-long')).cancelled === 1);
  },

  async many_at_once() {
    await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        const request = { model: 'well', messages: [{ role: 'user', content: `question ${i}` }] };
        const text =
          i % 2
            ? (await client.chat.completions.create(request)).choices[0].message.content
            : textOf(await gather(await client.chat.completions.create({ ...request, stream: true })));
        assert.equal(text, content(`question ${i}`));
      }),
    );
  },
};

for (const [check, run] of Object.entries(checks)) {
  const error = await run().then(() => null, (reason) => reason.stack ?? String(reason));
  console.log(JSON.stringify({ check, error }));
}
process.exit(0); // connections that are kept alive would hold it up
