// An open alert: its status comes as it changes, the countdown counts. The
// buttons are those of when the page was opened: when another state or text
// comes in, the page is asked for again, or says so while there are words in it
// that were not saved.
const status = document.getElementById("status");
const chart = document.getElementById("chart");
const moved = document.getElementById("moved");
const live = document.getElementById("live");
const drill = document.body.classList.contains("drill"); // where nothing is called live
let events = null;

function say(state, text) {
  live.dataset.state = state;
  live.textContent = text;
}

const unsaved = () => document.querySelector("form.write[data-unsaved]") !== null;
for (const form of document.querySelectorAll("form.write")) {
  form.addEventListener("input", () => { form.dataset.unsaved = ""; });
}

function listen() {
  if (events || document.hidden) return;
  events = new EventSource(status.dataset.events);
  document.dispatchEvent(new CustomEvent("desk-stream", { detail: events }));
  events.addEventListener("open", () => say("on", drill ? "Connected" : "Live"));
  events.addEventListener("status", (e) => {
    const focused = [...status.querySelectorAll("a")].indexOf(document.activeElement);
    status.innerHTML = e.data;
    if (focused >= 0) status.querySelectorAll("a")[focused]?.focus({ preventScroll: true });
    count();
    const now = status.firstElementChild.dataset;
    if (["state", "hash", "policy", "room"].every((what) => now[what] === status.dataset[what])) return;
    // A press that is on its way must not be cut off; its answer leads on.
    if (unsaved() || document.querySelector("main form[data-sending]")) moved.hidden = false;
    // Not reload(): a page that answered a form would send the form again.
    else location.replace(status.dataset.page);
  });
  events.addEventListener("chart", (e) => {
    const open = [...chart.querySelectorAll("details")].map((d) => d.open);
    const focused = [...chart.querySelectorAll("summary, [tabindex]")].indexOf(document.activeElement);
    chart.innerHTML = e.data;
    chart.querySelectorAll("details").forEach((d, i) => { d.open = open[i] ?? false; });
    if (focused >= 0) chart.querySelectorAll("summary, [tabindex]")[focused]?.focus({ preventScroll: true });
  });
  events.addEventListener("end", (e) => {
    stop();
    if (e.data === "over") {
      say("off", "The drill is over");
      return;
    }
    say("off", "You are signed out: ");
    live.append(Object.assign(document.createElement("a"), { href: status.dataset.page, textContent: "sign in again to go on" }));
  });
  events.addEventListener("error", () => {
    say("off", drill ? "Not connected: trying to reach the drill again" : "Not live: trying to reach the desk again");
    if (events?.readyState !== EventSource.CLOSED) return;
    stop(); // a refused answer ends an EventSource for good: begin a new one
    setTimeout(listen, 2000);
  });
}

function stop() {
  events?.close();
  events = null;
}

// A browser has six connections to a desk without HTTP/2: pages that nobody
// looks at must not take them from the one where HOLD is pressed.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) stop();
  else listen();
});

// What is left of a countdown; one that waits for an embargo lasts for hours.
function left(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 2) return `${seconds} s`;
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function count() {
  const now = status.querySelector("[data-until]");
  if (!now) return;
  if (live.dataset.state === "off") { // somebody may have undone it: a clock that runs on would lie
    now.querySelector(".countdown").textContent = "This page is not live: what it says may be over.";
    return;
  }
  const seconds = Math.max(0, Math.ceil((new Date(now.dataset.until) - Date.now()) / 1000));
  now.querySelector(".countdown").textContent = `${left(seconds)} left`;
}
setInterval(count, 200);
count();
document.querySelector(".undo")?.focus();
listen();
