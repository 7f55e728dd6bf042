// The map and the list are one form: a press on a country ticks its box, a
// ticked box fills the country. The map is one stop of the tab key; arrows go
// from country to country.
const svg = document.getElementById("map");
const list = document.getElementById("places");
const caption = document.getElementById("map-caption");
const box = (kind, code) => document.getElementById(`${kind}-${code}`);
const nameOf = code => box("region", code).closest("label").querySelector("span").textContent;
const checked = input => Boolean(input && input.checked);

// covers says by what a country is followed: by its own box, or by something broader.
function covers(code) {
  const area = box("region", code).closest(".area").querySelector(".whole");
  const group = [...list.querySelectorAll("[data-members]:checked")].some(g => g.dataset.members.split(" ").includes(code));
  return {
    own: checked(box("region", code)),
    broad: checked(box("region", "142")) || checked(area.querySelector("[name=region]")) || group,
    out: checked(box("mute", code)) || checked(area.querySelector("[name=mute]")),
  };
}

function stateOf(code) {
  const by = covers(code);
  const inner = box("region", code).closest("li").querySelector(".inner");
  const some = name => Boolean(inner && inner.querySelector(`[name=${name}]:checked`));
  if (by.own || by.broad) return by.out ? "out" : some("mute") ? "partly" : "in";
  return some("region") ? "partly" : "";
}

const set = (input, on) => {
  if (!input || input.checked === on) return;
  input.checked = on;
  input.dispatchEvent(new Event("change", { bubbles: true }));
};

function press(code) {
  const by = covers(code);
  const own = box("region", code);
  if (by.out && (by.own || by.broad)) {
    set(box("mute", code), false);
    set(own.closest(".area").querySelector(".whole [name=mute]"), false);
  } else if (by.broad) {
    set(own, false);
    set(box("mute", code), true);
  } else {
    set(own, !by.own);
  }
  const area = own.closest("details");
  if (area) area.open = true;
}

const words = { in: caption.dataset.in, partly: caption.dataset.partly, out: caption.dataset.out, "": caption.dataset.none };
const countries = [...svg.querySelectorAll("[data-code]")].filter(g => box("region", g.dataset.code));

function paint() {
  for (const g of countries) {
    const state = stateOf(g.dataset.code);
    if (state) g.dataset.state = state;
    else delete g.dataset.state;
    g.setAttribute("aria-checked", state === "in" ? "true" : state === "partly" ? "mixed" : "false");
    g.setAttribute("aria-label", nameOf(g.dataset.code) + (state === "out" ? `, ${words.out}` : ""));
  }
}

function tell(g) {
  caption.textContent = g ? `${nameOf(g.dataset.code)}: ${words[g.dataset.state || ""]}` : caption.dataset.hint;
}

const centre = g => {
  const b = g.querySelector("path").getBBox();
  return [b.x + b.width / 2, b.y + b.height / 2];
};

// next is the nearest country in a direction; what lies aside counts double, and
// what lies more aside than ahead only where there is nothing else.
function next(from, dx, dy) {
  const [x, y] = centre(from);
  let best, least = Infinity;
  for (const g of countries) {
    const [gx, gy] = centre(g);
    const ahead = (gx - x) * dx + (gy - y) * dy, aside = Math.abs((gx - x) * dy) + Math.abs((gy - y) * dx);
    if (g === from || ahead <= 0) continue;
    const cost = ahead + 2 * aside + (aside > ahead ? 1000 : 0);
    if (cost < least) [best, least] = [g, cost];
  }
  return best;
}

// aimed is the country that a press means. A finger is not a point: what is smaller
// than 24 CSS pixels has all within 12 of its middle too (WCAG 2.2, 2.5.8), at sea and
// of a neighbour that can spare it; of another half as far, and of a small one nothing.
// One with a circle gives way to one without.
const REACH = 12;
const SPARES = 50 * 50; // square pixels

function aimed(event) {
  const hit = countries.find(g => g.contains(event.target));
  if (event.target.matches("circle") || event.type === "click" && event.detail === 0) return hit; // no finger: a screen reader's press
  const own = hit && hit.querySelector("path").getBoundingClientRect();
  const reach = own && own.width * own.height < SPARES ? REACH / 2 : REACH;
  let [best, least] = [hit, reach];
  for (const g of countries) {
    const b = g.querySelector("path").getBoundingClientRect();
    if (Math.min(b.width, b.height) >= 2 * REACH) continue;
    if (g === hit) return g;
    const far = Math.hypot(event.clientX - b.left - b.width / 2, event.clientY - b.top - b.height / 2);
    const cost = g.querySelector("circle") ? 1.5 * far : far;
    if (far <= reach && (best === hit || cost < least)) [best, least] = [g, cost];
  }
  return best;
}

// point shows which country a press would mean now.
function point(g) {
  for (const other of countries) other.classList.toggle("aimed", other === g);
  svg.classList.toggle("aiming", Boolean(g));
  tell(g || svg.querySelector(":focus"));
}

function go(g) {
  if (!g) return;
  for (const other of countries) other.setAttribute("tabindex", other === g ? "0" : "-1");
  g.focus({ preventScroll: true });
}

const arrows = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

function key(event) {
  const g = event.target.closest("[data-code]");
  if (!g || event.ctrlKey || event.metaKey || event.altKey) return;
  const byName = () => [...countries].sort((a, b) => nameOf(a.dataset.code).localeCompare(nameOf(b.dataset.code), document.documentElement.lang));
  if (arrows[event.key]) go(next(g, ...arrows[event.key]));
  else if (event.key === "Home") go(byName()[0]);
  else if (event.key === "End") go(byName().at(-1));
  else if (event.key === " " || event.key === "Enter") {
    press(g.dataset.code);
    tell(g);
  } else if (event.key.length === 1) { // a letter: the next country that begins with it
    const names = byName();
    const after = [...names.slice(names.indexOf(g) + 1), ...names];
    const hit = after.find(o => nameOf(o.dataset.code).toLocaleLowerCase().startsWith(event.key.toLocaleLowerCase()));
    if (!hit) return;
    go(hit);
  } else return;
  event.preventDefault();
}

function enliven() {
  svg.setAttribute("role", "group");
  svg.setAttribute("aria-describedby", caption.id);
  svg.classList.add("live");
  caption.hidden = false;
  countries.forEach((g, i) => {
    g.setAttribute("role", "checkbox");
    g.setAttribute("tabindex", i === 0 ? "0" : "-1");
  });
  svg.addEventListener("click", event => {
    const g = aimed(event);
    if (!g) return;
    press(g.dataset.code);
    go(g);
    tell(g);
  });
  svg.addEventListener("keydown", key);
  svg.addEventListener("focusin", event => tell(event.target.closest("[data-code]")));
  svg.addEventListener("pointermove", event => point(aimed(event)));
  svg.addEventListener("pointerleave", () => point());
  svg.addEventListener("focusout", () => tell());
  list.addEventListener("change", paint);
  addEventListener("pageshow", paint); // going back brings the ticks back
  paint();
}

if (svg && list) enliven();
