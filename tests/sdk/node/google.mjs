// Google's Node client against a running gateway: node google.mjs GATEWAY MODEL... (http://host:port).
import assert from 'node:assert/strict';
import { GoogleGenAI } from '@google/genai';
import { RESULTS, TEXT, argumentsOf, content, embedding, fails, gather, run, ship, shipSchema, thoughtOf, toolSchema } from './common.mjs';

const [gateway, ...models] = process.argv.slice(2);
const connect = (apiKey) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: gateway, timeout: 20000 } });
const ai = connect('sk-client-web');
const functionDeclarations = Object.keys(RESULTS).map((name) => ({ name, description: 'A tool.', parametersJsonSchema: toolSchema }));

const checks = {
  async generate(model) {
    const answer = await ai.models.generateContent({ model, contents: TEXT });
    assert.equal(answer.text, content(TEXT));
    assert.equal(answer.candidates[0].finishReason, 'STOP');
    assert.equal(answer.usageMetadata.cachedContentTokenCount, 5);
    assert.equal(answer.usageMetadata.candidatesTokenCount, content(TEXT).split(' ').length);
  },

  async stream(model) {
    const chunks = await gather(await ai.models.generateContentStream({ model, contents: TEXT }));
    assert.ok(chunks.length > 10);
    assert.equal(chunks.map((chunk) => chunk.text ?? '').join(''), content(TEXT));
    assert.equal(chunks.at(-1).candidates[0].finishReason, 'STOP');
  },

  async loop_of_functions(model) {
    const contents = [{ role: 'user', parts: [{ text: TEXT }] }];
    const config = { tools: [{ functionDeclarations }] };
    const first = await ai.models.generateContent({ model, contents, config });
    assert.deepEqual(first.functionCalls.map((call) => [call.name, call.args]), Object.keys(RESULTS).map((name) => [name, argumentsOf(TEXT)]));
    const parts = first.functionCalls.map(({ id, name }) => ({ functionResponse: { id, name, response: { output: RESULTS[name] } } }));
    contents.push(first.candidates[0].content, { role: 'user', parts });
    const second = await gather(await ai.models.generateContentStream({ model, contents, config }));
    assert.equal(second.map((chunk) => chunk.text ?? '').join(''), content(TEXT));
  },

  async chat(model) {
    const chat = ai.chats.create({ model });
    assert.equal((await chat.sendMessage({ message: 'One' })).text, content('One'));
    const chunks = await gather(await chat.sendMessageStream({ message: 'Two' }));
    assert.equal(chunks.map((chunk) => chunk.text ?? '').join(''), content('Two'));
  },

  async structured(model) {
    const config = { responseMimeType: 'application/json', responseJsonSchema: shipSchema };
    const answer = await ai.models.generateContent({ model, contents: TEXT, config });
    assert.deepEqual(JSON.parse(answer.text), ship);
  },

  async thinking(model) {
    const config = { thinkingConfig: { includeThoughts: true, thinkingBudget: 2048 } };
    const answer = await ai.models.generateContent({ model, contents: TEXT, config });
    const thoughts = answer.candidates[0].content.parts.filter((part) => part.thought).map((part) => part.text);
    assert.deepEqual(thoughts, /^(anthropic|gemini|deepseek)/.test(model) ? [thoughtOf(TEXT)] : []);
    assert.equal(answer.usageMetadata.thoughtsTokenCount, 3);
  },

  async count_tokens() {
    const { totalTokens } = await ai.models.countTokens({ model: 'gemini/gemini-3-flash', contents: TEXT });
    assert.equal(totalTokens, 7 + Math.ceil(TEXT.length / 4));
  },

  async embeddings() {
    for (const model of ['gemini/gemini-embedding-001', 'openai/text-embedding-3-small']) {
      const answer = await ai.models.embedContent({ model, contents: ['one', 'two'], config: { outputDimensionality: 8 } });
      answer.embeddings.forEach((item, i) =>
        item.values.forEach((number, j) => assert.ok(Math.abs(number - embedding(['one', 'two'][i], 8)[j]) < 1e-6)),
      );
    }
  },

  async models() {
    const names = (await gather(await ai.models.list())).map((model) => model.name);
    assert.deepEqual(names.sort(), ['models/one-of-ours', 'models/other-of-ours']);
    assert.equal((await ai.models.get({ model: 'one-of-ours' })).name, 'models/one-of-ours');
  },

  async errors() {
    const ask = { model: 'one-of-ours', contents: TEXT };
    const refused = await fails(connect('sk-nobody').models.generateContent(ask), 'ApiError', { status: 400 });
    assert.match(refused.message, /API_KEY_INVALID/);
    await fails(ai.models.generateContent({ ...ask, model: 'absent' }), 'ApiError', { status: 404 });
    const limited = connect('sk-client-limited');
    await limited.models.generateContent(ask);
    const error = await fails(limited.models.generateContent(ask), 'ApiError', { status: 429 });
    assert.match(error.message, /RESOURCE_EXHAUSTED/);
  },

  async overloaded(model) {
    const request = { model: model.replace('/', '-busy/'), contents: TEXT };
    const error = await fails(ai.models.generateContent(request), 'ApiError', { status: 503 });
    assert.match(error.message, /UNAVAILABLE/);
  },

  async error_in_mid_stream(model) {
    const seen = [];
    const stream = await ai.models.generateContentStream({ model: model.replace('/', '-cut/'), contents: TEXT });
    await assert.rejects(async () => {
      for await (const chunk of stream) seen.push(chunk.text ?? '');
    });
    assert.ok(seen.length > 0 && content(TEXT).startsWith(seen.join('')));
  },
};

await run(checks, models);
