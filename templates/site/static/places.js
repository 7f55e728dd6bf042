// The list of places: search, subdivisions when they are asked for, and the
// places that this computer's clock suggests. Without this script the list
// works all the same.

const alike = { "đ": "d", "ı": "i", "ی": "ي", "ى": "ي", "ک": "ك", "ہ": "ه", "ھ": "ه", "ة": "ه", "ە": "ه", "臺": "台", "\u0901": "\u0902" };

// plain is text as it is searched, as the server has it (folded in fold.go):
// accents go from letters that have them, and no vowels of India's scripts.
export const plain = text => text.toLowerCase().normalize("NFD")
  .replace(/[\u200c\u200d\u093c\u09bc\u0a3c\u0abc\u0b3c]/g, "")
  .replace(/([\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Arabic}\p{Script=Hebrew}])\p{M}+/gu, "$1")
  .replace(/[đıیىکہھةە臺\u0901]/g, letter => alike[letter])
  .replace(/[\u3041-\u30ff][\u3099\u309a]/g, kana => kana.normalize("NFC"))
  .replace(/[ङञणनम]\u094d(?=[\u0915-\u0939])/g, "\u0902");

export const myZone = () => {
  try {
    return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  } catch {
    return "UTC";
  }
};

// later runs work once, when nothing has called for it for a while.
export function later(work, wait = 250) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, wait);
  };
}

// parts fetches a country's subdivisions into its row, once, and reports whether they are there.
async function parts(button) {
  const row = button.closest("li");
  if (row.querySelector(".inner")) return true;
  const answer = await fetch(`/places/${encodeURIComponent(button.value)}?words=${document.documentElement.lang}`).catch(() => undefined);
  const rows = answer && answer.ok ? await answer.text().catch(() => "") : "";
  if (row.querySelector(".inner")) return true; // another press was quicker
  if (rows === "") return false;
  const list = document.createElement("ul");
  list.className = "inner";
  list.innerHTML = rows;
  row.append(list);
  return true;
}

function show(button, open) {
  const list = button.closest("li").querySelector(".inner");
  if (!list) return;
  list.hidden = !open;
  button.setAttribute("aria-expanded", String(open));
}

// toggle is the reader's own press: it opens the whole list, also where a search
// has left a part of it.
async function toggle(button, failed) {
  const row = button.closest("li");
  const open = button.getAttribute("aria-expanded") !== "true";
  row.querySelector(".none-found")?.remove();
  if (open && !await parts(button)) {
    const said = document.createElement("p");
    Object.assign(said, { className: "none-found", role: "status" });
    row.append(said);
    said.textContent = failed;
    return;
  }
  button.dataset.own = open ? "1" : "";
  if (open) for (const part of row.querySelectorAll(".inner li")) part.hidden = false;
  show(button, open);
}

// because says by what other name a place is found, beside its own.
function because(input, wanted, place) {
  const label = input.closest("label");
  const id = `by-${input.value}`;
  const text = place && place.by && !plain(label.textContent).includes(wanted) ? place.by : "";
  let said = document.getElementById(id);
  if (said?.textContent === text || !said && !text) return;
  said?.remove();
  input.removeAttribute("aria-describedby");
  if (!text) return;
  said = Object.assign(document.createElement("small"), { className: "by", id, lang: place.lang, dir: "auto", textContent: text });
  label.after(said);
  input.setAttribute("aria-describedby", id);
}

export function search(fieldset) {
  const field = fieldset.querySelector("#search");
  const none = fieldset.querySelector("#search-none");
  const tree = fieldset.querySelector(".tree");
  fieldset.querySelector("#search-row").hidden = false;
  for (const button of tree.querySelectorAll(".parts[aria-expanded=true]")) button.dataset.own = "1";
  // A subdivision is found by how a word of it begins, as the server finds it:
  // else what is found would depend on what was fetched before.
  const matches = (input, wanted) => {
    const text = plain(["", input.closest("label").textContent.trim(), input.value, input.dataset.also].join(" "));
    return text.includes(input.closest(".inner") ? ` ${wanted}` : wanted);
  };
  let looked; // the last search that the server has answered, or could not
  const find = () => {
    const wanted = plain(field.value.trim());
    const shown = new Set();
    const known = looked && plain(looked.wanted) === wanted || wanted.length < 2;
    const found = known && wanted ? looked?.found : undefined; // by names that do not stand on the page
    if (wanted) {
      for (const input of tree.querySelectorAll("input[name=region]")) {
        because(input, wanted, found?.get(input.value));
        if (!found?.has(input.value) && !matches(input, wanted)) continue;
        for (let up = input.closest("li, .whole"); up !== tree; up = up.parentElement) shown.add(up);
      }
    }
    for (const row of tree.querySelectorAll("li, .whole, .area")) row.hidden = wanted !== "" && !shown.has(row);
    for (const area of tree.querySelectorAll("details.area")) area.open = wanted === "" ? area.querySelector("input:checked") !== null : shown.has(area);
    for (const list of tree.querySelectorAll(".inner")) {
      const button = list.closest("li:not(.inner li)").querySelector(".parts");
      if (button) show(button, wanted === "" ? button.dataset.own === "1" || list.querySelector("input:checked") !== null : shown.has(list));
    }
    if (!wanted) for (const by of tree.querySelectorAll(".by")) because(document.getElementById(`region-${by.id.slice(3)}`));
    // Said once, not anew with every letter typed, and not before it is known.
    const text = wanted === "" || shown.size ? "" : known ? none.dataset[looked && looked.failed && wanted.length > 1 ? "failed" : "none"] : none.textContent;
    if (none.textContent !== text) none.textContent = text;
  };
  const deeper = later(async () => {
    const wanted = field.value.trim();
    if (wanted.length < 2) return;
    const answer = await fetch(`/places?find=${encodeURIComponent(wanted)}&words=${document.documentElement.lang}`).catch(() => undefined);
    const found = answer && answer.ok ? await answer.json().catch(() => undefined) : undefined;
    const buttons = found ? found.countries.map(code => tree.querySelector(`.parts[value="${CSS.escape(code)}"]`)).filter(Boolean) : [];
    const there = await Promise.all(buttons.map(parts));
    if (field.value.trim() === wanted) {
      looked = { wanted, failed: !found || there.includes(false), found: new Map(found?.places.map(p => [p.code, p])) };
    }
    find(); // also for a newer search: what has come would stand there unasked
  });
  field.addEventListener("input", find);
  field.addEventListener("input", deeper);
  field.addEventListener("keydown", event => {
    if (event.key === "Enter") event.preventDefault();
  });
  fieldset.addEventListener("click", event => {
    const button = event.target.closest(".parts");
    if (!button) return;
    event.preventDefault();
    toggle(button, none.dataset.failed); // a press more fetches again
  });
  // What is followed is not left out, and the other way round.
  fieldset.addEventListener("change", event => {
    const input = event.target;
    const other = input.checked && { region: "mute-", mute: "region-" }[input.name];
    const twin = other && document.getElementById(other + input.value);
    if (twin) twin.checked = false;
  });
}

export function suggest(fieldset) {
  const row = fieldset.querySelector("#suggestion");
  const input = fieldset.querySelector(`input[data-zone~="${CSS.escape(myZone())}"]`);
  if (fieldset.querySelector("input[name=region]:checked")) {
    row.hidden = true;
    return;
  }
  if (input && !row.querySelector(`[value="${CSS.escape(input.value)}"]`)) {
    const button = document.createElement("button");
    Object.assign(button, { className: "chip", name: "pick", value: input.value, textContent: input.closest("label").textContent.trim() });
    const first = row.querySelector("button");
    if (first) first.before(button, " ");
    else row.append(button);
  }
  // A place that is followed by now is no suggestion any more.
  const tidy = () => {
    for (const b of row.querySelectorAll("button")) b.hidden = document.getElementById(`region-${b.value}`).checked;
    row.hidden = !row.querySelector("button:not([hidden])");
  };
  tidy();
  fieldset.addEventListener("change", tidy);
  row.addEventListener("click", event => {
    const button = event.target.closest("button");
    const tick = button && document.getElementById(`region-${button.value}`);
    if (!tick) return;
    event.preventDefault();
    tick.checked = true;
    const area = tick.closest("details");
    if (area) area.open = true;
    tick.dispatchEvent(new Event("change", { bubbles: true }));
    tick.focus();
  });
}

// canonical is the browser's one name of a zone that has several.
function canonical(zone) {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone;
  } catch {
    return zone;
  }
}

// named is a zone as the server names those on its list: "Prague (UTC+1)".
function named(zone) {
  const city = zone.split("/").pop().replaceAll("_", " ");
  try {
    const parts = new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "shortOffset" }).formatToParts();
    return `${city} (${parts.find(p => p.type === "timeZoneName").value.replace("GMT", "UTC")})`;
  } catch {
    return city;
  }
}

// useMyZone proposes this computer's zone where none was chosen.
export function useMyZone(select) {
  if (select.value !== "") return;
  const zone = myZone();
  const options = [...select.options].filter(o => o.value);
  const same = options.find(o => o.value === zone) || options.find(o => canonical(o.value) === canonical(zone));
  if (!same) select.add(new Option(named(zone), zone));
  select.value = same ? same.value : zone;
}

// overrides are the rows of places with a level of their own, as the API has them.
export function overrides(form) {
  const levels = form.getAll("overrideLevel");
  return form.getAll("override").map((place, i) => ({ regions: [place], level: levels[i] })).filter(o => o.regions[0] !== "");
}
