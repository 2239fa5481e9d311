// fastify, and PostgreSQL. A saved draft is one transaction: it locks the session's row, checks the membership, appends the event and
// keeps the draft. The answer leaves when it is committed.
import pg from 'pg';
import { serve } from './drafts.mjs';

const [, , address, secret, sessions] = process.argv;
const pool = new pg.Pool({ connectionString: address, max: 20 });

await pool.query(`
  CREATE TABLE sessions (id text PRIMARY KEY, members text[] NOT NULL, seq bigint NOT NULL DEFAULT 0);
  CREATE TABLE events (session text, seq bigint, by text NOT NULL, at timestamptz NOT NULL, body jsonb NOT NULL, PRIMARY KEY (session, seq));
  CREATE TABLE drafts (session text, by text, content text NOT NULL, PRIMARY KEY (session, by))`);
await pool.query(
  `INSERT INTO sessions (id, members) SELECT 'bench-' || n, ARRAY['creator-' || n] FROM generate_series(0, $1::int - 1) AS n`,
  [sessions],
);

await serve(secret, async (id, by, content, at) => {
  const client = await pool.connect();
  const query = (name, text, values) => client.query({ name, text, values });
  try {
    await client.query('BEGIN');
    const found = await query('lock', 'SELECT seq, members FROM sessions WHERE id = $1 FOR UPDATE', [id]);
    if (!found.rows[0]?.members.includes(by)) {
      await client.query('ROLLBACK');
      return undefined;
    }
    const seq = Number(found.rows[0].seq) + 1;
    await query('event', 'INSERT INTO events VALUES ($1, $2, $3, $4, $5)', [id, seq, by, at, { type: 'empathy.draft', content }]);
    await query('draft', 'INSERT INTO drafts VALUES ($1, $2, $3) ON CONFLICT (session, by) DO UPDATE SET content = $3', [id, by, content]);
    await query('head', 'UPDATE sessions SET seq = $2 WHERE id = $1', [id, seq]);
    await client.query('COMMIT');
    return seq;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
});
