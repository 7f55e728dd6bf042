// The forms of an alert's page send themselves, so that a desk that is down or
// a session that is over takes nothing that was typed: what was not done is said
// in place. What is typed is also kept in this tab, until it is saved, and
// offered back to whoever wrote it.
const status = document.getElementById("status");
const page = status.dataset.page;
const who = status.dataset.by;
const offers = document.getElementById("kept");
const prefix = "desk-draft ";
const saved = `desk-saved ${page}`;
const forms = [...document.querySelectorAll("main form[method=post]")];
const patience = 15_000; // ms that an answer may take

// Words that confirm one press, and what the desk itself wrote into the form.
const notKept = new Set(["hash", "typed", "over", "count", "emergency"]);
const isText = (name) => /^(title|body)\.|^(reason|note|audience|deadline)$/.test(name);
const action = (form) => form.getAttribute("action");
const fields = (form) => [...new FormData(form)].filter(([name]) => !notKept.has(name));
const written = (form) => fields(form).some(([name]) => isText(name));

function keep(form) {
  if (form.dataset.unsaved === undefined || !written(form)) return;
  try {
    sessionStorage.setItem(prefix + action(form), JSON.stringify({ by: who, at: new Date().toISOString(), fields: fields(form) }));
  } catch { /* a browser that keeps nothing: the text is on the page */ }
}

function draft(key) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(key));
    return kept?.by === who && Array.isArray(kept.fields) ? kept : null;
  } catch {
    return null;
  }
}

const forget = (form) => sessionStorage.removeItem(prefix + action(form));

// What a form says of the last press.
function say(form, text, link) {
  const there = form.querySelector(".said") ?? form.appendChild(Object.assign(document.createElement("p"), { className: "said fault" }));
  there.setAttribute("role", "alert");
  there.textContent = text;
  if (link) there.append(" ", Object.assign(document.createElement("a"), { href: page, textContent: link }));
}

const word = (form) => (action(form).endsWith("/edit") ? "Not saved" : "Not done");
const safe = (form) => (written(form) ? " What you wrote is still here." : "");

// What the desk found wrong with single texts.
function mark(form, there) {
  for (const old of form.querySelectorAll(".found")) old.remove();
  for (const field of form.querySelectorAll(".text [aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
  for (const bad of there?.querySelectorAll(".text [aria-invalid]") ?? []) {
    const field = form.elements[bad.name];
    const fault = there.querySelector(`[id="${bad.getAttribute("aria-describedby")}"]`);
    if (!field || !fault) continue;
    form.querySelector(`[id="${fault.id}"]`)?.remove();
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", fault.id);
    field.closest("label").after(Object.assign(document.createElement("p"), { className: "fault found", id: fault.id, textContent: fault.textContent }));
  }
}

// A refusal comes as the whole page: the alert as it is now, what is wrong, and
// the hash with which the next press means this alert.
function refused(form, html) {
  const answer = new DOMParser().parseFromString(html, "text/html");
  const why = answer.querySelector(".faults[role=alert]")?.textContent.trim() ?? answer.querySelector("main p")?.textContent.trim() ?? "the desk refused it.";
  const now = answer.getElementById("status");
  const there = [...answer.querySelectorAll("main form")].find((f) => action(f) === action(form));
  if (now) {
    status.innerHTML = now.innerHTML;
    for (const name of ["state", "hash", "policy", "room"]) status.dataset[name] = now.dataset[name] ?? "";
  }
  if (action(form).endsWith("/edit") && there) {
    form.elements.hash.value = there.elements.hash.value;
    mark(form, there);
  }
  say(form, `${word(form)}: ${why}${safe(form)}`);
}

function done(form) {
  for (const f of forms) if (f === form) forget(f);
  delete form.dataset.unsaved;
  if (action(form).endsWith("/edit")) sessionStorage.setItem(saved, JSON.stringify({ at: new Date().toISOString(), y: scrollY }));
  if (/\/(release|alone)$/.test(action(form))) sessionStorage.setItem(released, String(Date.now()));
  // It stays marked as on its way until this page is gone: the news of what was
  // just done must not load the page a second time.
  form.dataset.sending = "done";
  location.assign(page);
}

async function send(form, body) {
  // A press on HOLD goes on its way even when the page is left meanwhile; a
  // request that may do so has to be small.
  const answer = await fetch(action(form), { method: "POST", body, keepalive: !action(form).endsWith("/edit") && !action(form).endsWith("/correct"), signal: AbortSignal.timeout(patience) });
  if (answer.redirected && new URL(answer.url).pathname.endsWith("/signin")) {
    say(form, `${word(form)}: you are signed out.${written(form) ? " What you wrote is kept in this tab, and offered when you are back." : ""}`, "Sign in again");
  } else if (answer.redirected) {
    done(form);
  } else if (answer.status >= 500) {
    say(form, `${word(form)}: the desk can't do it at the moment (${answer.status}).${safe(form)} Try again.`);
  } else {
    refused(form, await answer.text());
  }
}

// Buttons that show the form anew, with another language say, get a whole page:
// they are pressed once somebody answers there.
async function shown(form, button) {
  const answer = await fetch(page, { method: "HEAD", signal: AbortSignal.timeout(patience) });
  if (answer.redirected) {
    say(form, "Not shown: you are signed out. What you wrote is kept in this tab, and offered when you are back.", "Sign in again");
  } else if (!answer.ok) {
    say(form, `Not shown: the desk can't do it at the moment (${answer.status}). What you wrote is still here.`);
  } else {
    form.dataset.native = "";
    form.requestSubmit(button);
  }
}

// Steps that send what was saved, or have it agreed to: with other words in the
// form they would not do what they seem to.
const sends = /\/(release|submit|approve|alone)$/;
// An Undo right after the page that answers a Release is the second half of a double
// press on that.
const deaf = 700; // ms
const released = "desk-released";
const opened = performance.now();
const answers = Date.now() - Number(sessionStorage.getItem(released) ?? 0) < 3_000;
sessionStorage.removeItem(released);

async function submit(event) {
  const form = event.currentTarget;
  if (sends.test(action(form)) && document.querySelector("form[data-preview][data-unsaved]")) {
    event.preventDefault();
    say(form, "Not done: the form below has changes that are not saved, and this would leave them out. Save them first, or load the page again.");
    return;
  }
  if (answers && event.submitter?.classList.contains("undo") && performance.now() - opened < deaf) {
    event.preventDefault();
    say(form, "Not undone: that was the second press on Release. Press Undo once more.");
    return;
  }
  if (form.dataset.native !== undefined) {
    delete form.dataset.native;
    return;
  }
  event.preventDefault();
  // Once is enough; but HOLD may be pressed again when nobody answers.
  if (form.dataset.sending !== undefined && !action(form).endsWith("/hold")) return;
  const button = event.submitter;
  keep(form);
  form.dataset.sending = "";
  form.querySelector(".said")?.replaceChildren();
  try {
    if (["add", "remove", "toggle", "show"].includes(button?.name)) await shown(form, button);
    else await send(form, new URLSearchParams(new FormData(form, button)));
  } catch {
    const unsure = action(form).endsWith("/edit") ? "" : " Look at what stands above before you press again.";
    say(form, `${word(form)}: the desk does not answer.${safe(form)}${unsure}`);
  } finally {
    if (form.dataset.sending !== "done") delete form.dataset.sending;
  }
}

function clock(at) {
  const then = new Date(at);
  const time = then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return then.toDateString() === new Date().toDateString() ? time : `${then.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
}

function button(text, quiet, press) {
  const b = Object.assign(document.createElement("button"), { type: "button", className: quiet ? "button quiet" : "button", textContent: text });
  b.addEventListener("click", press);
  return b;
}

// The alert's form comes back from the desk, with its pictures and its count;
// the others have fixed fields.
function putBack(form, kept) {
  if (action(form).endsWith("/edit")) {
    const again = Object.assign(document.createElement("form"), { method: "post", action: action(form) });
    for (const [name, value] of [...kept.fields, ["hash", form.elements.hash.value], ["show", "1"]]) {
      again.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
    }
    document.body.append(again);
    again.submit();
    return;
  }
  for (const field of form.elements) {
    const of = kept.fields.filter(([name]) => name === field.name);
    if (field.type === "checkbox") field.checked = of.some(([, value]) => value === field.value);
    else if (of.length > 0 && field.type !== "hidden") field.value = of[0][1];
  }
  form.dataset.unsaved = "";
  const more = form.closest("details");
  if (more) more.open = true;
  form.scrollIntoView({ block: "center" });
  form.querySelector("input:not([type=hidden]), textarea")?.focus();
}

function offer(key, kept, form) {
  const box = Object.assign(document.createElement("div"), { className: "offer" });
  const words = document.createElement("p");
  words.textContent = form ? `You had unsaved text from ${clock(kept.at)}.` : `You had unsaved text from ${clock(kept.at)}; this alert can't take it any more.`;
  const row = Object.assign(document.createElement("p"), { className: "row" });
  const away = () => { sessionStorage.removeItem(key); box.remove(); };
  if (form) row.append(button("Put it back", false, () => { box.remove(); putBack(form, kept); }));
  row.append(button("Throw it away", true, away));
  box.append(words);
  const list = document.createElement("ul");
  for (const [name, value] of kept.fields) {
    if (isText(name) && value.trim() !== "" && (!form || form.elements[name]?.value !== value)) {
      const line = document.createElement("li");
      const text = Object.assign(document.createElement("bdi"), { textContent: value.length > 300 && form ? `${value.slice(0, 300)}…` : value });
      line.append(text);
      list.append(line);
    }
  }
  if (list.firstChild) box.append(list);
  box.append(row);
  offers.append(box);
}

const same = (form, kept) => JSON.stringify(fields(form)) === JSON.stringify(kept.fields);

function look() {
  for (let i = sessionStorage.length - 1; i >= 0; i--) {
    const key = sessionStorage.key(i);
    if (!key?.startsWith(`${prefix}${page}/`)) continue;
    const kept = draft(key);
    const form = forms.find((f) => prefix + action(f) === key);
    if (!kept || (form && form.dataset.unsaved !== undefined)) continue; // the page has what is newer
    if (form && same(form, kept)) sessionStorage.removeItem(key);
    else offer(key, kept, form);
  }
}

// Where somebody saved far down she goes on, and reads that it was saved.
function returned() {
  const back = JSON.parse(sessionStorage.getItem(saved) ?? "null");
  sessionStorage.removeItem(saved);
  const there = document.querySelector("form[data-preview] .said");
  if (!back || !there || document.querySelector(".faults[role=alert]")) return;
  there.classList.remove("fault");
  there.textContent = `Saved, ${clock(back.at)}.`;
  scrollTo(0, back.y);
}

for (const form of forms) {
  let waiting = 0;
  form.addEventListener("submit", submit);
  form.addEventListener("input", () => {
    form.dataset.unsaved = "";
    form.querySelector(".said")?.replaceChildren();
    clearTimeout(waiting);
    waiting = setTimeout(() => keep(form), 300);
  });
}
addEventListener("pagehide", () => forms.forEach(keep));
// Whoever signs out by hand leaves nothing for the next one in this tab.
document.querySelector("form.who")?.addEventListener("submit", () => {
  for (const form of forms) delete form.dataset.unsaved;
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(prefix)) sessionStorage.removeItem(key);
});
// Back in the browser brings this page as it was left.
addEventListener("pageshow", () => { for (const form of forms) delete form.dataset.sending; });
look();
returned();
