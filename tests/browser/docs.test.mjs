// The page of the API: from a token to a first answer, and what the page shows on the way.

import { after, before, describe, it } from 'node:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkAccess, checkWidth, launch, openPage, SIZES, tandem } from './support.mjs';

/** The page is long, and a look of axe-core at all of it takes many seconds. So each size has one of the two colours. */
const VIEWS = { wide: 'light', narrow: 'dark' };

describe('the page of the API in a browser', { concurrency: 2, timeout: 180_000 }, () => {
  let browser, server, origin, data, token;

  before(async () => {
    data = mkdtempSync(join(tmpdir(), 'tandem-docs-'));
    server = tandem(['serve', '--listen', '127.0.0.1:0', '--data', data]);
    [, origin] = await server.line(/listening on (http\S+)/);
    const made = tandem(['token', '--user', 'alex', '--name', 'Alex', '--data', data]);
    [token] = await made.line(/.+/);
    browser = await launch();
  });

  after(async () => {
    await browser?.close();
    server.kill();
    rmSync(data, { recursive: true, force: true });
  });

  for (const [size, colorScheme] of Object.entries(VIEWS)) {
    it(`leads to a first answer, ${size} and ${colorScheme}`, async () => {
      const page = await openPage(browser, { context: { viewport: SIZES[size], colorScheme }, origins: [origin] });
      const look = async (what, except) => {
        await checkAccess(page, `${what}, ${size} and ${colorScheme}`, except);
        await checkWidth(page, what);
      };
      /** Opens an operation by keyboard. */
      const open = async (summary) => {
        const head = page.locator('.opblock-summary-control', { hasText: summary });
        await head.focus();
        await page.keyboard.press('Enter');
        const part = page.locator('.opblock.is-open', { has: head });
        await part.locator('.opblock-body').waitFor();
        return part;
      };
      await page.goto(`${origin}/docs/`);
      await page.getByText('Get a token').waitFor();
      await page.locator('.auth-wrapper .authorize').click();
      const dialogue = page.locator('.modal-ux');
      await dialogue.locator('.auth-container', { hasText: "A user's JWT" }).locator('input').fill(token);
      await look('the dialogue for tokens');
      await dialogue.getByRole('button', { name: 'Authorize' }).first().click();
      await dialogue.getByRole('button', { name: 'Logout' }).waitFor();
      await dialogue.getByRole('button', { name: 'Close' }).first().click();
      const me = await open("The caller's account");
      await me.locator('.try-out__btn').click();
      await me.locator('.execute').click();
      await me.locator('.live-responses-table').getByText('"alex"').first().waitFor();
      // One of each method, and a schema.
      for (const summary of ['Begin a session', 'Write the text that accompanies', 'Leave a session', 'Enable or disable unlocking']) await open(summary);
      await (await open('The events after a')).locator('.tablinks', { hasText: 'Schema' }).first().click();
      await page.locator('.models-control').click();
      await page.locator('.models .json-schema-2020-12-accordion').first().click();
      await look('an answer, operations and schemas', '.opblock:not(.is-open)');
      page.notes();
    });
  }
});
