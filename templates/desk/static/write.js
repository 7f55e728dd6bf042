// The form of an alert while it is written: lengths and lock-screen pictures
// follow each key; the audience in words, its map and the card of whom it
// reaches come from the desk. Without this script the buttons of the form show
// the same.
const form = document.querySelector("form[data-preview]");
const map = document.querySelector(".atlas");

// Columns as internal/desk/platforms.go counts them: grapheme clusters, of which
// East Asian wide ones and emoji take two.
const wide = /^[\u1100-\u115f\u231a\u231b\u2329\u232a\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6]|^[\u{17000}-\u{18cff}\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|^\p{Emoji_Presentation}|^\p{RI}\p{RI}|\ufe0f/u;
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const width = (cluster) => (wide.test(cluster) ? 2 : 1);

function columns(text) {
  let n = 0;
  for (const { segment } of graphemes.segment(text)) n += width(segment);
  return n;
}

function cut(text, most) {
  if (columns(text) <= most) return text;
  let n = 0;
  let seen = "";
  for (const { segment } of graphemes.segment(text)) {
    n += width(segment);
    if (n > most - 1) break;
    seen += segment;
  }
  return `${seen.replace(/[ \u3000]+$/, "")}…`;
}

function count(label) {
  const n = columns(label.querySelector("input, textarea").value);
  const out = label.querySelector(".length");
  const over = out.dataset.limits.split(", ").filter((p) => n > Number(p.split(" ").pop()));
  out.textContent = over.length ? `${n} columns: cut on ${over.join(", ")}` : `${n} columns: whole on every platform`;
  out.classList.toggle("over", over.length > 0);
}

function draw(text) {
  const title = text.querySelector("input[name^='title.']").value.trim();
  const body = text.querySelector("textarea").value.trim().replace(/\s+/g, " ");
  for (const picture of text.querySelectorAll(".picture")) {
    for (const n of picture.querySelectorAll(".notification")) {
      const open = n.classList.contains("open");
      n.querySelector(".t").textContent = cut(title, Number(open ? picture.dataset.openTitle : picture.dataset.title));
      n.querySelector(".b").textContent = cut(body, Number(open ? picture.dataset.openBody : picture.dataset.body));
    }
  }
}

for (const text of form.querySelectorAll(".text")) {
  const labels = text.querySelectorAll("label:has(.length)");
  text.addEventListener("input", () => {
    labels.forEach(count);
    draw(text);
  });
  labels.forEach(count);
  draw(text);
}

// What the desk says of the form. Texts stay here: whom an alert reaches does
// not depend on what it says.
const card = document.getElementById("card");
let waiting = 0;
let asked = null; // the request under way

function query() {
  const q = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (["level", "audience", "sections", "languages", "deadline"].includes(name)) q.append(name, value);
  }
  return q;
}

function later() {
  card?.setAttribute("aria-busy", "true");
  clearTimeout(waiting);
  waiting = setTimeout(() => ask(query()), 250);
}

async function ask(q) {
  asked?.abort();
  const mine = new AbortController();
  asked = mine;
  try {
    const answer = await fetch(`${form.dataset.preview}?${q}`, { signal: mine.signal });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    put(await answer.text(), q.has("toggle"));
  } catch (e) {
    if (e.name === "AbortError") return;
    if (card) card.innerHTML = '<p class="fault">The desk does not answer: this is not counted. What you wrote is still here; save it when you can.</p>';
  }
  card?.removeAttribute("aria-busy");
}

function put(html, pressed) {
  const parts = new DOMParser().parseFromString(html, "text/html");
  for (const part of parts.querySelectorAll("[data-part]")) {
    const here = document.getElementById(part.dataset.part);
    if (here && here.innerHTML !== part.innerHTML) here.innerHTML = part.innerHTML;
  }
  const audience = form.elements.audience;
  if (pressed) audience.value = parts.querySelector("[data-audience]").dataset.audience;
  for (const field of [audience, form.elements.deadline]) {
    const said = document.getElementById(field.getAttribute("aria-describedby").split(" ")[0]);
    if (said.querySelector(".fault")) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }
  const shown = document.querySelector("#map-words [data-in]").dataset;
  paint(new Set(shown.in.split(" ")), new Set(shown.partly.split(" ")));
}

function paint(inside, partly) {
  for (const g of map.querySelectorAll("g")) {
    const code = g.dataset.code;
    const state = inside.has(code) ? "in" : partly.has(code) ? "partly" : "out";
    g.setAttribute("class", state);
    form.querySelector(`.country[value="${code}"]`).setAttribute("aria-pressed", { in: "true", partly: "mixed", out: "false" }[state]);
  }
}

// A press on a country: the desk writes the expression anew.
function toggle(code) {
  clearTimeout(waiting);
  form.dataset.unsaved = "";
  const q = query();
  q.append("toggle", code);
  ask(q);
}

map.addEventListener("click", (e) => {
  const g = e.target.closest("[data-code]");
  if (g) toggle(g.dataset.code);
});
form.addEventListener("click", (e) => {
  const button = e.target.closest(".country");
  if (!button) return;
  e.preventDefault();
  toggle(button.value);
});
form.addEventListener("input", (e) => {
  if (!e.target.closest(".text") && e.target.id !== "language") later();
});

// What was typed before this script came, or was kept by the browser over a
// reload, counts like what is typed now.
// Of a box its value says nothing: it is "on" by itself.
const touched = (f) => (["checkbox", "radio"].includes(f.type) ? f.checked !== f.defaultChecked : "defaultValue" in f && f.value !== f.defaultValue);
if ([...form.elements].some(touched)) {
  form.dataset.unsaved = "";
  later();
}
