// The wire: new stories come in at the top as they are stored. EventSource
// comes back by itself after a drop and says which event it had last, so
// nothing is missed and nothing is shown twice.
const list = document.getElementById("wire");
const live = document.getElementById("live");
const spoken = document.getElementById("news");
const none = document.getElementById("none");
const help = document.getElementById("help");
const shown = 300; // stories kept on the page
const title = document.title;
let unseen = 0;

function say(state, text) {
  live.dataset.state = state;
  live.textContent = text;
}

function count(n) {
  unseen = n;
  document.title = n > 0 ? `(${n}) ${title}` : title;
}

function add(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  const story = holder.content.firstElementChild;
  if (!story) return;
  // The same story's earlier version, and what stands under this one now.
  const replaced = new Set([story.dataset.uri, ...(story.dataset.alike ?? "").split(" ")]);
  for (const old of [...list.children]) if (replaced.has(old.dataset.uri)) old.remove();
  story.classList.add("fresh");
  list.prepend(story);
  setTimeout(() => story.classList.remove("fresh"), 4000);
  while (list.children.length > shown) list.lastElementChild.remove();
  none.hidden = true;
  spoken.textContent = "New: " + story.querySelector("h2").textContent;
  if (document.hidden) count(unseen + 1);
}

function listen() {
  const url = new URL(list.dataset.events, location.href);
  url.searchParams.set("after", list.dataset.after);
  const events = new EventSource(url);
  document.dispatchEvent(new CustomEvent("desk-stream", { detail: events }));
  events.addEventListener("open", () => say("on", "Live"));
  events.addEventListener("story", (e) => {
    list.dataset.after = e.lastEventId;
    add(e.data);
  });
  events.addEventListener("end", (e) => {
    events.close();
    say("off", e.data === "over" ? "The drill is over" : "You are signed out: sign in again to go on");
  });
  events.addEventListener("error", () => {
    say("off", "Not live: trying to reach the desk again");
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
    case "a": document.activeElement.closest(".story")?.querySelector(".raise button")?.click(); break;
    case "/":
      document.querySelector(".filters").open = true;
      document.querySelector("[name=q]").focus();
      break;
    case "?": help.showModal(); break;
    default: return;
  }
  e.preventDefault();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) count(0); });
listen();
