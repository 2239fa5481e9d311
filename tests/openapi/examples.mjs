// Makes src/http/examples.json from recorded answers: for each operation an answer, and the error codes that it gave.
//
//     TANDEM_RECORD=DIRECTORY cargo test -p tandem --test promises
//     node tests/openapi/examples.mjs DIRECTORY

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const target = new URL('../../src/http/examples.json', import.meta.url);
const known = (() => {
  try {
    return JSON.parse(readFileSync(target, 'utf8'));
  } catch {
    return {};
  }
})();

/** It answers the description itself. */
const NOT_SHOWN = 'documentation_openapi';
/** Statuses whose codes differ from operation to operation. */
const TELLING = [400, 403, 409, 410];
const LONGEST_LIST = 1;

/** Short lists, and the same text for each text that is random. */
function tidy(value, key = '') {
  if (Array.isArray(value)) return value.slice(0, LONGEST_LIST).map((each) => tidy(each, key));
  if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, tidy(each, name)]));
  if (typeof value !== 'string') return value;
  if (/^\d{4}-\d\d-\d\dT/.test(value)) return '2026-05-17T09:30:00.000Z';
  if (/^c[a-z0-9]{24}$/.test(value)) return 'cqk3v9x7m2p8d4n6t1w5r0ya';
  return value
    .replace(/\bc[a-z0-9]{24}\b/g, 'cqk3v9x7m2p8d4n6t1w5r0ya')
    .replace(/user_([a-z]+)_\d+/g, '$1')
    .replace(/^(?=.*[A-Za-z])(?=.*\d)[A-Za-z0-9+/_=-]{32,}$/, '…');
}

/** The fullest answer says most: the one with the most fields that hold something. */
function fullness(value) {
  if (Array.isArray(value)) return Math.min(value.length, LONGEST_LIST) + value.slice(0, LONGEST_LIST).reduce((sum, each) => sum + fullness(each), 0);
  if (value && typeof value === 'object') return Object.values(value).reduce((sum, each) => sum + 1 + fullness(each), 0);
  return value === null || value === '' ? -1 : 0;
}

const operations = {};
for (const file of readdirSync(process.argv[2]).filter((name) => name.endsWith('.jsonl'))) {
  for (const line of readFileSync(join(process.argv[2], file), 'utf8').split('\n').filter(Boolean)) {
    const { operation, status, body } = JSON.parse(line);
    const facts = (operations[operation] ??= { best: -Infinity, codes: new Set(known[operation]?.codes) });
    if (status < 300 && body && operation !== NOT_SHOWN && fullness(body) > facts.best) Object.assign(facts, { best: fullness(body), answer: tidy(body) });
    if (TELLING.includes(status) && body?.error) facts.codes.add(body.error.code);
  }
}
const merged = { ...known };
for (const [operation, { answer, codes }] of Object.entries(operations)) {
  merged[operation] = { codes: [...codes].sort(), answer: answer ?? known[operation]?.answer };
}
const sorted = Object.fromEntries(Object.entries(merged).sort(([one], [other]) => (one < other ? -1 : 1)));
writeFileSync(target, JSON.stringify(sorted) + '\n');
console.log(`${Object.keys(sorted).length} operations, ${Object.values(sorted).filter(({ answer }) => answer).length} with an answer`);
