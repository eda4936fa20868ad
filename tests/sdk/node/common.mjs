// What the checks of the Node clients share: what the simulator answers by its manual, and how checks run and tell what came
// of them.
import assert from 'node:assert/strict';

export const TEXT = 'Tell me of the sea, and of the ships that cross it in winter';
export const RESULTS = { look_up: 'It is blue.', write_down: 'Done.' };

export function fnv1a(text) {
  let h = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(text)) h = BigInt.asUintN(64, (h ^ BigInt(byte)) * 0x100000001b3n);
  return h;
}

export const hashOf = (text) => fnv1a(text).toString(16).padStart(16, '0');
export const content = (text) => `echo: ${text} #${hashOf(text)}`;
export const thoughtOf = (text) => `thinking about #${hashOf(text)}`;
export const argumentsOf = (text) => ({ text, hash: hashOf(text) });

export function embedding(text, dimensions) {
  let state = fnv1a(text);
  return Array.from({ length: dimensions }, () => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let z = BigInt.asUintN(64, (state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return Number((z ^ (z >> 31n)) >> 40n) / 2 ** 23 - 1;
  });
}

export const ship = { name: content(TEXT), masts: 0 };
export const shipSchema = {
  type: 'object',
  properties: { name: { type: 'string' }, masts: { type: 'integer' } },
  required: ['name', 'masts'],
  additionalProperties: false,
};
export const toolSchema = {
  type: 'object',
  properties: { text: { type: 'string' }, hash: { type: 'string' } },
  required: ['text', 'hash'],
};

export async function gather(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

// Rejects with an error of this class and with these members.
export async function fails(promise, kind, members) {
  const error = await promise.then(() => assert.fail('no error'), (reason) => reason);
  assert.equal(error.constructor.name, kind, error.stack);
  for (const [name, value] of Object.entries(members)) assert.deepEqual(error[name], value, `${name}: ${error[name]}`);
  return error;
}

// Runs the checks one after another, those with a parameter once for each model, and prints one JSON line for each:
// {"check": NAME, or NAME and the model, "error": null or what went wrong}.
export async function run(checks, models) {
  for (const [name, check] of Object.entries(checks)) {
    for (const model of check.length ? models : [null]) {
      const error = await check(model).then(() => null, (reason) => reason.stack ?? String(reason));
      console.log(JSON.stringify({ check: model ? `${name} ${model}` : name, error }));
    }
  }
  process.exit(0); // connections that are kept alive would hold it up
}
