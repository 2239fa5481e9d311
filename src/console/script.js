'use strict';
// Replaces the sections of the page that changed, as the server sends them.

const live = document.getElementById('live');
const places = 'a, button, summary, input, select, textarea';

function say(text, lost) {
  live.hidden = false;
  live.textContent = text;
  live.classList.toggle('lost', lost);
}

function replace(fresh) {
  const old = document.getElementById(fresh.id);
  if (!old) return;
  const selection = getSelection();
  // Whoever is marking a text to copy it keeps it.
  if (!selection.isCollapsed && old.contains(selection.anchorNode)) return;
  for (const open of old.querySelectorAll('details[open][id]')) {
    const same = fresh.querySelector(`#${CSS.escape(open.id)}`);
    if (same) same.open = true;
  }
  const focus = [...old.querySelectorAll(places)].indexOf(document.activeElement);
  old.replaceWith(fresh);
  if (focus >= 0) fresh.querySelectorAll(places)[focus]?.focus({ preventScroll: true });
}

if (live) {
  const source = new EventSource(location.href);
  let full = false;
  source.addEventListener('open', () => {
    full = false;
    say('Live', false);
  });
  source.addEventListener('full', () => { full = true; });
  source.addEventListener('error', () => {
    const ended = source.readyState === EventSource.CLOSED;
    if (full) say('Too many pages are open', true);
    else say(ended ? 'Signed out: reload the page' : 'Not connected', true);
  });
  source.addEventListener('failing', () => say('The store cannot be read', true));
  source.addEventListener('sections', (event) => {
    say('Live', false);
    const sent = document.createElement('template');
    sent.innerHTML = event.data;
    for (const fresh of [...sent.content.children]) replace(fresh);
  });
  addEventListener('pagehide', () => source.close());
}
