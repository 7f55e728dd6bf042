// Follows along: fetches the changing part of the page and puts in what has
// changed, item by item, so that what is open stays open and focus stays put.
const live = document.getElementById('live');
const press = document.getElementById('follow-along');
const quick = 1000, slow = 4000, calm = 15000; // ms
let changed = performance.now(), paused = false, timer, asked;

if (live && press) {
  press.hidden = false;
  press.setAttribute('aria-pressed', 'false');
  press.addEventListener('click', () => {
    paused = !paused;
    press.textContent = paused ? 'Follow again' : 'Pause';
    press.setAttribute('aria-pressed', String(paused));
    if (paused) { asked?.abort(); clearTimeout(timer); } else { look(); }
  });
  document.addEventListener('visibilitychange', () => {
    clearTimeout(timer);
    if (!document.hidden && !paused) look();
  });
  wait();
}

function wait() {
  clearTimeout(timer);
  if (paused || document.hidden) return;
  timer = setTimeout(look, performance.now() - changed < calm ? quick : slow);
}

async function look() {
  asked?.abort();
  asked = new AbortController();
  const mine = asked;
  try {
    const answer = await fetch(live.dataset.live, { signal: mine.signal, headers: { Accept: 'text/html' } });
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = document.createElement('template');
    fresh.innerHTML = await answer.text();
    live.classList.remove('lost');
    if (merge(live, fresh.content)) changed = performance.now();
  } catch {
    if (mine.signal.aborted) return;
    live.classList.add('lost'); // the demo was stopped; what is shown stays readable
  }
  wait();
}

// merge makes the keyed children of `old` those of `fresh`; true if any differed.
function merge(old, fresh) {
  const have = new Map([...old.children].map((e) => [e.dataset.key, e]));
  let differs = false;
  let before = null;
  for (const next of [...fresh.children]) {
    const known = have.get(next.dataset.key);
    have.delete(next.dataset.key);
    let placed = known;
    if (!known) {
      placed = next;
      mark(next, null);
      differs = true;
    } else if (next.matches('ol') && known.matches('ol')) {
      differs = merge(known, next) || differs;
    } else if (same(known) !== same(next)) {
      placed = next;
      differs = true;
      replace(known, next);
    }
    const spot = before ? before.nextElementSibling : old.firstElementChild;
    if (spot !== placed) old.insertBefore(placed, spot);
    before = placed;
  }
  for (const gone of have.values()) { gone.remove(); differs = true; }
  return differs;
}

// same is an item's content apart from what this page did to it.
function same(item) {
  const copy = item.cloneNode(true);
  for (const e of copy.querySelectorAll('details[open]')) e.open = false;
  for (const e of copy.querySelectorAll('.fresh')) e.classList.remove('fresh');
  return copy.outerHTML;
}

function replace(known, next) {
  for (const e of known.querySelectorAll('details[open][id]')) {
    const twin = [...next.querySelectorAll('details')].find((d) => d.id === e.id);
    if (twin) twin.open = true;
  }
  mark(next, known);
  const stops = 'a, summary';
  const focus = [...known.querySelectorAll(stops)].indexOf(document.activeElement);
  known.replaceWith(next);
  if (focus >= 0) next.querySelectorAll(stops)[focus]?.focus({ preventScroll: true });
}

// mark lets notifications that were not there before arrive visibly.
function mark(next, known) {
  const before = new Set(known ? [...known.querySelectorAll('[data-note]')].map((e) => e.dataset.note) : []);
  for (const e of next.querySelectorAll('[data-note]')) if (!before.has(e.dataset.note)) e.classList.add('fresh');
}
