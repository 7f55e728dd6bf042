// The list of places: search, and the place that the clock of this computer
// suggests. Without this script the list works all the same.
const plain = text => text.normalize("NFD").replace(/\p{M}/gu, "").toLocaleLowerCase();

export const myZone = () => {
  try {
    return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  } catch {
    return "UTC";
  }
};

export function search(fieldset) {
  const field = fieldset.querySelector("#search");
  const none = fieldset.querySelector("#search-none");
  fieldset.querySelector("#search-row").hidden = false;
  const ticks = [...fieldset.querySelectorAll("input[name=region]")].map(input => {
    const row = input.closest("li") || input.closest("label");
    return { row, text: plain([row.textContent, input.value, input.dataset.also].join(" ")), area: input.closest(".area") };
  });
  const find = () => {
    const wanted = plain(field.value.trim());
    const hits = new Set();
    let found = false;
    for (const tick of ticks) {
      tick.row.hidden = wanted !== "" && !tick.text.includes(wanted);
      if (tick.row.hidden) continue;
      found = true;
      if (tick.area) hits.add(tick.area);
    }
    for (const area of fieldset.querySelectorAll(".area")) {
      area.hidden = wanted !== "" && !hits.has(area);
      if (!("open" in area)) continue;
      area.open = wanted === "" ? area.querySelector("input:checked") !== null : hits.has(area);
    }
    // Said once, not anew with every letter typed.
    const text = found ? "" : none.dataset.none;
    if (none.textContent !== text) none.textContent = text;
  };
  field.addEventListener("input", find);
  field.addEventListener("keydown", event => {
    if (event.key === "Enter") event.preventDefault();
  });
}

export function suggest(fieldset) {
  const zone = myZone();
  const input = fieldset.querySelector(`input[data-zone="${CSS.escape(zone)}"]`);
  if (!input || fieldset.querySelector("input[name=region]:checked")) return;
  const button = fieldset.querySelector("#suggested");
  button.textContent = input.closest("label").textContent.trim();
  button.addEventListener("click", () => {
    input.checked = true;
    const area = input.closest("details");
    if (area) area.open = true;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    fieldset.querySelector("#suggestion").hidden = true;
    input.focus();
  });
  fieldset.querySelector("#suggestion").hidden = false;
}

export function useMyZone(select) {
  const zone = myZone();
  if (![...select.options].some(o => o.value === zone)) select.add(new Option(zone, zone));
  select.value = zone;
}
