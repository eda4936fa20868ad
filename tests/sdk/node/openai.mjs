// OpenAI's Node client against a running gateway, over every provider: node openai.mjs GATEWAY MODEL... (http://host:port). What
// concerns the gateway itself is in checks.mjs.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { RESULTS, TEXT, argumentsOf, content, run, ship, shipSchema, toolSchema } from './common.mjs';

const [gateway, ...models] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${gateway}/v1`, apiKey: 'sk-client-web', maxRetries: 0, timeout: 20000 });
const messages = [{ role: 'user', content: TEXT }];
const format = { name: 'ship', schema: shipSchema, strict: true };
const functions = Object.keys(RESULTS).map((name) => ({ type: 'function', name, parameters: toolSchema, strict: false }));

const checks = {
  async chat(model) {
    const answer = await client.chat.completions.create({ model, messages });
    assert.equal(answer.choices[0].message.content, content(TEXT));
    assert.equal(answer.choices[0].finish_reason, 'stop');
    assert.equal(answer.usage.prompt_tokens_details.cached_tokens, 5);
  },

  async chat_streamed(model) {
    const runner = client.chat.completions.stream({ model, messages, stream_options: { include_usage: true } });
    let pieces = 0;
    runner.on('content.delta', () => pieces++);
    assert.equal(await runner.finalContent(), content(TEXT));
    assert.ok(pieces > 10);
    assert.ok((await runner.totalUsage()).completion_tokens >= content(TEXT).split(' ').length);
  },

  async runner_of_tools(model) {
    const called = [];
    const tools = Object.keys(RESULTS).map((name) => ({
      type: 'function',
      function: {
        name,
        parameters: toolSchema,
        parse: JSON.parse,
        function: (input) => {
          called.push([name, input]);
          return RESULTS[name];
        },
      },
    }));
    for (const stream of [false, true]) {
      called.length = 0;
      const runner = client.chat.completions.runTools({ model, messages, tools, stream });
      assert.equal(await runner.finalContent(), content(TEXT));
      assert.deepEqual(called, Object.keys(RESULTS).map((name) => [name, argumentsOf(TEXT)]));
    }
  },

  async chat_parsed(model) {
    const answer = await client.chat.completions.parse({ model, messages, response_format: { type: 'json_schema', json_schema: format } });
    assert.deepEqual(JSON.parse(answer.choices[0].message.content), ship);
  },

  async response(model) {
    const answer = await client.responses.create({ model, input: TEXT });
    assert.equal(answer.output_text, content(TEXT));
    assert.equal(answer.status, 'completed');
    assert.equal(answer.usage.input_tokens_details.cached_tokens, 5);
  },

  async response_streamed(model) {
    const stream = client.responses.stream({ model, input: TEXT });
    let pieces = 0;
    stream.on('response.output_text.delta', () => pieces++);
    assert.equal((await stream.finalResponse()).output_text, content(TEXT));
    assert.ok(pieces > 10);
  },

  async loop_of_responses(model) {
    const input = [{ role: 'user', content: TEXT }];
    const first = await client.responses.stream({ model, input, tools: functions, store: false }).finalResponse();
    const calls = first.output.filter((item) => item.type === 'function_call');
    assert.deepEqual(calls.map((call) => [call.name, JSON.parse(call.arguments)]), Object.keys(RESULTS).map((name) => [name, argumentsOf(TEXT)]));
    input.push(...first.output);
    for (const call of calls) input.push({ type: 'function_call_output', call_id: call.call_id, output: RESULTS[call.name] });
    const second = await client.responses.create({ model, input, tools: functions, store: false });
    assert.equal(second.output_text, content(TEXT));
  },

  async response_parsed(model) {
    const answer = await client.responses.parse({ model, input: TEXT, text: { format: { type: 'json_schema', ...format } } });
    assert.deepEqual(JSON.parse(answer.output_text), ship);
  },

  async error_in_mid_stream(model) {
    const cut = model.replace('/', '-cut/');
    await assert.rejects(client.chat.completions.stream({ model: cut, messages }).finalContent());
    await assert.rejects(client.responses.stream({ model: cut, input: TEXT }).finalResponse());
  },
};

await run(checks, models);
