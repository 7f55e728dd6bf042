// The service worker: shows what was pushed, opens it, and tells how it went
// if the message asks for that. One notification per story is on screen, and
// it is the newest revision, in whatever order they arrive. A push never ends
// without something shown: browsers take the permission from who does that.
//
// A publisher's own worker imports it, saying where we are (docs/embedding.md):
//   self.DATELINE = { origin: "https://alerts.example" };
//   importScripts("https://alerts.example/sw.js");
"use strict";
// Names of ours must not meet those of a publisher's worker.
(() => {

// Where we are: our own origin, unless another's worker imports this.
const HOME = (self.DATELINE && new URL(self.DATELINE.origin).origin) || self.location.origin;
// What the worker says itself, by language. Set by the server.
const WORDS = /*WORDS*/ {};

// The hosts a notification may open; none: any https host. Set by the server.
const HOSTS = /*STORY_HOSTS*/ [];
const KEEP = 7 * 24 * 3600 * 1000; // how long a shown revision is remembered

// When a publisher's worker takes over is the publisher's to say.
if (HOME === self.location.origin) {
  self.addEventListener("install", () => self.skipWaiting());
  self.addEventListener("activate", event => event.waitUntil(self.clients.claim()));
}

// ---- memory: the newest revision per story, and this browser's token, wishes,
// and what could not be said yet

const open = () => new Promise((resolve, reject) => {
  const request = indexedDB.open("dateline", 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("own");
    request.result.createObjectStore("shown", { keyPath: "tag" });
  };
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

async function run(store, mode, work) {
  const db = await open();
  try {
    return await new Promise((resolve, reject) => {
      const tx = db.transaction(store, mode);
      let result;
      work(tx.objectStore(store), value => { result = value; });
      tx.oncomplete = () => resolve(result);
      tx.onerror = tx.onabort = () => reject(tx.error);
    });
  } finally {
    db.close();
  }
}

const recall = key => run("own", "readonly", (store, give) => {
  store.get(key).onsuccess = event => give(event.target.result);
}).catch(() => undefined);
const keep = (key, value) => run("own", "readwrite", store => {
  if (value === undefined) store.delete(key);
  else store.put(value, key);
}).catch(() => undefined);

const call = (method, path, body, token) => fetch(HOME + path, {
  method, keepalive: true, credentials: "omit", signal: AbortSignal.timeout(20000), // what hangs would hold up what comes after it
  headers: { ...(body && { "Content-Type": "application/json" }), ...(token && { Authorization: `Bearer ${token}` }) },
  body: body && JSON.stringify(body),
});

// soon: a notification does not wait for a store that does not answer, as Chromium's
// does not while a page that was left still makes it.
const soon = promise => Promise.race([promise, new Promise((_, fail) => setTimeout(() => fail(new Error("the store does not answer")), 2000))]);

const revision = n => Number(n && n.data && n.data.revision) || 0;

// newest remembers n unless something newer is known of the same story, and
// gives whichever is newer, and whether it was shown before: what is sent again
// after a crash must not sound again, nor when she has put it away meanwhile.
async function newest(n) {
  if (!n.tag) return { best: n, again: false };
  const onScreen = (await self.registration.getNotifications({ tag: n.tag })).map(s => ({ ...plain(s), at: Date.now() }));
  let known;
  try {
    known = await soon(run("shown", "readwrite", (store, give) => {
      store.get(n.tag).onsuccess = event => {
        const before = event.target.result;
        give(before);
        if (!before || revision(before) <= revision(n)) store.put({ ...n, at: Date.now() });
      };
      store.openCursor().onsuccess = event => {
        const cursor = event.target.result;
        if (!cursor) return;
        if (cursor.value.at < Date.now() - KEEP) cursor.delete();
        cursor.continue();
      };
    }));
  } catch { /* no storage, as in some private windows: what is on screen must do */ }
  const best = [known, ...onScreen].reduce((best, other) => other && revision(other) > revision(best) ? other : best, n);
  const alert = n.data && n.data.alert;
  return { best, again: Boolean(known && alert && known.data && known.data.alert === alert && revision(known) >= revision(n)) };
}

const plain = n => ({
  title: n.title, body: n.body, lang: n.lang, dir: n.dir, tag: n.tag, icon: n.icon, image: n.image, data: n.data,
});

// ---- words

// say is a phrase in the language of a notification, or a related one.
function say(lang, key) {
  const tag = String(lang || "");
  const chinese = /^zh\b/i.test(tag) && (/hant|-(tw|hk|mo)\b/i.test(tag) ? "zh-Hant" : "zh-Hans");
  const words = WORDS[tag] || WORDS[chinese] || WORDS[tag.split("-")[0]] || WORDS.en || {};
  return words[key] || "";
}

// ---- showing

// read takes the message apart; a declarative one comes already read.
function read(event) {
  try {
    const message = event.data ? event.data.json() : null;
    if (message && message.notification && message.notification.title) return message.notification;
  } catch { /* not ours, or broken: something is shown all the same */ }
  if (event.notification && event.notification.title) return { ...plain(event.notification), navigate: event.notification.navigate };
  const lang = (self.navigator.languages || [])[0] || "en";
  return { title: say(lang, "alert") || "News alert", body: "", lang, navigate: `${HOME}/alerts`, tag: "", data: {} };
}

// actions are what can be pressed on an alert. Browsers show two or three, or
// none. Where there is room for two the first goes: a press beside them reads.
// The story's last alert has nothing left to mute.
function actions(n) {
  const { alert, final, wish } = n.data || {};
  if (!alert) return [];
  const read = { action: "read", title: say(n.lang, "read") };
  if (wish) return [{ action: "all", title: say(n.lang, "undo") }];
  if (final) return [read];
  const all = [read, { action: "none", title: say(n.lang, "mute") }, { action: "over", title: say(n.lang, "over") }];
  return (Notification.maxActions || 3) < all.length ? all.slice(1) : all;
}

async function show(n, silent) {
  const data = { ...n.data, navigate: n.navigate || (n.data && n.data.navigate) || "" };
  await self.registration.showNotification(n.title, {
    body: n.body || "",
    lang: n.lang || "",
    dir: n.dir || "auto",
    tag: n.tag || "",
    icon: n.icon || `${HOME}/icons/192.png`,
    badge: `${HOME}/icons/badge-96.png`,
    image: n.image || undefined,
    timestamp: n.timestamp || undefined,
    silent: silent || Boolean(n.silent),
    renotify: Boolean(n.tag) && !silent && Boolean(n.renotify),
    requireInteraction: Boolean(n.requireInteraction),
    actions: actions(n),
    data,
  });
  // Where the browser does not honour tags (Safari), both are on screen now and
  // the older one is closed. Looked up anew: in Firefox close() on one that was
  // replaced takes its successor away.
  const here = n.tag ? await self.registration.getNotifications({ tag: n.tag }) : [];
  if (here.length > 1) for (const other of here) if (revision(other) < revision(n)) other.close();
}

async function pushed(event) {
  const n = read(event);
  const first = n.navigate;
  if (n.data) n.data.navigate = first;
  let [best, again] = [n, false];
  try {
    ({ best, again } = await newest(n));
  } catch { /* then the one that came is shown */ }
  try {
    await show(best, again || best !== n);
  } catch {
    await self.registration.showNotification(n.title, { body: n.body || "", tag: n.tag || "", data: { navigate: first } });
  }
  if (n.data && n.data.test) await tellPages(n.data.test, true);
  else for (const other of await self.registration.getNotifications()) if (other.data && other.data.test) other.close(); // it has served
  return { n, shown: best === n };
}

// afterwards is what nobody who waits for a notification has to wait for.
const afterwards = ({ n, shown }) => Promise.allSettled([shown ? tell(n.data, "shown") : undefined, sayLater()]);

// tellPages tells the page that waits for a test notification what became of it.
async function tellPages(test, shown) {
  for (const page of await self.clients.matchAll({ type: "window", includeUncontrolled: true })) page.postMessage({ dateline: "test", test, shown });
}

// One after the other: two revisions at once must not overtake each other
// between looking and showing.
let last = Promise.resolve();
self.addEventListener("push", event => {
  const shown = last.then(() => pushed(event), () => pushed(event));
  last = shown;
  event.waitUntil(shown.then(afterwards));
});

// ---- pressing

// target is where a press leads: an https page on a host of the list, or a
// page of our own. Anything else leads to the alert's page here.
function target(data) {
  const own = new URL(data && /^[\w-]{1,64}$/.test(data.alert || "") ? `/alerts/${data.alert}` : "/alerts", HOME);
  if (!data || typeof data.navigate !== "string" || data.navigate === "") return own;
  try {
    const url = new URL(data.navigate, HOME);
    if (url.origin === HOME || url.origin === self.location.origin) return url;
    const listed = HOSTS.length === 0 || HOSTS.includes(url.host);
    if (url.protocol === "https:" && !url.username && !url.password && listed) return url;
  } catch { /* not a URL */ }
  return own;
}

async function pressed(notification) {
  const url = target(notification.data).href;
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = windows.find(w => w.url === url);
  if (there) return there.focus();
  return self.clients.openWindow(url);
}

self.addEventListener("notificationclick", event => {
  const { action, notification } = event;
  notification.close();
  if (["none", "over", "all"].includes(action)) event.waitUntil(wished(notification, action));
  else event.waitUntil(Promise.allSettled([pressed(notification), tell(notification.data, "clicked")]));
});

// ---- what a reader wants of one story

// wished keeps the wish here first, so that it is not lost where there is no
// network, says it to the server, and shows in the notification's place, without
// a sound, what holds from now on, with the way back.
async function wished(notification, want) {
  const n = plain(notification);
  const data = n.data || {};
  const became = await wish(data.alert, want);
  if (want === "all" && became === "kept") return;
  const said = became === "kept" ? { none: "muted", over: "waits" }[want] : became;
  await self.registration.showNotification(say(n.lang, said), {
    body: n.title, lang: n.lang, dir: n.dir, tag: n.tag, icon: n.icon, badge: `${HOME}/icons/badge-96.png`, silent: true,
    actions: want === "all" || became === "failed" ? [] : actions({ lang: n.lang, data: { alert: data.alert, wish: want } }),
    data: { alert: data.alert, revision: data.revision, navigate: data.navigate, wish: want },
  });
}

// noted changes what could not be said yet, by story. It never waits for the
// network: the worker may be stopped at any time.
let noting = Promise.resolve();
const noted = change => (noting = noting.then(async () => {
  const later = { ...await recall("later") };
  change(later);
  await keep("later", Object.keys(later).length ? later : undefined);
}));

// One wish after the other, the newest last: what could not be said must not
// overtake what is said now.
let wishing = Promise.resolve();
const inTurn = work => (wishing = wishing.then(work, work));

// wish gives "kept" when the server has it; when it could not be reached, "later" where
// the browser tells us that the network is back, and elsewhere "next": the next push or
// visit says it; or "failed" when it refused. Where nothing can be stored it is said all the same.
const wish = async (alert, want) => {
  await noted(later => { later[alert] = want; });
  const became = await inTurn(async () => (await sayAll({ [alert]: want }))[alert]);
  if (became) return became;
  if (!("sync" in self.registration)) return "next"; // only Chromium has it
  return self.registration.sync.register("dateline").then(() => "later", () => "next");
};
const sayLater = () => inTurn(() => sayAll({}));
self.addEventListener("sync", event => {
  if (event.tag === "dateline") event.waitUntil(sayLater());
});

// sayAll says what could not be said before, and this, and gives what became of
// each. What the server refuses is dropped: it would be refused again.
async function sayAll(now) {
  const own = await recall("subscription");
  const all = { ...await recall("later"), ...now };
  const became = {};
  for (const [alert, want] of Object.entries(all)) {
    if (!own) {
      became[alert] = "failed"; // whose wish it is, nobody here knows
      continue;
    }
    try {
      const answer = await call("POST", `/api/v1/subscriptions/${encodeURIComponent(own.id)}/stories`, { alert, want }, own.token);
      if (answer.ok) became[alert] = "kept";
      else if (answer.status < 500 && answer.status !== 429 && answer.status !== 401) became[alert] = "failed";
    } catch { /* still no network */ }
  }
  if (Object.keys(became).length) {
    await noted(later => {
      for (const alert of Object.keys(became)) if (later[alert] === all[alert]) delete later[alert];
    });
  }
  return became;
}

// closed is a reader's doing only when nothing newer took the place: Firefox
// reports a replaced notification as closed too.
async function closed(notification) {
  const { tag, data } = notification;
  if (!data || !data.receipt) return;
  const here = tag ? await self.registration.getNotifications({ tag }) : [];
  if (here.length === 0) await tell(data, "closed");
}
self.addEventListener("notificationclose", event => event.waitUntil(closed(event.notification)));

// tell sends the receipt that the message carries; most carry none.
async function tell(data, kind) {
  if (!data || !data.receipt || self.navigator.globalPrivacyControl || self.navigator.doNotTrack === "1") return;
  try {
    await call("POST", "/api/v1/receipts", { receipt: data.receipt, kind });
  } catch { /* it was a courtesy */ }
}

// ---- healing

const bytes = text => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), c => c.charCodeAt(0));
const same = (a, b) => {
  const [x, y] = [new Uint8Array(a), new Uint8Array(b)];
  return x.length === y.length && x.every((v, i) => v === y[i]);
};

const WISHES = ["regions", "mutedRegions", "sections", "level", "overrides", "language", "onlyLanguage", "timezone", "quiet", "cap",
  "pausedUntil", "mutedStories", "overStories"];

// current is this browser's subscription under the key that is ours today. One
// under another key is of no use any more: nothing we send would arrive.
async function current(fresh) {
  const answer = await call("GET", "/api/v1/push/key");
  if (!answer.ok) throw new Error("no key");
  const applicationServerKey = bytes((await answer.json()).publicKey);
  const known = fresh || await self.registration.pushManager.getSubscription();
  if (known) {
    const key = known.options && known.options.applicationServerKey;
    if (!key || same(key, applicationServerKey)) return known;
    await known.unsubscribe();
  }
  return self.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
}

// heal holds what this browser has against what the server knows, and mends the
// difference: a new endpoint, a new key of ours, a device that we have lost (404
// or a token from before a change of keys), signed up anew with the wishes it
// had. 410 means that its reader has left: then the browser forgets too.
async function heal(fresh) {
  const own = await recall("subscription");
  if (!own) return { status: "none" };
  if (Notification.permission !== "granted") return { status: "denied" };
  const path = `/api/v1/subscriptions/${encodeURIComponent(own.id)}`;
  const answer = await call("GET", path, undefined, own.token);
  if (answer.status === 410) return forget();
  if (answer.status === 401 || answer.status === 404) return anew(fresh);
  if (!answer.ok) return { status: "trouble" };
  const known = await answer.json();
  await keep("wishes", Object.fromEntries(WISHES.map(name => [name, known[name]])));
  await sayLater();
  let sub = await current(fresh);
  if (known.state === "gone" && sub.endpoint === own.endpoint) { // dead, and the browser does not know
    await sub.unsubscribe();
    sub = await current();
  }
  if (sub.endpoint !== own.endpoint || known.state === "gone") {
    const moved = await call("PATCH", path, { subscription: sub.toJSON() }, own.token);
    if (moved.status === 410) return forget();
    if (!moved.ok) return { status: "trouble" };
    await keep("subscription", { ...own, endpoint: sub.endpoint });
  }
  return { status: "follows", manage: known.manage };
}

async function anew(fresh) {
  const wishes = await recall("wishes");
  if (!wishes) return { status: "trouble" };
  const sub = await current(fresh);
  const answer = await call("POST", "/api/v1/subscriptions", { ...wishes, subscription: sub.toJSON() });
  if (!answer.ok) return { status: "trouble" };
  const own = { ...await answer.json(), endpoint: sub.endpoint };
  await keep("subscription", own);
  const known = await call("GET", `/api/v1/subscriptions/${encodeURIComponent(own.id)}`, undefined, own.token);
  return { status: "anew", manage: known.ok ? (await known.json()).manage : undefined };
}

async function forget() {
  const sub = await self.registration.pushManager.getSubscription();
  for (const key of ["subscription", "wishes", "later"]) await keep(key, undefined);
  if (sub) await sub.unsubscribe();
  return { status: "left" };
}

// One healing at a time: two at once would each subscribe.
let healing = Promise.resolve();
function healed(fresh) {
  const result = healing.then(() => heal(fresh)).catch(() => ({ status: "trouble" }));
  healing = result;
  return result;
}

self.addEventListener("pushsubscriptionchange", event => event.waitUntil(healed(event.newSubscription)));

self.addEventListener("message", event => {
  const message = event.data;
  if (!message || !event.ports[0]) return;
  if (message.dateline === "heal") event.waitUntil(healed().then(result => event.ports[0].postMessage(result)));
  if (message.dateline === "story") event.waitUntil(wish(message.alert, message.want).then(became => event.ports[0].postMessage({ became, kept: became === "kept" })));
});
})();
