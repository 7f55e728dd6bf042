// The page where a reader follows: explains first, asks the browser for its
// permission only on the press, and says in place what to do when it can't.
// document.body.dataset.state is "ready", "working", "subscribed" or "error".
import { recall, remember, forget } from "./memory.js";
import { overrides, search, suggest, useMyZone } from "./places.js";

const $ = id => document.getElementById(id);
const words = Object.fromEntries([...$("words").content.querySelectorAll("[data-word]")].map(e => [e.dataset.word, e.textContent]));

const capable = "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

function state(name, text = "", detail = "") {
  document.body.dataset.state = name;
  document.body.dataset.error = name === "error" ? detail : "";
  $("status").textContent = text;
}

// fail shows a reason; "code" is for who reads the page by machine.
class Fail extends Error {
  constructor(code, text) {
    super(text);
    this.code = code;
  }
}

function wishes() {
  const form = new FormData($("wishes"));
  const cap = parseInt(form.get("cap"), 10);
  return {
    regions: form.getAll("region"),
    mutedRegions: form.getAll("mute"),
    sections: form.getAll("section"),
    level: form.get("level") || "bulletin",
    overrides: overrides(form),
    language: form.get("language"),
    onlyLanguage: form.has("onlyLanguage"),
    timezone: form.get("timezone"),
    quiet: form.has("quiet") ? { from: form.get("quietFrom"), to: form.get("quietTo"), flash: form.has("quietFlash") } : null,
    cap: Number.isNaN(cap) ? null : cap,
  };
}

const bytes = text => {
  const raw = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(raw, c => c.charCodeAt(0));
};

const same = (a, b) => {
  const [x, y] = [new Uint8Array(a), new Uint8Array(b)];
  return x.length === y.length && x.every((v, i) => v === y[i]);
};

// subscription is this browser's, under the key that is ours today: one made
// under another key would never be delivered to.
async function subscription() {
  const answer = await fetch("/api/v1/push/key");
  if (!answer.ok) throw new Fail("key", words.failed);
  const applicationServerKey = bytes((await answer.json()).publicKey);
  await navigator.serviceWorker.register("/sw.js", { updateViaCache: "none" });
  const registration = await navigator.serviceWorker.ready;
  const known = await registration.pushManager.getSubscription();
  if (known) {
    const key = known.options && known.options.applicationServerKey;
    if (key && same(key, applicationServerKey)) return known;
    await known.unsubscribe();
  }
  try {
    return await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
  } catch (error) {
    if (error.name === "NotAllowedError") throw new Fail("denied", words.denied);
    throw new Fail("service", words.service);
  }
}

async function post(sub) {
  return fetch("/api/v1/subscriptions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ subscription: sub.toJSON(), ...wishes() }),
  });
}

async function follow() {
  if (document.body.dataset.state === "working") return;
  try {
    if (wishes().regions.length === 0) throw new Fail("regions", words.choose);
    state("working", words.working);
    $("follow").setAttribute("aria-disabled", "true");
    // Asked right after the press: browsers hush a question that comes by itself.
    if (await Notification.requestPermission() !== "granted") throw new Fail("denied", words.denied);
    let sub = await subscription();
    let answer = await post(sub);
    if (answer.status === 409) { // known under another secret: start afresh
      await sub.unsubscribe();
      sub = await subscription();
      answer = await post(sub);
    }
    if (!answer.ok) await refused(answer);
    const own = await answer.json();
    await remember(own);
    await followed(own);
  } catch (error) {
    state("error", error instanceof Fail ? error.message : words.failed, error.code || String(error));
    if (error.code === "denied" || error.code === "service") $("by-mail").classList.add("instead");
  } finally {
    $("follow").removeAttribute("aria-disabled");
  }
}

async function refused(answer) {
  if (answer.status === 429) throw new Fail("limit", words.limit);
  const problem = await answer.json().catch(() => ({}));
  const faults = (problem.errors || []).map(e => e.message).join(" · ");
  throw new Fail("refused", answer.status === 400 ? `${words.refused} ${faults}` : words.failed);
}

async function followed(own) {
  await manageLink($("manage"), own);
  document.body.dataset.id = own.id;
  $("done").hidden = false;
  $("wishes").hidden = true;
  state("subscribed");
  $("done").focus();
}

// manageLink points the anchor at the page of this browser's choices and gives
// the answer's status: 401 and 404 mean that we do not know the browser.
async function manageLink(anchor, own) {
  const answer = await fetch(`/api/v1/subscriptions/${encodeURIComponent(own.id)}`, { headers: { Authorization: `Bearer ${own.token}` } });
  if (answer.ok) anchor.href = new URL((await answer.json()).manage).pathname;
  return answer.status;
}

// heal tells us of an endpoint that has changed since the last visit.
async function heal(own) {
  const registration = await navigator.serviceWorker.getRegistration();
  const sub = registration && await registration.pushManager.getSubscription();
  if (!sub || Notification.permission !== "granted") return;
  await fetch(`/api/v1/subscriptions/${encodeURIComponent(own.id)}`, {
    method: "PATCH",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${own.token}` },
    body: JSON.stringify({ subscription: sub.toJSON() }),
  });
}

async function welcomeBack() {
  const own = await recall();
  if (!own) return;
  const status = await manageLink($("already-manage"), own);
  if (status === 200) {
    $("already").hidden = false;
    await heal(own);
  }
  // Anything else is a trouble of ours: the browser is known still.
  if (status === 401 || status === 404) await forget();
}

function cannot() {
  $("no-push-script").hidden = true;
  const apple = /iPhone|iPad/.test(navigator.userAgent) && !navigator.standalone;
  $(apple ? "no-push-ios" : "no-push-browser").hidden = false;
}

const faults = $("faults");
if (faults) faults.focus();
search($("places"));
suggest($("places"));
useMyZone($("timezone"));
if (capable) {
  $("no-push").hidden = true;
  $("by-push").hidden = false;
  $("follow").addEventListener("click", follow);
  welcomeBack().catch(() => undefined); // a convenience: the page works without
} else {
  cannot();
}
state("ready");
