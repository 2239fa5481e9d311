'use strict';
// Replaces the sections of the page that changed, as the server sends them.

const live = document.getElementById('live');
const places = 'a, button, summary, input, select, textarea';

function say(text, lost) {
  live.hidden = false;
  live.textContent = text;
  live.classList.toggle('lost', lost);
}

/** Where an element is: in the nearest part with a name, so that a line more above it does not count. */
function placeOf(element, root) {
  const near = element.closest('[id]');
  return { id: near.id, index: root.contains(near) ? [...near.querySelectorAll(places)].indexOf(element) : -1 };
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
  const focus = old.contains(document.activeElement) ? placeOf(document.activeElement, old) : undefined;
  old.replaceWith(fresh);
  if (!focus) return;
  const part = document.getElementById(focus.id);
  (focus.index < 0 ? part : part?.querySelectorAll(places)[focus.index])?.focus({ preventScroll: true });
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
