// fastify, and Redis with `appendfsync always`. A saved draft is one Lua script: it checks the membership, takes the next number, appends
// the event and keeps the draft. The answer leaves when Redis has synced.
import Redis from 'ioredis';
import { serve } from './drafts.mjs';

const [, , socket, secret, sessions] = process.argv;
const redis = new Redis({ path: socket });

redis.defineCommand('saveDraft', {
  numberOfKeys: 3,
  lua: `
    if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 then return false end
    local seq = redis.call('HINCRBY', KEYS[2], 'seq', 1)
    redis.call('HSET', KEYS[2], 'draft:' .. ARGV[1], ARGV[2])
    redis.call('RPUSH', KEYS[3], cjson.encode({ seq = seq, by = ARGV[1], at = ARGV[3], type = 'empathy.draft', content = ARGV[2] }))
    return seq`,
});

for (let n = 0; n < Number(sessions); n += 1) await redis.sadd(`members:bench-${n}`, `creator-${n}`);
await serve(secret, async (id, by, content, at) => {
  const seq = await redis.saveDraft(`members:${id}`, `session:${id}`, `events:${id}`, by, content, at);
  return seq ?? undefined;
});
