// A form whose fields outlive the page: it comes anew by itself when somebody
// else starts or ends a drill, and is without the form while one runs. Who sent
// it and was not refused has no more use for it.
const form = document.querySelector("form[data-keep]");
const refused = document.querySelector(".faults") !== null;
const keep = (sent) => {
  if (!form) return;
  const fields = [...form.elements].map((f) => [f.value, f.checked ?? false]);
  sessionStorage.setItem("drill", JSON.stringify({ fields, sent, focus: [...form.elements].indexOf(document.activeElement) }));
};
const kept = JSON.parse(sessionStorage.getItem("drill") ?? "null");
if (kept && (form || (kept.sent && !refused))) sessionStorage.removeItem("drill");
else if (kept) sessionStorage.setItem("drill", JSON.stringify({ ...kept, sent: false }));
if (kept && form && !refused && kept.fields.length === form.elements.length) {
  kept.fields.forEach(([value, checked], i) => {
    const f = form.elements[i];
    if (f.type === "radio" || f.type === "checkbox") f.checked = checked;
    else if (f.matches("input")) f.value = value;
  });
  form.elements[kept.focus]?.focus({ preventScroll: true });
}
form?.addEventListener("submit", () => keep(true));
const anew = (page) => {
  keep(false);
  location.replace(page);
};

// A part of a page that changes by itself: it comes anew whenever it differs,
// what had the focus in it has it again, and wide tables stay where they were.
for (const part of document.querySelectorAll("[data-live]")) {
  let events = null;
  const stop = () => {
    events?.close();
    events = null;
  };
  const listen = () => {
    if (events || document.hidden) return;
    events = new EventSource(part.dataset.live);
    events.addEventListener("part", (e) => {
      const held = part.contains(document.activeElement) ? document.activeElement.id : "";
      const aside = [...part.querySelectorAll(".scroll")].map((wide) => wide.scrollLeft);
      part.innerHTML = e.data;
      part.querySelectorAll(".scroll").forEach((wide, i) => { wide.scrollLeft = aside[i] ?? 0; });
      if (held) document.getElementById(held)?.focus({ preventScroll: true });
      // A drill that began or ended changes the rest of the page as well.
      const state = part.firstElementChild?.dataset.state ?? "";
      if (state !== (part.dataset.state ?? "")) anew(part.dataset.page);
    });
    // The drill is over, or the session is: the page says so, or leads there.
    events.addEventListener("end", () => {
      stop();
      anew(part.dataset.page);
    });
    events.addEventListener("error", () => {
      if (events?.readyState !== EventSource.CLOSED) return;
      stop(); // a refused answer ends an EventSource for good: begin a new one
      setTimeout(listen, 2000);
    });
  };
  // Whoever has pressed a button goes where its answer leads.
  document.addEventListener("submit", stop);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) stop();
    else listen();
  });
  listen();
}
