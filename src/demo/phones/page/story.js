// "Play it for me": the story that presses the buttons of both phones at reading speed.

const PACE = Number(new URLSearchParams(location.hash.slice(1)).get('pace')) || 1900; // ms between two steps
const PATIENCE = 30_000;
const STALL = 3_000;
/** What can be pressed at any time, so that it does not show where the story is. */
const ALWAYS = ['leave', 'cut', 'kill'];

const both = (step) => [['alex', step], ['sam', step]];

/** Who presses what, and what to say about it. */
const STEPS = [
  ['alex', 'invite', 'Alex invites Sam.'],
  ['sam', 'read', 'The link reaches Sam by any messenger.'],
  ['sam', 'accept', 'Sam accepts. Both are in the session now.'],
  ['sam', 'leave', 'Sam puts the phone away.'],
  ['alex', 'sign', 'Alex signs. Sam is away, so Tandem sends a notification.'],
  ['sam', 'notice', 'Sam opens the app from the notification.'],
  ['sam', 'sign', 'Sam is here, so Alex hears it over the channel.'],
  ...both('next'),
  ...both('heard'),
  ...both('next'),
  ['alex', 'share', 'Nobody sees the other’s words before both have shared.'],
  ['sam', 'share'],
  ...both('yes'),
  ...both('next'),
  ['alex', 'needs'],
  ['page', 'kill', 'The server dies without a word. What Alex shared is on the disk.'],
  ['sam', 'needs', 'The server is back, and both go on where they were.'],
  ...both('ground'),
  ...both('next'),
  ['alex', 'idea'], ['sam', 'idea'], ['alex', 'idea'], ['sam', 'idea'],
  ...both('ready'),
  ['alex', 'rank', 'Alex ranks three ideas in private.'],
  ['alex', 'cut', 'Alex drives into a tunnel.'],
  ['sam', 'rank', 'Sam goes on. Alex’s phone says nothing at first, then shows that it reconnects.'],
  ['alex', 'cut', 'The tunnel ends: Alex’s phone catches up on what it missed.', 3],
  ['sam', 'leave', 'Sam has to catch a train.'],
  ['alex', 'propose', 'Alex proposes. Sam is away: a notification again.'],
  ['sam', 'notice', 'Sam opens the app from the notification.'],
  ['sam', 'agree'],
  ['alex', 'resolve'],
];

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Player {
  #at = 0; #playing = false;

  /** `say` shows a caption, `changed` hears whether it plays. */
  constructor(say, changed) {
    Object.assign(this, { say, changed });
  }

  get isPlaying() {
    return this.#playing;
  }

  toggle() {
    if (this.#playing) this.#stop();
    else this.#play();
  }

  #stop() {
    this.#playing = false;
    this.changed();
  }

  async #play() {
    this.#playing = true;
    this.changed();
    while (this.#playing && this.#at < STEPS.length) {
      if (!(await this.#isReady()) || !this.#playing) break;
      const [who, what, caption, beats = 1] = STEPS[this.#at];
      this.say(caption ?? pressing(STEPS[this.#at]));
      document.getElementById(who)?.scrollIntoView({ block: 'nearest', inline: 'center' });
      await wait(PACE * beats);
      if (!this.#playing) break;
      if (what === 'rank') await this.#rank(who);
      document.querySelector(selector(who, what))?.click();
      this.#at++;
    }
    this.#stop();
  }

  /** Waits until the step can be done. If it does not come, somebody has played by hand: then the story goes on from there. */
  async #isReady() {
    for (const begun = Date.now(); this.#playing && Date.now() - begun < PATIENCE; await wait(50)) {
      if (isPossible(STEPS[this.#at])) return true;
      if (Date.now() - begun < STALL) continue;
      const possible = STEPS.map((step, index) => (isPossible(step) && !ALWAYS.includes(step[1]) ? index : -1)).filter((index) => index >= 0);
      this.#at = possible.find((index) => index > this.#at) ?? possible[0] ?? this.#at;
    }
    return false;
  }

  /** Ranks three ideas, in an order that both have in common in part. */
  async #rank(who) {
    for (const place of [0, 1, 2]) {
      const ideas = [...document.querySelectorAll(`#${who} .rank`)].sort((a, b) => (a.dataset.do < b.dataset.do ? -1 : 1));
      ideas[place]?.click();
      await wait(PACE / 3);
    }
  }
}

function isPossible([who, what]) {
  return document.querySelector(what === 'rank' ? `#${who} .rank` : selector(who, what)) !== null;
}

/** What is said of a step that has no words of its own. */
function pressing([who, what]) {
  const label = document.querySelector(selector(who, what))?.textContent ?? '';
  return `${who === 'sam' ? 'Sam' : 'Alex'}: ${quoted(label)}`;
}

/** A button's label. Quotation marks in it become single ones. */
export function quoted(label) {
  return `“${label.replaceAll('“', '‘').replaceAll('”', '’')}”`;
}

function selector(who, what) {
  return who === 'page' ? `#${what}:not(:disabled)` : `#${who} [data-do="${what}"]:not(:disabled)`;
}
