// An open alert: its status comes as it changes, the countdown counts, lengths
// are counted as they are written. The buttons are those of when the page was
// opened: when another state or text comes in, the page says so.
const status = document.getElementById("status");
const moved = document.getElementById("moved");

function listen() {
  const events = new EventSource(status.dataset.events);
  events.addEventListener("status", (e) => {
    status.innerHTML = e.data;
    const now = status.firstElementChild.dataset;
    if (now.state === status.dataset.state && now.hash === status.dataset.hash) return;
    const writing = document.querySelector("form.write :is(input, textarea):focus, details[open] form.write");
    if (writing) moved.hidden = false;
    else location.reload();
  });
  events.addEventListener("end", () => events.close());
  events.addEventListener("error", () => { if (events.readyState === EventSource.CLOSED) setTimeout(listen, 2000); });
}

// East Asian characters take two columns on a lock screen.
const wide = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/;
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
function columns(text) {
  let n = 0;
  for (const { segment } of graphemes.segment(text)) n += wide.test(segment) ? 2 : 1;
  return n;
}

for (const label of document.querySelectorAll(".text label")) {
  const field = label.querySelector("input, textarea");
  const out = label.querySelector(".length");
  const count = () => {
    const n = columns(field.value);
    const cut = out.dataset.limits.split(", ").filter((p) => n > Number(p.split(" ").pop()));
    out.textContent = cut.length ? `${n} columns: cut on ${cut.join(", ")}` : `${n} columns: whole on every platform`;
    out.classList.toggle("over", cut.length > 0);
  };
  field.addEventListener("input", count);
  count();
}

setInterval(() => {
  const now = status.querySelector("[data-until]");
  if (!now) return;
  const left = Math.max(0, Math.ceil((new Date(now.dataset.until) - Date.now()) / 1000));
  now.querySelector(".countdown").textContent = `${left} s left`;
}, 200);
document.querySelector(".undo")?.focus();
listen();
