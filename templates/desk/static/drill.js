// A part of a page that changes by itself: it comes anew whenever it differs,
// and what had the focus in it has it again.
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
      part.innerHTML = e.data;
      if (held) document.getElementById(held)?.focus({ preventScroll: true });
      // A drill that began or ended changes the rest of the page as well.
      const state = part.firstElementChild?.dataset.state ?? "";
      if (state !== (part.dataset.state ?? "")) location.replace(part.dataset.page);
    });
    // The drill is over, or the session is: the page says so, or leads there.
    events.addEventListener("end", () => {
      stop();
      location.replace(part.dataset.page);
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
