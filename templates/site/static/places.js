// The list of places: search, subdivisions when they are asked for, and the
// places that this computer's clock suggests. Without this script the list
// works all the same.
const plain = text => text.normalize("NFD").replace(/\p{M}/gu, "").toLocaleLowerCase().replaceAll("đ", "d");

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

// parts fetches a country's subdivisions into its row, once.
async function parts(button) {
  const row = button.closest("li");
  if (row.querySelector(".inner")) return;
  const answer = await fetch(`/places/${encodeURIComponent(button.value)}`);
  if (!answer.ok || row.querySelector(".inner")) return;
  const list = document.createElement("ul");
  list.className = "inner";
  list.innerHTML = await answer.text();
  row.append(list);
}

function show(button, open) {
  const list = button.closest("li").querySelector(".inner");
  if (!list) return;
  list.hidden = !open;
  button.setAttribute("aria-expanded", String(open));
}

async function toggle(button) {
  const open = button.getAttribute("aria-expanded") !== "true";
  if (open) await parts(button);
  show(button, open);
}

export function search(fieldset) {
  const field = fieldset.querySelector("#search");
  const none = fieldset.querySelector("#search-none");
  fieldset.querySelector("#search-row").hidden = false;
  const matches = (input, wanted) => plain([input.closest("label").textContent, input.value, input.dataset.also].join(" ")).includes(wanted);
  const find = () => {
    const wanted = plain(field.value.trim());
    const shown = new Set();
    for (const input of fieldset.querySelectorAll("input[name=region]")) {
      const row = input.closest("li, .whole");
      const whole = row.parentElement.closest("li");
      if (wanted && !matches(input, wanted) && !(shown.has(whole) && whole.dataset.hit)) continue;
      row.dataset.hit = matches(input, wanted) ? "1" : "";
      for (let up = row; up && up !== fieldset; up = up.parentElement) shown.add(up);
      if (whole) show(whole.querySelector(".parts"), wanted !== "" || !whole.querySelector(".inner").hidden);
    }
    for (const row of fieldset.querySelectorAll("li:not(.key li), .whole, .area")) row.hidden = wanted !== "" && !shown.has(row);
    for (const area of fieldset.querySelectorAll("details.area")) area.open = wanted === "" ? area.querySelector("input:checked") !== null : shown.has(area);
    // Said once, not anew with every letter typed.
    const text = shown.size ? "" : none.dataset.none;
    if (none.textContent !== text) none.textContent = text;
  };
  const deeper = later(async () => {
    const wanted = field.value.trim();
    if (wanted.length < 2) return;
    const answer = await fetch(`/places?find=${encodeURIComponent(wanted)}`).catch(() => undefined);
    if (!answer || !answer.ok) return;
    const buttons = (await answer.json()).countries.map(code => fieldset.querySelector(`.parts[value="${CSS.escape(code)}"]`)).filter(Boolean);
    await Promise.all(buttons.map(parts)).catch(() => undefined);
    if (field.value.trim() === wanted) find();
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
    toggle(button).catch(() => undefined); // a press more fetches again
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

// useMyZone proposes this computer's zone where none was chosen.
export function useMyZone(select) {
  if (select.value !== "") return;
  const zone = myZone();
  if (![...select.options].some(o => o.value === zone)) select.add(new Option(zone, zone));
  select.value = zone;
}

// overrides are the rows of places with a level of their own, as the API has them.
export function overrides(form) {
  const levels = form.getAll("overrideLevel");
  return form.getAll("override").map((place, i) => ({ regions: [place], level: levels[i] })).filter(o => o.regions[0] !== "");
}
