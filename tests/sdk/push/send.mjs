// Sends one message to each token with Expo's official SDK, asks for the receipts, and prints what became of them.
// EXPO_BASE_URL says where; TOKENS, BODY, ACCESS_TOKEN and PATIENCE (ms) say what.
import { Expo } from 'expo-server-sdk';

const { TOKENS, BODY = 'They signed the Curiosity Compact. Your turn!', ACCESS_TOKEN, PATIENCE = '4000' } = process.env;
const expo = new Expo({ accessToken: ACCESS_TOKEN || undefined });
const messages = JSON.parse(TOKENS).map((to) => ({
  to,
  sound: 'default',
  title: 'Partner is ready',
  body: BODY,
  data: { sessionId: 'csession00000001', event: 'partner.signed_compact', seq: 1 },
  collapseId: 'abc',
  tag: 'abc',
}));

const count = (outcomes) => outcomes.reduce((sum, key) => ({ ...sum, [key]: (sum[key] ?? 0) + 1 }), {});

async function outcome() {
  const tickets = [];
  for (const chunk of expo.chunkPushNotifications(messages)) {
    tickets.push(...(await expo.sendPushNotificationsAsync(chunk)));
  }
  const sent = tickets.map((ticket) => (ticket?.status === 'ok' ? 'ok' : (ticket?.details?.error ?? 'unreadable')));
  const ids = tickets.filter((ticket) => ticket?.status === 'ok').map((ticket) => ticket.id);
  const receipts = await expo.getPushNotificationReceiptsAsync(ids);
  const arrived = Object.values(receipts).map((receipt) => receipt.details?.error ?? receipt.status);
  return { tickets: count(sent), receipts: count(arrived) };
}

const patience = new Promise((resolve) => setTimeout(() => resolve({ waits: true }), Number(PATIENCE)));
const failed = (error) => ({ throws: error.code ?? error.statusCode ?? error.cause?.code ?? error.name });
console.log(JSON.stringify(await Promise.race([outcome().catch(failed), patience])));
process.exit(0);
