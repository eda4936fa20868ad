// Vercel's framework over its providers for OpenAI (Responses and chat), Anthropic and Google, each pointed at a running gateway:
// node framework.mjs GATEWAY MODEL... (http://host:port).
import assert from 'node:assert/strict';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { APICallError, Output, embedMany, generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai';
import { RESULTS, TEXT, argumentsOf, content, embedding, gather, run, ship, shipSchema, toolSchema } from './common.mjs';

const [gateway, ...models] = process.argv.slice(2);
globalThis.AI_SDK_LOG_WARNINGS = false; // it would print them among the results
const apiKey = 'sk-client-web';
const openai = createOpenAI({ baseURL: `${gateway}/v1`, apiKey });
const google = createGoogleGenerativeAI({ baseURL: `${gateway}/v1beta`, apiKey });
const ways = {
  chat: (model) => openai.chat(model),
  responses: (model) => openai.responses(model),
  messages: createAnthropic({ baseURL: `${gateway}/v1`, apiKey }),
  generate: google,
};
// What OpenAI stores cannot be referred to at another provider; of models that it does not know the framework asks JSON by a tool.
const quiet = { maxRetries: 0, onError() {}, providerOptions: { openai: { store: false }, anthropic: { structuredOutputMode: 'outputFormat' } } };

// Every dialect asks for the model; what went wrong says which one it was.
async function everyWay(model, check) {
  const errors = [];
  for (const [way, provider] of Object.entries(ways)) {
    await check(provider(model), way).catch((reason) => errors.push(`${way}: ${reason.stack ?? reason}`));
  }
  assert.ok(errors.length === 0, errors.join('\n'));
}

function usable(called) {
  const made = (name) =>
    tool({
      description: 'A tool.',
      inputSchema: jsonSchema(toolSchema),
      execute: async (input) => {
        called.push([name, input]);
        return RESULTS[name];
      },
    });
  return Object.fromEntries(Object.keys(RESULTS).map((name) => [name, made(name)]));
}

const checks = {
  async text(model) {
    await everyWay(model, async (chosen) => {
      const answer = await generateText({ ...quiet, model: chosen, system: 'Be brief.', prompt: TEXT });
      assert.equal(answer.text, content(TEXT));
      assert.equal(answer.finishReason, 'stop');
      assert.equal(answer.usage.inputTokenDetails.cacheReadTokens, 5);
    });
  },

  async stream(model) {
    await everyWay(model, async (chosen) => {
      const answer = streamText({ ...quiet, model: chosen, prompt: TEXT });
      const pieces = await gather(answer.textStream);
      assert.ok(pieces.length > 10, `${pieces.length} pieces`);
      assert.equal(pieces.join(''), content(TEXT));
      assert.equal(await answer.finishReason, 'stop');
      assert.ok((await answer.usage).outputTokens >= content(TEXT).split(' ').length);
    });
  },

  async loop_of_tools(model) {
    await everyWay(model, async (chosen) => {
      const called = [];
      const answer = await generateText({ ...quiet, model: chosen, prompt: TEXT, tools: usable(called), stopWhen: stepCountIs(3) });
      assert.deepEqual(called, Object.keys(RESULTS).map((name) => [name, argumentsOf(TEXT)]));
      assert.equal(answer.text, content(TEXT));
      assert.equal(answer.steps.length, 2);
    });
  },

  async loop_of_tools_streamed(model) {
    await everyWay(model, async (chosen) => {
      const called = [];
      const answer = streamText({ ...quiet, model: chosen, prompt: TEXT, tools: usable(called), stopWhen: stepCountIs(3) });
      assert.equal((await gather(answer.textStream)).join(''), content(TEXT));
      assert.deepEqual(called, Object.keys(RESULTS).map((name) => [name, argumentsOf(TEXT)]));
    });
  },

  async structured(model) {
    await everyWay(model, async (chosen) => {
      const output = Output.object({ schema: jsonSchema(shipSchema) });
      const answer = await generateText({ ...quiet, model: chosen, prompt: TEXT, output });
      assert.deepEqual(answer.output, ship);
    });
  },

  async image(model) {
    const image = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGMoBwAAeQB4UzPh/gAAAABJRU5ErkJggg==', 'base64');
    await everyWay(model, async (chosen) => {
      const parts = [{ type: 'image', image, mediaType: 'image/png' }, { type: 'text', text: TEXT }];
      const answer = await generateText({ ...quiet, model: chosen, messages: [{ role: 'user', content: parts }] });
      assert.equal(answer.text, content(TEXT));
      assert.ok(answer.usage.inputTokens > 85, 'the picture was seen');
    });
  },

  async embeddings() {
    for (const model of [openai.embedding('openai/text-embedding-3-small'), google.embedding('gemini/gemini-embedding-001')]) {
      const { embeddings } = await embedMany({ model, values: ['one', 'two'] });
      const expected = embedding('two', embeddings[1].length);
      embeddings[1].forEach((number, i) => assert.ok(Math.abs(number - expected[i]) < 1e-6));
    }
  },

  async errors(model) {
    await everyWay(model.replace('/', '-long/'), async (chosen) => {
      const error = await generateText({ ...quiet, model: chosen, prompt: TEXT }).then(() => assert.fail('no error'), (reason) => reason);
      assert.ok(APICallError.isInstance(error), error.stack);
      assert.deepEqual([error.statusCode, error.isRetryable], [400, false]);
    });
    await everyWay(model.replace('/', '-busy/'), async (chosen, way) => {
      const error = await generateText({ ...quiet, model: chosen, prompt: TEXT }).then(() => assert.fail('no error'), (reason) => reason);
      assert.deepEqual([error.statusCode, error.isRetryable], [way === 'messages' ? 529 : 503, true]);
    });
  },

  async error_in_mid_stream(model) {
    await everyWay(model.replace('/', '-cut/'), async (chosen) => {
      const parts = await gather(streamText({ ...quiet, model: chosen, prompt: TEXT }).fullStream);
      assert.ok(parts.some((part) => part.type === 'text-delta'));
      assert.ok(parts.some((part) => part.type === 'error'), JSON.stringify(parts.at(-1)));
    });
  },
};

await run(checks, models);
