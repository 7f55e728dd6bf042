// The page where an editor asks to be called on this device. The desk has its
// own worker and its own subscription, beside a reader's on the same origin.
const place = document.getElementById("phone");
const button = document.getElementById("call-me");
const says = document.getElementById("phone-says");

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const same = (a, b) => a && a.byteLength === b.byteLength && new Uint8Array(a).every((v, i) => v === b[i]);

// registered waits until the worker is there: serviceWorker.ready would be
// another one's, where a reader's worker controls this page.
async function registered() {
  const r = await navigator.serviceWorker.register(place.dataset.worker, { scope: place.dataset.scope, updateViaCache: "none" });
  const worker = r.active ?? r.waiting ?? r.installing;
  if (r.active || !worker) return r;
  await new Promise((done, fail) => {
    const look = () => {
      if (worker.state === "activated") done();
      if (worker.state === "redundant") fail(new Error("the worker was not installed"));
    };
    worker.addEventListener("statechange", look);
    look();
  });
  return r;
}

// What went wrong in words, and what helps against that.
function advice(fault) {
  switch (fault.name) {
    case "AbortError": // the browser's own push service did not register it (Push API, section 7.3)
      return "This browser could not register at its push service. Nothing is wrong with the desk: use a window that is not private, allow the browser's push messaging in its settings (Brave has it off at first), or another network or browser; a firewall may block it.";
    case "NotAllowedError":
      return "The browser does not allow it: allow notifications for this site in its settings, then press again.";
    case "TypeError":
      return "The desk can't be reached: check the connection and press again.";
    default:
      return `That did not work (${fault.name}): load the page anew and press again.`;
  }
}

async function ask() {
  button.disabled = true;
  says.textContent = "Asking the browser…";
  try {
    if (await Notification.requestPermission() !== "granted") {
      says.textContent = "The browser does not allow it: allow notifications for this site in its settings, then press again.";
      return;
    }
    const key = bytes(place.dataset.key);
    const push = (await registered()).pushManager;
    const known = await push.getSubscription();
    if (known && !same(known.options.applicationServerKey, key)) await known.unsubscribe();
    const sub = await push.subscribe({ userVisibleOnly: true, applicationServerKey: key });
    const answer = await fetch(place.dataset.to, { method: "POST", redirect: "manual", body: new URLSearchParams({
      endpoint: sub.endpoint, p256dh: text(sub.getKey("p256dh")), auth: text(sub.getKey("auth")) }) });
    if (answer.type === "opaqueredirect") location.assign(place.dataset.to);
    else says.textContent = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".faults")?.textContent ?? "That did not work: try again in a moment.";
  } catch (e) {
    says.textContent = advice(e);
  } finally {
    button.disabled = false;
  }
}

if (place && "serviceWorker" in navigator && "PushManager" in window && "Notification" in window) {
  button.hidden = false;
  says.textContent = "";
  button.addEventListener("click", ask);
} else if (place) {
  says.textContent = "This browser can't be notified.";
}
