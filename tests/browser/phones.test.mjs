// `tandem demo --open`: two phones, as somebody plays with them who sees them for the first time.

import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { checkAccess, checkWidth, launch, openPage, PATIENCE, SIZES, tandem } from './support.mjs';

describe('two phones in a browser', { concurrency: 3, timeout: 180_000 }, () => {
  let browser;

  before(async () => (browser = await launch()));
  after(() => browser?.close());

  /** A demo of its own, its page, and how a person finds things on it. */
  async function open(test, context, { hash = '', clock = false } = {}) {
    const demo = tandem(['demo', '--open']);
    test.after(async () => {
      demo.child.kill('SIGTERM');
      await new Promise((resolve) => demo.child.once('exit', resolve));
    });
    const [[, url], [, node]] = await Promise.all([demo.line(/^Two phones: (http:\S+)/), demo.line(/server\s+(http:[^\s,]+)/)]);
    let killing = false;
    // The browser itself notes the connections that the kill cuts.
    const ofNode = (text) => text.includes(node) || text.includes(node.replace('http', 'ws'));
    const tolerated = (message) => killing && (ofNode(message.text()) || ofNode(message.location().url));
    const page = await openPage(browser, { context, origins: [url.replace(/\/$/, ''), node], tolerated });
    if (clock) await page.clock.install();
    await page.goto(url + hash);
    const phone = (name) => page.getByRole('region', { name: `${name}’s phone` });
    const button = (name, label) => phone(name).getByRole('button', { name: label, exact: typeof label === 'string' });
    return {
      page, phone, button,
      shows: (name, text) => phone(name).getByText(text).first().waitFor(),
      travels: (text) => page.getByRole('log').getByText(text).first().waitFor(),
      next: (text) => page.locator('#next').getByText(text).waitFor(),
      duringKill: async (work) => {
        killing = true;
        await work();
        await page.getByRole('log').getByText('The server is back').waitFor({ timeout: 3 * PATIENCE });
        await page.waitForFunction(() => ![...document.querySelectorAll('.bar')].some((bar) => bar.textContent.includes('reconnecting')));
        killing = false;
      },
    };
  }

  const byClick = ({ button }) => (name, label) => button(name, label).click();

  /** Alex and Sam are both in their session. */
  const join = async (press) => {
    await press('Alex', 'Invite Sam');
    await press('Sam', 'Open the link');
    await press('Sam', 'Accept');
  };

  /** Only the Tab key, the arrows and Enter or the space bar. */
  const byKeys = ({ page, button }) => async (name, label) => {
    const wanted = typeof name === 'string' ? button(name, label) : name;
    await wanted.waitFor();
    await page.waitForFunction((element) => !element.disabled, await wanted.elementHandle());
    for (let tabs = 0; tabs < 150; tabs++) {
      if (await wanted.evaluate((element) => element === document.activeElement)) return page.keyboard.press('Enter');
      await page.keyboard.press('Tab');
    }
    assert.fail(`“${label}” cannot be reached by the Tab key`);
  };

  /** From the invitation to the resolution. `look` is called at moments that look different. */
  async function wholeConflict(seen, press, kill, look) {
    const { page, phone, button, shows, travels, next, duringKill } = seen;
    const both = async (label) => {
      for (const name of ['Alex', 'Sam']) await press(name, label);
    };
    await next('Next: on Alex’s phone press “Invite Sam”');
    await phone('Alex').getByLabel('What is it about?').fill(' ');
    await next('write under “What is it about?”, then press “Invite Sam”');
    assert.ok(await button('Alex', 'Invite Sam').isDisabled(), 'an empty topic cannot be sent');
    await phone('Alex').getByLabel('What is it about?').fill('the summer');
    await press('Alex', 'Invite Sam');
    await press('Sam', 'Open the link');
    await travels('Sam opens the link');
    await press('Sam', 'Accept');
    await shows('Alex', 'Sam is here');
    await shows('Alex', 'the summer');
    await press('Sam', 'Leave the app');
    await shows('Alex', 'Sam is away');
    await travels('Alex hears: Sam is away');
    await press('Alex', 'Sign the Compact');
    await button('Sam', /^Partner is ready/).waitFor();
    await look('a notification');
    await travels('Sam’s phone gets: “Partner is ready”');
    await press('Sam', /^Partner is ready/);
    await travels('Sam opens the app from the notification');
    await press('Sam', 'Sign the Compact');
    await travels('Alex hears: Sam has signed');
    await shows('Alex', 'Sam has signed.');
    await next('“Go on to ‘The Witness’”');
    await press('Alex', 'Go on to “The Witness”');
    await shows('Sam', 'Alex has gone on to “The Witness”.');
    await press('Sam', 'Go on to “The Witness”');
    // A page that is loaded again goes on.
    await page.reload();
    await travels('The page was loaded again');
    await both('I feel heard');
    await both('Go on to “Perspective Stretch”');
    await press('Alex', 'Share with Sam');
    await shows('Alex', 'You see Sam’s words as soon as Sam has shared');
    await press('Sam', 'Share with Alex');
    await shows('Alex', 'Sam wrote about you');
    await look('what the other wrote');
    await both('Yes, I feel understood');
    await both('Go on to “Need Mapping”');
    await press('Alex', 'Share these with Sam');
    await shows('Alex', 'Common ground shows when Sam has shared, too');
    await duringKill(async () => {
      await kill();
      await shows('Alex', 'reconnecting');
      await next('The server is down. It comes back by itself');
      // What was answered is on both screens, and what is pressed meanwhile is sent when the server is back.
      await shows('Alex', 'Common ground shows when Sam has shared, too');
      await press('Sam', 'Share these with Alex');
    });
    await travels(/The server is back on the same data/);
    await both('Yes, we both need this');
    await both('Go on to “Strategic Repair”');
    await next('“Add this idea”');
    for (const name of ['Alex', 'Sam', 'Alex', 'Sam']) await press(name, 'Add this idea');
    await shows('Alex', 'Phones away at dinner');
    await next('Next: on Alex’s phone press “Enough ideas: rank them”, or on Sam’s phone press “Enough ideas: rank them”');
    await both('Enough ideas: rank them');
    await next('on Alex’s phone tap up to three ideas, then press “Hand in my ranking”');
    for (const name of ['Alex', 'Sam']) {
      for (const idea of [/plan the week/, 'A shared calendar', /without any plan/]) await press(name, idea);
      if (name === 'Alex') await look('a ranking');
      await press(name, 'Hand in my ranking');
    }
    await shows('Alex', 'You would both try this');
    await press('Sam', 'Leave the app');
    await shows('Alex', 'Sam is away');
    await press('Alex', /^Propose to Sam/);
    await button('Sam', /^New experiment proposed/).waitFor();
    await press('Sam', /^New experiment proposed/);
    await press('Sam', 'I agree');
    await press('Alex', 'Resolve the session');
    for (const name of ['Alex', 'Sam']) await shows(name, 'agreed by both, for two weeks');
    await travels('Alex hears: resolved');
    const lines = await page.getByRole('log').getByRole('listitem').allTextContents();
    const isBefore = (cause, effect) => lines.findIndex((line) => line.includes(effect)) < lines.findIndex((line) => line.includes(cause));
    assert.ok(isBefore('Alex resolves the session', 'Sam hears: resolved'), 'the newest is first, a cause before its effects');
    await seen.page.getByRole('status').getByText('Resolved.').waitFor();
    await look('the resolution');
  }

  it('the whole conflict by clicks, with a killed server in the middle', async (test) => {
    const seen = await open(test, { viewport: SIZES.wide });
    const images = process.env.TANDEM_IMAGES;
    const look = async (what) => {
      await checkAccess(seen.page, what);
      await checkWidth(seen.page, what);
      if (images && what === 'a notification') await seen.page.screenshot({ path: `${images}/two-phones.png`, animations: 'disabled' });
    };
    await look('the beginning');
    await wholeConflict(seen, byClick(seen), () => seen.page.getByRole('button', { name: 'Kill the server' }).click(), look);
    seen.page.notes();
  });

  it('the whole conflict by keys alone, in the dark, on a screen as narrow as a phone', async (test) => {
    const seen = await open(test, { viewport: SIZES.narrow, colorScheme: 'dark', reducedMotion: 'reduce' });
    const look = async (what) => {
      await checkAccess(seen.page, what);
      await checkWidth(seen.page, what);
    };
    await look('the beginning');
    const press = byKeys(seen);
    await wholeConflict(seen, press, () => press(seen.page.getByRole('button', { name: 'Kill the server' }), 'Kill the server'), look);
    seen.page.notes();
  });

  it('a lost network shows nothing, then a toast, then a dialogue, and then what was missed', async (test) => {
    const seen = await open(test, { viewport: SIZES.wide }, { clock: true });
    const { page, phone, button, shows } = seen;
    const press = byClick(seen);
    await join(press);
    await shows('Alex', 'Sign the Compact');
    await page.clock.pauseAt(Date.now() + 1_000);
    await press('Alex', 'Cut the network');
    await shows('Alex', 'no network');
    await press('Sam', 'Sign the Compact');
    await shows('Sam', 'You have signed.');
    assert.equal(await phone('Alex').getByText('Reconnecting...').count(), 0, 'at first, nothing');
    await page.clock.runFor(3_200);
    await shows('Alex', 'Reconnecting...');
    await page.clock.runFor(9_000);
    await page.clock.resume();
    await phone('Alex').getByRole('alertdialog').getByText('Connection lost. Your progress is saved.').waitFor();
    await checkAccess(page, 'the dialogue');
    await press('Alex', 'OK');
    // Pressed without a network: sent when there is one.
    await press('Alex', 'Sign the Compact');
    await shows('Alex', 'Waits for the network');
    await seen.next('Next: give Alex the network back');
    await press('Alex', 'Give the network back');
    await button('Alex', 'Go on to “The Witness”').waitFor();
    await seen.travels('Alex hears: Sam has signed');
    page.notes();
  });

  it('a decline and a pause are told to the other', async (test) => {
    const seen = await open(test, { viewport: SIZES.wide });
    const press = byClick(seen);
    await press('Alex', 'Invite Sam');
    await press('Sam', 'Open the link');
    await press('Sam', 'No, thank you');
    await seen.shows('Alex', 'Sam declined your invitation');
    await seen.shows('Sam', 'You said no');
    await seen.page.getByRole('button', { name: 'Start over' }).click();
    await join(press);
    await press('Sam', 'Ask for a pause');
    await seen.shows('Alex', 'Sam asked for a pause');
    await press('Alex', 'Go on');
    await press('Sam', 'Sign the Compact');
    seen.page.notes();
  });

  it('an app that is left while it connects makes no noise and is not seen', async (test) => {
    const seen = await open(test, { viewport: SIZES.wide });
    const press = byClick(seen);
    await join(press);
    await seen.shows('Alex', 'Sam is here');
    const leave = await seen.button('Sam', 'Leave the app').elementHandle();
    await leave.click();
    await seen.shows('Alex', 'Sam is away');
    // Sam leaves in the very turn that makes the socket, so it cannot be open.
    await seen.page.evaluate((leave) => {
      const BrowsersOwn = WebSocket;
      globalThis.WebSocket = class extends BrowsersOwn {
        constructor(...args) {
          super(...args);
          globalThis.WebSocket = BrowsersOwn;
          this.addEventListener('close', () => (globalThis.closedEarly = true));
          queueMicrotask(() => leave.click());
        }
      };
    }, leave);
    await press('Sam', 'Open the app');
    await seen.page.waitForFunction(() => globalThis.closedEarly);
    await seen.shows('Alex', 'Sam is away');
    await press('Sam', 'Open the app');
    await seen.shows('Alex', 'Sam is here');
    seen.page.notes();
  });

  it('a partner who says “not quite” is asked again, for a guess and for a proposal', async (test) => {
    const seen = await open(test, { viewport: SIZES.wide });
    const { page, phone, button, shows, travels } = seen;
    const press = byClick(seen);
    const both = async (label) => {
      for (const name of ['Alex', 'Sam']) await press(name, label);
    };
    await join(press);
    for (const label of ['Sign the Compact', 'Go on to “The Witness”', 'I feel heard', 'Go on to “Perspective Stretch”']) await both(label);
    await press('Alex', 'Share with Sam');
    await press('Sam', 'Share with Alex');
    await phone('Sam').getByLabel('If not').fill('It was the silence.');
    await press('Sam', 'Not quite');
    await shows('Sam', 'tries again');
    await travels('Alex hears: Sam says: not quite');
    await shows('Alex', 'It was the silence.');
    await checkAccess(page, 'a guess that is not quite right');
    await phone('Alex').getByLabel('once more').fill('You might mind the silence.');
    await press('Alex', 'Share it with Sam');
    await shows('Sam', 'You might mind the silence.');
    await both('Yes, I feel understood');
    await both('Go on to “Need Mapping”');
    await press('Alex', 'Share these with Sam');
    await press('Sam', 'Share these with Alex');
    await both('Yes, we both need this');
    await both('Go on to “Strategic Repair”');
    for (const name of ['Alex', 'Sam']) await press(name, 'Add this idea');
    await both('Enough ideas: rank them');
    for (const name of ['Alex', 'Sam']) {
      await press(name, /plan the week/);
      await press(name, 'Hand in my ranking');
    }
    await press('Alex', 'Propose to Sam: try it for two weeks');
    await press('Sam', 'Something else, please');
    await shows('Alex', 'Can we begin with something smaller?');
    await shows('Alex', 'Sam would rather');
    await press('Alex', 'Propose to Sam: try it for one week');
    await shows('Sam', 'try it for one week');
    await press('Sam', 'I agree');
    await button('Alex', 'Resolve the session').waitFor();
    page.notes();
  });

  it('the console is one click away, and three clicks later it says how a partner was told', async (test) => {
    const seen = await open(test, { viewport: SIZES.wide });
    const press = byClick(seen);
    await join(press);
    await press('Sam', 'Leave the app');
    await seen.shows('Alex', 'Sam is away');
    await press('Alex', 'Sign the Compact');
    await seen.travels('Sam’s phone gets: “Partner is ready”');
    const [console] = await Promise.all([seen.page.context().waitForEvent('page'), seen.page.getByRole('link', { name: 'its console' }).click()]);
    await console.getByText('All is well.').waitFor();
    await console.getByRole('navigation').getByRole('link', { name: 'Sessions' }).click();
    await console.locator('main').getByRole('link').first().click();
    const event = console.locator('details').filter({ hasText: 'partner.signed_compact' });
    await event.locator('summary').click();
    await event.getByText('By push only: the partner was absent and has a device.').waitFor();
    seen.page.notes();
  });

  it('the story plays by itself to the end, from where somebody has played by hand', async (test) => {
    const seen = await open(test, { viewport: SIZES.wide }, { hash: '#pace=40' });
    const press = byClick(seen);
    await join(press);
    await seen.duringKill(() => seen.page.getByRole('button', { name: 'Play it for me' }).click());
    await seen.page.getByRole('status').getByText('Resolved.').waitFor({ timeout: 3 * PATIENCE });
    seen.page.notes();
  });
});
