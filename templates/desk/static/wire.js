// The wire: new stories come in at the top as they are stored. EventSource
// comes back by itself after a drop and says which event it had last, so
// nothing is missed and nothing is shown twice. Lines whose alerts change are
// replaced where they stand.
const list = document.getElementById("wire");
const live = document.getElementById("live");
const spoken = document.getElementById("news");
const none = document.getElementById("none");
const help = document.getElementById("help");
const shown = 300; // stories kept on the page
const title = document.title;
const drill = document.body.classList.contains("drill"); // where nothing is called live
let unseen = 0;

// What a screen reader hears: one sentence every few seconds. Each story by
// itself, at 50 a second, would be heard of for ever.
const pause = 4000; // ms
const heard = { stories: 0, story: "", alerts: 0, alert: "" };
let announcing = 0;

function announce() {
  announcing = 0;
  const parts = [];
  if (heard.stories === 1) parts.push(`New: ${heard.story}`);
  if (heard.stories > 1) parts.push(`${heard.stories} new stories`);
  if (heard.alerts === 1) parts.push(heard.alert);
  if (heard.alerts > 1) parts.push(`${heard.alerts} alerts have changed`);
  Object.assign(heard, { stories: 0, alerts: 0 });
  if (parts.length === 0) return;
  spoken.textContent = parts.join(". ");
  announcing = setTimeout(announce, pause);
}

function tell(kind, one, text) {
  heard[kind]++;
  heard[one] = text;
  if (!announcing) announcing = setTimeout(announce, 250); // what comes together is told together
}

function say(state, text) {
  live.dataset.state = state;
  live.textContent = text;
}

function count(n) {
  unseen = n;
  document.title = n > 0 ? `(${n}) ${title}` : title;
}

function read(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  return [...holder.content.children];
}

// What stood in the place of a link or button in the line that replaces it.
function refocus(focused, line) {
  const link = focused.getAttribute("href");
  const same = link ? [...line.querySelectorAll("a")].find((a) => a.getAttribute("href") === link) : line.querySelector(focused.tagName);
  (same ?? line.querySelector("h2 a")).focus();
}

const at = (uri) => [...list.children].find((line) => line.dataset.uri === uri);

// What stands under a story now is no line of its own any more.
function fold(story) {
  const under = new Set((story.dataset.alike ?? "").split(" "));
  for (const old of [...list.children]) if (under.has(old.dataset.uri)) old.remove();
}

function flash(story) {
  story.classList.add("fresh");
  setTimeout(() => story.classList.remove("fresh"), 4000);
}

function add(html) {
  const [story] = read(html);
  if (!story) return;
  const focused = document.activeElement?.closest("#wire .story") && document.activeElement;
  at(story.dataset.uri)?.remove(); // its earlier version
  fold(story);
  flash(story);
  list.prepend(story);
  if (focused && !focused.isConnected) refocus(focused, story); // whoever stood on what went
  while (list.children.length > shown) list.lastElementChild.remove();
  none.hidden = true;
  tell("stories", "story", story.querySelector("h2").textContent);
  if (document.hidden) count(unseen + 1);
}

// Lines whose alerts changed, in the place of what they were: whoever stands on
// one goes on standing on it, and what she had opened stays open.
function change(html) {
  for (const line of read(html)) {
    const old = at(line.dataset.uri);
    if (!old || old.outerHTML === line.outerHTML) continue;
    const focused = old.contains(document.activeElement) && document.activeElement;
    if (old.classList.contains("unfit")) unfit(line);
    const opened = line.querySelector("details");
    if (opened && old.querySelector("details")?.open) opened.open = true;
    old.replaceWith(line);
    fold(line);
    flash(line);
    if (focused) refocus(focused, line);
    const said = line.querySelector(".alerteds")?.textContent.trim().replace(/\s+/g, " ");
    if (said) tell("alerts", "alert", `${said}: ${line.querySelector("h2").textContent}`);
  }
}

function unfit(line) {
  if (line.classList.contains("unfit")) return;
  line.classList.add("unfit");
  const note = document.createElement("p");
  note.className = "small";
  note.textContent = "Its newest version no longer fits your filter.";
  line.prepend(note);
}

function listen() {
  const url = new URL(list.dataset.events, location.href);
  url.searchParams.set("after", list.dataset.after);
  const events = new EventSource(url);
  document.dispatchEvent(new CustomEvent("desk-stream", { detail: events }));
  events.addEventListener("open", () => say("on", drill ? "Connected" : "Live"));
  events.addEventListener("story", (e) => {
    list.dataset.after = e.lastEventId;
    add(e.data);
  });
  events.addEventListener("lines", (e) => {
    list.dataset.after = e.lastEventId;
    change(e.data);
  });
  events.addEventListener("unfit", (e) => {
    list.dataset.after = e.lastEventId;
    const line = at(e.data);
    if (line) unfit(line);
    for (const told of list.querySelectorAll(".telling")) if (told.dataset.told === e.data) unfit(told);
  });
  events.addEventListener("end", (e) => {
    events.close();
    say("off", e.data === "over" ? "The drill is over" : "You are signed out: sign in again to go on");
  });
  events.addEventListener("error", () => {
    say("off", drill ? "Not connected: trying to reach the drill again" : "Not live: trying to reach the desk again");
    // A refused answer ends an EventSource for good: begin a new one.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  });
}

function go(step) {
  const links = [...list.querySelectorAll("h2 a")];
  const at = links.indexOf(document.activeElement);
  links[Math.max(0, Math.min(links.length - 1, at + step))]?.focus();
}

document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, select, textarea, dialog")) return;
  switch (e.key) {
    case "j": go(1); break;
    case "k": go(-1); break;
    case "a": if (!e.repeat) document.activeElement.closest(".story")?.querySelector(".raise button")?.click(); break;
    case "/":
      document.querySelector(".filters").open = true;
      document.querySelector("[name=q]").focus();
      break;
    case "?": help.showModal(); break;
    default: return;
  }
  e.preventDefault();
});
// A second press before the first is answered is the same press.
list.addEventListener("submit", (e) => {
  if (e.target.dataset.pressed !== undefined) e.preventDefault();
  else e.target.dataset.pressed = "";
});
addEventListener("pageshow", () => {
  for (const form of list.querySelectorAll("[data-pressed]")) delete form.dataset.pressed;
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) count(0); });
listen();
