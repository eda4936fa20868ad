// Makes texts.tsv: pieces of text of five kinds, each with its number of tokens in three vocabularies. See README.md.
//
//     npm install gpt-tokenizer@4.0.0 @anthropic-ai/tokenizer@0.0.4
//     node bench/estimates/make.mjs FOLDER_OF_NODE_MODULES > bench/estimates/texts.tsv
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../..');
const require = createRequire(resolve(process.argv[2] ?? '.', 'x.js'));
const o200k = require('gpt-tokenizer/encoding/o200k_base');
const cl100k = require('gpt-tokenizer/encoding/cl100k_base');
const claude = require('@anthropic-ai/tokenizer');
const PIECES = 48;

let state = 1;
function random(below) {
  // The multiplicative generator of Lehmer, modulo 2^31 - 1.
  state = Number((BigInt(state) * 48271n) % 2147483647n);
  return state % below;
}

const pick = (list) => list[random(list.length)];
const lines = (name) => readFileSync(join(here, name), 'utf8').trim().split('\n');

function prose(sentences, glue) {
  const count = 1 + random(9);
  let text = '';
  for (let i = 0; i < count; i++) text += (i ? (random(4) ? glue : '\n\n') : '') + pick(sentences);
  return text;
}

function documents() {
  const files = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'docs/operations.md', 'docs/choosing-keys.md', 'docs/secrets.md'];
  return files.flatMap((name) => readFileSync(join(root, name), 'utf8').split('\n\n'))
    .filter((text) => text.length > 120 && text.length < 1400 && !/[|`<]/.test(text.slice(0, 3)));
}

function code() {
  const files = ['src/http/plain_head.c', 'src/limits/breaker.c', 'src/keypool/select.c', 'src/conf/schedule.c', 'src/json/write.c',
    'src/io/loop.c', 'bench/harness/measure.py', 'bench/harness/report.py', 'bench/harness/rows.py', 'scripts/check-layers',
    'scripts/check-style', 'bench/harness/wire.py', 'bench/load.c'];
  const pieces = [];
  for (const name of files) {
    const text = readFileSync(join(root, name), 'utf8').split('\n');
    for (let i = 0; i < 8; i++) {
      const from = random(Math.max(1, text.length - 40));
      const piece = text.slice(from, from + 6 + random(30)).join('\n').trim();
      if (piece.length > 120 && piece.length < 1600) pieces.push(piece);
    }
  }
  return pieces;
}

const words = ['status', 'active', 'pending', 'customer', 'invoice', 'Berlin', 'amount', 'retry', 'north', 'sensor', 'blue', 'archive'];
const hex = (n) => Array.from({ length: n }, () => random(16).toString(16)).join('');
const values = [
  () => random(100000), () => random(100) / 100, () => pick(words), () => random(2) === 0, () => null,
  () => `2026-0${1 + random(9)}-1${random(10)}T0${random(10)}:3${random(10)}:0${random(10)}Z`,
  () => `${hex(8)}-${hex(4)}-${hex(4)}-${hex(12)}`, () => `${pick(words)} ${pick(words)}`, () => -random(1000) / 7,
  () => `https://example.com/${pick(words)}/${random(9999)}`, () => `${pick(words)}@example.org`,
];

function json() {
  const record = () => {
    const result = {};
    const count = 3 + random(6);
    for (let i = 0; i < count; i++) result[pick(words) + (random(3) ? '' : `_${pick(words)}`)] = pick(values)();
    if (random(3) === 0) result.items = Array.from({ length: 1 + random(5) }, () => random(500));
    if (random(4) === 0) result.where = { lat: random(90000) / 1000, lon: random(180000) / 1000 };
    return result;
  };
  const value = Array.from({ length: 1 + random(5) }, record);
  return JSON.stringify(value, null, pick([undefined, 2, 4, 1]));
}

const english = lines('sentences.en.txt');
const docs = documents();
const programs = code();
const makers = {
  english: (i) => (i % 2 ? docs[random(docs.length)] : prose(english, ' ')),
  chinese: () => prose(lines('sentences.zh.txt'), ''),
  vietnamese: () => prose(lines('sentences.vi.txt'), ' '),
  code: () => pick(programs),
  json,
};

for (const [kind, make] of Object.entries(makers)) {
  for (let i = 0; i < PIECES; i++) {
    const text = make(i);
    const counts = [o200k.encode(text).length, cl100k.encode(text).length, claude.countTokens(text)];
    process.stdout.write([kind, ...counts, JSON.stringify(text)].join('\t') + '\n');
  }
}
