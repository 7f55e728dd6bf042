// What a choice means, while it is made; and the rows of places with a level of
// their own. Without this script buttons of the form do both.
import { faultsSaid } from "./faults.js";
import { later } from "./places.js";
import "./map.js";

const $ = id => document.getElementById(id);
const form = $("wishes");
const section = $("preview");

// The fields that are about the digest and its reader are nobody else's.
const own = ["email", "hour", "day", "weekly", "form", "action"];
const feed = ["region", "mute", "section", "level", "override", "overrideLevel", "language"];

function fields(keep) {
  const query = new URLSearchParams();
  let empty = false; // a row without a place says nothing, its level neither
  for (const [name, value] of new FormData(form)) {
    if (name === "override") empty = value === "";
    if (empty && ["override", "overrideLevel"].includes(name)) continue;
    if (typeof value === "string" && keep(name)) query.append(name, value);
  }
  return query;
}

function link(anchor, query) {
  if (anchor) anchor.href = anchor.pathname + (query.has("region") ? `?${query}` : "");
}

// languages keeps the choice when the page is turned into another language; that
// of the alerts goes with it.
function languages(query) {
  if (!form.elements.form) return; // a page of somebody's own shows what is saved
  const kept = new URLSearchParams(query);
  kept.delete("language");
  kept.set("form", "1");
  for (const a of document.querySelectorAll(".languages a")) a.search = `?lang=${a.hreflang}&${kept}`;
}

// app has the page's own app, once it is put on a Home Screen, begin with the choice:
// there it has none of this page's memory.
function app(query) {
  const manifest = form.elements.form && document.querySelector("link[rel=manifest]");
  if (manifest) manifest.href = `/manifest.webmanifest?lang=${document.documentElement.lang}${query.has("region") ? `&form=1&${query}` : ""}`;
}

// unreadable is what the preview says of a choice that the API refuses.
async function unreadable(answer) {
  const { errors } = await answer.json().catch(() => ({}));
  const { said, fields } = faultsSaid(errors);
  if (said.length === 0) return section.dataset.failed;
  return fields.every(f => ["regions", "mutedRegions"].includes(f)) ? section.dataset.nothing : said.join(" ");
}

let running;

async function ask() {
  if (running) running.abort();
  const query = fields(name => !own.includes(name));
  const feeds = fields(name => feed.includes(name));
  link($("feed-atom"), feeds);
  link($("feed-json"), feeds);
  languages(query);
  app(query);
  if (!query.has("region")) return tell({ text: section.dataset.empty, places: "", examples: [] });
  running = new AbortController();
  section.setAttribute("aria-busy", "true");
  try {
    // In this page's language, whatever another tab has chosen meanwhile.
    const answer = await fetch(`/api/v1/preview?words=${document.documentElement.lang}&${query}`, { signal: running.signal });
    if (answer.ok) tell(await answer.json());
    else tell({ text: answer.status === 400 ? await unreadable(answer) : section.dataset.failed, places: "", examples: [] });
  } catch (error) {
    if (error.name === "AbortError") return; // a newer one is on its way
    tell({ text: section.dataset.failed, places: "", examples: [] });
  }
  section.removeAttribute("aria-busy");
}

function tell(preview) {
  section.removeAttribute("aria-busy");
  const places = $("preview-places");
  places.hidden = preview.places === "";
  places.querySelector("strong").textContent = preview.places;
  if ($("preview-text").textContent !== preview.text) $("preview-text").textContent = preview.text;
  $("preview-like").hidden = preview.examples.length === 0;
  $("preview-examples").replaceChildren(...preview.examples.map(example));
  section.dataset.told = String(Number(section.dataset.told || 0) + 1); // for who reads the page by machine
}

function example(e) {
  const line = Object.assign(document.createElement("li"), { lang: e.language, dir: e.dir });
  if (e.dateline) line.append(Object.assign(document.createElement("bdi"), { className: "dateline", dir: e.dir, textContent: e.dateline }), " ");
  line.append(Object.assign(document.createElement("a"), { href: e.url, rel: "noreferrer", textContent: e.title }));
  return line;
}

// What is followed and stands on no list to choose from gets a line there: a
// prefecture may have a level of its own, too.
function options(list) {
  for (const select of list.querySelectorAll("[name=override]")) {
    for (const input of $("places").querySelectorAll(".inner [name=region]:checked")) {
      if ([...select.options].some(o => o.value === input.value)) continue;
      select.options[0].after(new Option(input.closest("label").textContent.trim(), input.value));
    }
  }
}

function rows(fieldset) {
  const list = $("override-rows");
  form.addEventListener("change", () => options(list));
  options(list);
  const changed = () => fieldset.dispatchEvent(new Event("change", { bubbles: true }));
  fieldset.addEventListener("click", event => {
    const button = event.target.closest("button");
    if (!button) return;
    event.preventDefault();
    const last = list.lastElementChild;
    if (button.name === "more") {
      const row = last.cloneNode(true);
      row.querySelector("[name=override]").value = "";
      list.append(row);
      row.querySelector("select").focus();
      return;
    }
    const row = button.closest("li");
    if (list.children.length > 1) row.remove();
    else row.querySelector("[name=override]").value = "";
    list.lastElementChild.querySelector("select").focus();
    changed();
  });
}

// weekly takes the days away from a digest that comes on one of them.
function weekly(box) {
  const days = document.querySelectorAll(".days input");
  const tell = () => { for (const day of days) day.disabled = box.checked; };
  box.addEventListener("change", tell);
  addEventListener("pageshow", tell); // a browser that comes back ticks what was ticked
  tell();
}

if ($("weekly")) weekly($("weekly"));
if ($("overrides")) rows($("overrides"));
if (section && form) {
  section.querySelector(".show").hidden = true;
  for (const keep of [languages, app]) keep(fields(name => !own.includes(name)));
  const soon = later(ask);
  form.addEventListener("change", soon);
  addEventListener("pageshow", () => {
    if (form.querySelector("[name=region]:checked") && section.querySelector("#preview-places").hidden) soon();
  });
}
