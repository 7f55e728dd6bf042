// What the whole desk has to know at once stands under the head of every page.
// It comes with the page's live stream ("desk-stream" tells of one); a page
// without a stream opens one for it, while it is looked at.
const place = document.getElementById("notices");
let own = null;
let carried = false;

// Where one is, the navigation says to eyes and to screen readers.
for (const a of document.querySelectorAll('nav[aria-label="Desk"] a')) {
  if (a.pathname === location.pathname) a.setAttribute("aria-current", "page");
}

function carry(stream) {
  stream.addEventListener("notices", (e) => { place.innerHTML = e.data; });
}

function listen() {
  if (own || document.hidden) return;
  own = new EventSource(place.dataset.events);
  carry(own);
  own.addEventListener("end", stop);
  own.addEventListener("error", () => {
    if (own?.readyState !== EventSource.CLOSED) return;
    stop();
    setTimeout(listen, 5000);
  });
}

function stop() {
  own?.close();
  own = null;
}

if (place) {
  document.addEventListener("desk-stream", (e) => {
    carried = true;
    carry(e.detail);
  });
  addEventListener("load", () => {
    if (carried) return;
    listen();
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) stop();
      else listen();
    });
  });
}
