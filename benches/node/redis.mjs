// What many would build instead: fastify, and Redis with `appendfsync always`. A saved draft is one Lua script: it checks the
// membership, takes the next number, appends the event and keeps the draft. The answer leaves when Redis has synced.
import { createHmac, timingSafeEqual } from 'node:crypto';
import fastify from 'fastify';
import Redis from 'ioredis';

const [, , socket, secret, sessions] = process.argv;
const redis = new Redis({ path: socket });

redis.defineCommand('saveDraft', {
  numberOfKeys: 3,
  lua: `
    if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 then return redis.error_reply('NOT_FOUND') end
    local seq = redis.call('HINCRBY', KEYS[2], 'seq', 1)
    redis.call('HSET', KEYS[2], 'draft:' .. ARGV[1], ARGV[2])
    redis.call('RPUSH', KEYS[3], cjson.encode({ seq = seq, by = ARGV[1], at = ARGV[3], type = 'empathy.draft', content = ARGV[2] }))
    return seq`,
});

// Each token is verified once.
const known = new Map();
function user(header) {
  const token = header?.slice('Bearer '.length) ?? '';
  let claims = known.get(token);
  if (!claims) {
    const [head, body, signature] = token.split('.');
    const expected = createHmac('sha256', secret).update(`${head}.${body}`).digest();
    if (!signature || !timingSafeEqual(expected, Buffer.from(signature, 'base64url'))) return undefined;
    claims = JSON.parse(Buffer.from(body, 'base64url'));
    known.set(token, claims);
  }
  return claims.exp * 1000 > Date.now() ? claims.sub : undefined;
}

const app = fastify();
const schema = {
  body: {
    type: 'object',
    required: ['content'],
    properties: { content: { type: 'string', maxLength: 4000 }, readyToShare: { type: 'boolean' } },
  },
};
app.post('/api/v1/sessions/:id/empathy/draft', { schema }, async (request, reply) => {
  const by = user(request.headers.authorization);
  if (!by) return reply.code(401).send({ success: false, error: { code: 'UNAUTHORIZED' } });
  const { id } = request.params;
  const { content } = request.body;
  const at = new Date().toISOString();
  const seq = await redis.saveDraft(`members:${id}`, `session:${id}`, `events:${id}`, by, content, at);
  return { success: true, data: { draft: { content, savedAt: at }, seq } };
});

for (let n = 0; n < Number(sessions); n += 1) await redis.sadd(`members:bench-${n}`, `creator-${n}`);
console.log(`listening on ${await app.listen({ host: '127.0.0.1', port: 0 })}`);
