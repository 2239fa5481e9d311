// The HTTP half of the servers that many would build instead: fastify saves a draft with `save(id, by, content, at)`, which returns
// the event's number, or undefined if the caller is no member.
import { createHmac, timingSafeEqual } from 'node:crypto';
import fastify from 'fastify';

const schema = {
  body: {
    type: 'object',
    required: ['content'],
    properties: { content: { type: 'string', maxLength: 4000 }, readyToShare: { type: 'boolean' } },
  },
};

export async function serve(secret, save) {
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
  app.post('/api/v1/sessions/:id/empathy/draft', { schema }, async (request, reply) => {
    const by = user(request.headers.authorization);
    if (!by) return reply.code(401).send({ success: false, error: { code: 'UNAUTHORIZED' } });
    const { content } = request.body;
    const at = new Date().toISOString();
    const seq = await save(request.params.id, by, content, at);
    if (seq === undefined) return reply.code(404).send({ success: false, error: { code: 'NOT_FOUND' } });
    return { success: true, data: { draft: { content, savedAt: at }, seq } };
  });
  console.log(`listening on ${await app.listen({ host: '127.0.0.1', port: 0 })}`);
}
