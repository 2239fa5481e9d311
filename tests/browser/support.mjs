// What the browser tests share: Debian's Chromium by playwright-core, a page that notes what it must not do, and axe-core.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const QUIET = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** How long anything may take on a busy machine. */
export const PATIENCE = 20_000;
export const SIZES = { wide: { width: 1280, height: 900 }, narrow: { width: 390, height: 844 } };

export function launch() {
  return chromium.launch({ executablePath: process.env.TANDEM_BROWSER ?? '/usr/bin/chromium', args: QUIET, chromiumSandbox: process.getuid() !== 0 });
}

/**
 * A page of its own context. `context` are Playwright's options, for example `viewport` or `colorScheme`. `origins` are those
 * that the page may ask. `page.notes()` fails if there was an error on the console or a request to elsewhere. `tolerated`
 * says of a console message whether it is the browser's own word on what the test does to the server.
 */
export async function openPage(browser, { context, origins, tolerated = () => false }) {
  const page = await (await browser.newContext(context)).newPage();
  page.setDefaultTimeout(PATIENCE);
  const errors = [], elsewhere = [];
  // Queries hold tokens.
  const withoutQueries = (text) => text.replace(/\?[^\s')]*/g, '');
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !tolerated(message)) errors.push(withoutQueries(`${message.text()} (${message.location().url})`));
  });
  const isKnown = (url) => /^(data|about|blob):/.test(url) || origins.some((origin) => url === origin || url.startsWith(`${origin}/`));
  const note = (request) => isKnown(request.url()) || elsewhere.push(withoutQueries(request.url()));
  page.on('request', note);
  page.on('websocket', (socket) => note({ url: () => socket.url().replace(/^ws/, 'http') }));
  page.notes = () => {
    assert.deepEqual(errors.slice(0, 5), [], 'no errors on the console');
    assert.deepEqual(elsewhere, [], 'no requests to elsewhere');
  };
  return page;
}

/** Fails for serious findings of axe-core. `except` is a selector of what is left out. */
export async function checkAccess(page, what, except) {
  // What is still fading in has too little contrast. From here on nothing fades.
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await page.evaluate(AXE);
  const context = except && { exclude: [except] };
  const { violations } = await page.evaluate((context) => globalThis.axe.run(context ?? document, { resultTypes: ['violations'] }), context);
  const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
  const told = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('\n')}`);
  assert.deepEqual(told, [], `axe-core on ${what}`);
}

/** Fails if the page is wider than its window. */
export async function checkWidth(page, what) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(content <= window, `${what} is ${content} px wide in a window of ${window} px`);
}

/** The process of `tandem` with these arguments, in a group of its own, and a function that waits for a line of its output. */
export function tandem(args, options = {}) {
  const { DISPLAY, WAYLAND_DISPLAY, ...env } = process.env;
  const child = spawn(process.env.TANDEM_BIN, args, { stdio: ['ignore', 'pipe', 'inherit'], detached: true, ...options, env: { ...env, ...options.env } });
  const lines = [], waiting = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    waiting.forEach((look) => look());
  });
  const line = (pattern) => new Promise((resolve, reject) => {
    const look = () => {
      const found = lines.map((each) => each.match(pattern)).find(Boolean);
      if (found) resolve(found);
    };
    waiting.push(look);
    look();
    setTimeout(() => reject(new Error(`no line like ${pattern} in:\n${lines.join('\n')}`)), PATIENCE).unref();
  });
  // Whatever happens, nothing of it stays.
  const kill = () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It is gone.
    }
  };
  process.on('exit', kill);
  return { child, line, kill };
}
