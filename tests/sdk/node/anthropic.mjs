// Anthropic's Node client against a running gateway: node anthropic.mjs GATEWAY MODEL... (http://host:port).
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { RESULTS, TEXT, argumentsOf, content, fails, run, ship, shipSchema, thoughtOf, toolSchema } from './common.mjs';

const [gateway, ...models] = process.argv.slice(2);
const settings = { baseURL: gateway, apiKey: 'sk-client-web', maxRetries: 0, timeout: 20000 };
const client = new Anthropic(settings);
const messages = [{ role: 'user', content: TEXT }];
const tools = Object.keys(RESULTS).map((name) => ({ name, description: 'A tool.', input_schema: toolSchema }));
const textOf = (message) => message.content.filter((block) => block.type === 'text').map((block) => block.text).join('');

const checks = {
  async message(model) {
    const message = await client.messages.create({ model, max_tokens: 1000, messages });
    assert.equal(textOf(message), content(TEXT));
    assert.equal(message.stop_reason, 'end_turn');
    assert.equal(message.usage.cache_read_input_tokens, 5);
    assert.match(message._request_id, /^req_/);
  },

  async stream(model) {
    const stream = client.messages.stream({ model, max_tokens: 1000, messages });
    const pieces = [];
    stream.on('text', (delta) => pieces.push(delta));
    const message = await stream.finalMessage();
    assert.ok(pieces.length > 10);
    assert.equal(pieces.join(''), textOf(message));
    assert.equal(textOf(message), content(TEXT));
    assert.equal(message.usage.output_tokens, content(TEXT).split(' ').length + (model.startsWith('deepseek') ? 3 : 0));
  },

  async loop_of_tools(model) {
    const history = [...messages];
    for (const stream of [false, true]) {
      const request = { model, max_tokens: 1000, messages: history, tools };
      const message = stream ? await client.messages.stream(request).finalMessage() : await client.messages.create(request);
      if (stream) {
        assert.equal(textOf(message), content(TEXT));
        break;
      }
      const uses = message.content.filter((block) => block.type === 'tool_use');
      assert.deepEqual(uses.map((use) => [use.name, use.input]), Object.keys(RESULTS).map((name) => [name, argumentsOf(TEXT)]));
      assert.equal(message.stop_reason, 'tool_use');
      const results = uses.map((use) => ({ type: 'tool_result', tool_use_id: use.id, content: RESULTS[use.name] }));
      history.push({ role: 'assistant', content: message.content }, { role: 'user', content: results });
    }
  },

  async tool_input_streamed(model) {
    const stream = client.messages.stream({ model, max_tokens: 1000, messages, tools });
    let last;
    stream.on('inputJson', (_, snapshot) => (last = snapshot));
    await stream.finalMessage();
    assert.deepEqual(last, argumentsOf(TEXT));
  },

  async structured(model) {
    const output_config = { format: { type: 'json_schema', schema: shipSchema } };
    const message = await client.messages.create({ model, max_tokens: 1000, messages, output_config });
    assert.deepEqual(JSON.parse(textOf(message)), ship);
  },

  async thinking(model) {
    const request = { model, max_tokens: 4000, messages, thinking: { type: 'enabled', budget_tokens: 2048 } };
    const message = await client.messages.stream(request).finalMessage();
    const thoughts = message.content.filter((block) => block.type === 'thinking');
    const isShown = /^(anthropic|gemini|deepseek)/.test(model);
    assert.deepEqual(thoughts.map((block) => block.thinking), isShown ? [thoughtOf(TEXT)] : []);
    assert.equal(message.usage.output_tokens_details.thinking_tokens, 3);
    assert.equal(textOf(message), content(TEXT));
  },

  async count_tokens() {
    const { input_tokens } = await client.messages.countTokens({ model: 'anthropic/claude-opus-4-6', messages });
    assert.equal(input_tokens, 7 + Math.ceil(TEXT.length / 4));
  },

  async models() {
    const page = await client.models.list();
    assert.deepEqual(page.data.map((model) => model.id).sort(), ['one-of-ours', 'other-of-ours']);
    assert.equal((await client.models.retrieve('one-of-ours')).id, 'one-of-ours');
  },

  async errors() {
    const ask = { model: 'one-of-ours', max_tokens: 100, messages };
    await fails(new Anthropic({ ...settings, apiKey: 'sk-nobody' }).messages.create(ask), 'AuthenticationError', { status: 401 });
    await fails(client.messages.create({ ...ask, model: 'absent' }), 'NotFoundError', { status: 404 });
    await fails(client.messages.create({ ...ask, messages: 'no list' }), 'BadRequestError', { status: 400 });
    const limited = new Anthropic({ ...settings, apiKey: 'sk-client-limited' });
    await limited.messages.create(ask);
    const error = await fails(limited.messages.create(ask), 'RateLimitError', { status: 429 });
    assert.ok(Number(error.headers.get('retry-after')) >= 55);
    assert.equal(error.error.error.type, 'rate_limit_error');
  },

  async failed_exchange_is_not_begun_anew(model) {
    const eager = new Anthropic({ ...settings, maxRetries: 2 });
    const request = { model: model.replace('/', '-busy/'), max_tokens: 100, messages };
    const error = await eager.messages.create(request).then(() => assert.fail('no error'), (reason) => reason);
    assert.equal(error.status, 529, error.stack);
    assert.equal(error.headers.get('x-should-retry'), 'false');
  },

  async error_in_mid_stream(model) {
    const stream = client.messages.stream({ model: model.replace('/', '-cut/'), max_tokens: 1000, messages });
    const seen = [];
    stream.on('text', (delta) => seen.push(delta));
    await assert.rejects(stream.finalMessage());
    assert.ok(seen.length > 0 && content(TEXT).startsWith(seen.join('')));
  },
};

await run(checks, models);
