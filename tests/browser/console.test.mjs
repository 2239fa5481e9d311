// The console, as an operator uses it: sign-in, each page, why a push is missing, a release, and what changes by itself.

import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkAccess, checkWidth, launch, openPage, SIZES, tandem } from './support.mjs';

const PAGES = ['Now', 'Sessions', 'People', 'Realtime', 'Push', 'Backups', 'Settings', 'Changes'];

describe('the console in a browser', { timeout: 300_000 }, () => {
  let browser, server, expo, origin, data, anna, ben, session;

  /** What a command of the binary prints. */
  async function printed(...args) {
    const { line, kill } = tandem([...args, '--data', data]);
    const [text] = await line(/.+/);
    kill();
    return text;
  }

  /** A partner who calls the API. */
  async function partner(id) {
    const token = await printed('token', '--user', id, '--name', id);
    return async (method, path, body) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const answer = await fetch(`${origin}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
      return { status: answer.status, ...(await answer.json()) };
    };
  }

  async function conversation() {
    const { data: created } = await anna('POST', '/sessions', { inviteName: 'a secret name' });
    await ben('POST', `/invitations/${created.invitationId}/accept`);
    await anna('POST', `/sessions/${created.session.id}/compact/sign`, { agreed: true });
    return created.session.id;
  }

  before(async () => {
    data = mkdtempSync(join(tmpdir(), 'tandem-console-'));
    expo = tandem(['fake-expo', '--listen', '127.0.0.1:0']);
    const [, pushes] = await expo.line(/listening on (http\S+)/);
    const env = { TANDEM__PUSH__BASE_URL: pushes, TANDEM__PUSH__RECEIPT_SCHEDULE: '["1s","2s"]' };
    server = tandem(['serve', '--listen', '127.0.0.1:0', '--data', data], { env });
    [, origin] = await server.line(/listening on (http\S+)/);
    [anna, ben] = [await partner('anna'), await partner('ben')];
    session = await conversation();
    browser = await launch();
  });

  after(async () => {
    await browser?.close();
    server.kill();
    expo.kill();
    rmSync(data, { recursive: true, force: true });
  });

  /** A browser that is signed in, and its page. */
  async function signedIn(context = { viewport: SIZES.wide }) {
    const page = await openPage(browser, { context, origins: [origin] });
    await page.goto(await printed('console', '--name', 'kim'));
    await page.getByRole('heading', { name: 'Now', level: 1 }).waitFor();
    return page;
  }

  const goTo = async (page, name) => {
    await page.getByRole('navigation').getByRole('link', { name, exact: true }).click();
    await page.getByRole('heading', { name, level: 1 }).waitFor();
  };

  const live = (page) => page.getByText('Live', { exact: true }).waitFor();

  /** `TANDEM_IMAGES` is the folder of the documentation's pictures, `TANDEM_SHOTS` one for all others. */
  async function picture(page, name, folder = process.env.TANDEM_SHOTS) {
    if (folder) await page.screenshot({ path: join(folder, name), fullPage: true });
  }

  it('signs in with a link, once', async () => {
    const page = await openPage(browser, { context: { viewport: SIZES.wide }, origins: [origin], tolerated: (message) => /401/.test(message.text()) });
    await page.goto(`${origin}/console`);
    await page.getByText('tandem console').waitFor();
    await checkAccess(page, 'the page before the sign-in');
    const link = await printed('console', '--name', 'kim');
    await page.goto(link);
    await page.getByRole('heading', { name: 'Now', level: 1 }).waitFor();
    await page.goto(link);
    await page.getByRole('heading', { name: 'This link is not valid' }).waitFor();
    page.notes();
  });

  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of ['light', 'dark']) {
      it(`shows each page, ${size} and ${colorScheme}`, async () => {
        const page = await signedIn({ viewport, colorScheme });
        for (const name of PAGES) {
          await goTo(page, name);
          await live(page);
          await checkAccess(page, `${name}, ${size} and ${colorScheme}`);
          await checkWidth(page, name);
          await picture(page, `console-${name.toLowerCase()}-${size}-${colorScheme}.png`);
        }
        for (const path of [`/console/session?id=${session}`, '/console/people?user=ben']) {
          await page.goto(origin + path);
          await live(page);
          await checkAccess(page, path);
          await checkWidth(page, path);
          await picture(page, `console-${path.slice(9, 15)}-${size}-${colorScheme}.png`);
        }
        page.notes();
        await page.context().close();
      });
    }
  }

  it('says in three clicks why a partner did not hear of an event', async () => {
    const page = await signedIn();
    await goTo(page, 'Sessions');
    // A part of an id finds it, too.
    await page.getByLabel('or a part of it').fill(session.slice(3, 12));
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Found' }).waitFor();
    await page.getByRole('link', { name: session }).first().click();
    const event = page.locator('details').filter({ hasText: 'partner.signed_compact' });
    await event.getByText('no device to reach').waitFor();
    await event.locator('summary').click();
    await event.getByText('no device of theirs can be reached').waitFor();
    await event.getByText('No device is registered now.').waitFor();
    page.notes();
  });

  it('follows a push to its receipt', async () => {
    const page = await signedIn();
    await page.goto(`${origin}/console/session?id=${session}`);
    await ben('POST', '/auth/push-token', { pushToken: 'ExponentPushToken[abcdefghijklmnopqrstuv]', platform: 'ios' });
    await anna('POST', `/sessions/${session}/nudge`, {});
    const event = page.locator('details').filter({ hasText: 'partner.nudged' });
    await event.getByText('push delivered').waitFor();
    await event.locator('summary').click();
    await event.getByText('Receipt: delivered to Apple or Google').waitFor();
    await picture(page, 'console-session.png', process.env.TANDEM_IMAGES);
    page.notes();
    await ben('DELETE', '/auth/push-token', {});
  });

  it('shows a change without a reload, and leaves open what is open', async () => {
    const page = await signedIn();
    await page.goto(`${origin}/console/session?id=${session}`);
    await live(page);
    const event = page.locator('details').filter({ hasText: 'partner.signed_compact' });
    await event.locator('summary').focus();
    await page.keyboard.press('Enter');
    await page.evaluate(() => { window.notReloaded = true; });
    await anna('POST', `/sessions/${session}/pause`, {});
    await page.locator('details').filter({ hasText: 'session.paused' }).waitFor();
    await page.getByText('PAUSED').first().waitFor();
    const focused = await page.evaluate(() => document.activeElement.textContent);
    assert.match(focused, /partner\.signed_compact/, 'the keyboard stays where it was');
    assert.ok(await page.evaluate(() => window.notReloaded), 'the page was not loaded again');
    await event.getByText('no device of theirs can be reached').waitFor();
    await anna('POST', `/sessions/${session}/resume`);
    await page.locator('details').filter({ hasText: 'session.resumed' }).waitFor();
    page.notes();
  });

  it('releases a session from quarantine by keyboard alone', async () => {
    const arm = (times) => fetch(`${origin}/debug/failpoints`, {
      method: 'POST', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ sessionId: session, point: 'before_decide', harm: 'panic', times }),
    });
    // Release builds have no failpoints.
    if ((await arm(100)).status !== 204) return;
    const page = await signedIn();
    const press = async (wanted) => {
      await wanted.waitFor();
      for (let tabs = 0; tabs < 100; tabs++) {
        if (await wanted.evaluate((element) => element === document.activeElement)) return page.keyboard.press('Enter');
        await page.keyboard.press('Tab');
      }
      assert.fail('it cannot be reached by the Tab key');
    };
    for (let tries = 0; tries < 50; tries++) {
      const { error } = await anna('POST', `/sessions/${session}/viewed`, {});
      if (error?.message.includes('quarantine')) break;
    }
    await press(page.getByRole('link', { name: 'Show' }).first());
    await press(page.getByRole('link', { name: session }).first());
    await page.getByText('In quarantine since').waitFor();
    await checkAccess(page, 'a session in quarantine');
    await arm(1);
    await press(page.getByRole('button', { name: 'Release' }));
    await page.getByRole('status').getByText('released, it works again').waitFor();
    await page.getByText('In quarantine since').waitFor({ state: 'detached' });
    await press(page.getByRole('navigation').getByRole('link', { name: 'Changes' }));
    await page.getByRole('cell', { name: 'release from quarantine' }).first().waitFor();
    page.notes();
  });
});
