// The service worker: shows what was pushed, opens it, and tells how it went
// if the message asks for that. One notification per story is on screen, and
// it is the newest revision, in whatever order they arrive. A push never ends
// without something shown: browsers take the permission from who does that.
"use strict";

// The hosts a notification may open; none: any https host. Set by the server.
const HOSTS = /*STORY_HOSTS*/ [];
const KEEP = 7 * 24 * 3600 * 1000; // how long a shown revision is remembered

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", event => event.waitUntil(self.clients.claim()));

// ---- memory: the newest revision per story, and this browser's token

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

const revision = n => Number(n && n.data && n.data.revision) || 0;

// newest remembers n unless something newer is known of the same story, and
// gives whichever is newer.
async function newest(n) {
  if (!n.tag) return n;
  const onScreen = (await self.registration.getNotifications({ tag: n.tag })).map(s => ({ ...plain(s), at: Date.now() }));
  let known;
  try {
    known = await run("shown", "readwrite", (store, give) => {
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
    });
  } catch { /* no storage, as in some private windows: what is on screen must do */ }
  return [known, ...onScreen].reduce((best, other) => other && revision(other) > revision(best) ? other : best, n);
}

const plain = n => ({
  title: n.title, body: n.body, lang: n.lang, dir: n.dir, tag: n.tag, icon: n.icon, image: n.image, data: n.data,
});

// ---- showing

// read takes the message apart; a declarative one comes already read.
function read(event) {
  try {
    const message = event.data ? event.data.json() : null;
    if (message && message.notification && message.notification.title) return message.notification;
  } catch { /* not ours, or broken: something is shown all the same */ }
  if (event.notification && event.notification.title) return { ...plain(event.notification), navigate: event.notification.navigate };
  return { title: "News alert", body: "", navigate: "/alerts", tag: "", data: {} };
}

async function show(n, silent) {
  const data = { ...n.data, navigate: n.navigate || (n.data && n.data.navigate) || "" };
  await self.registration.showNotification(n.title, {
    body: n.body || "",
    lang: n.lang || "",
    dir: n.dir || "auto",
    tag: n.tag || "",
    icon: n.icon || "/icons/192.png",
    badge: "/icons/badge-96.png",
    image: n.image || undefined,
    timestamp: n.timestamp || undefined,
    silent: silent || Boolean(n.silent),
    renotify: Boolean(n.tag) && !silent && Boolean(n.renotify),
    requireInteraction: Boolean(n.requireInteraction),
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
  let best = n;
  try {
    best = await newest(n);
  } catch { /* then the one that came is shown */ }
  try {
    await show(best, best !== n);
  } catch {
    await self.registration.showNotification(n.title, { body: n.body || "", tag: n.tag || "", data: { navigate: first } });
  }
  if (best === n) await tell(n.data, "shown");
}

// One after the other: two revisions at once must not overtake each other
// between looking and showing.
let last = Promise.resolve();
self.addEventListener("push", event => {
  last = last.then(() => pushed(event), () => pushed(event));
  event.waitUntil(last);
});

// ---- pressing

// target is where a press leads: an https page on a host of the list, or a
// page of our own. Anything else leads to the alert's page here.
function target(data) {
  const own = new URL(data && /^[\w-]{1,64}$/.test(data.alert || "") ? `/alerts/${data.alert}` : "/alerts", self.location.origin);
  if (!data || typeof data.navigate !== "string" || data.navigate === "") return own;
  try {
    const url = new URL(data.navigate, self.location.origin);
    if (url.origin === self.location.origin) return url;
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
  event.notification.close();
  event.waitUntil(Promise.allSettled([pressed(event.notification), tell(event.notification.data, "clicked")]));
});

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
  if (!data || !data.receipt) return;
  try {
    await fetch("/api/v1/receipts", {
      method: "POST", keepalive: true, credentials: "omit",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ receipt: data.receipt, kind }),
    });
  } catch { /* it was a courtesy */ }
}

// ---- the browser has changed its endpoint

const bytes = text => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), c => c.charCodeAt(0));

async function changed(event) {
  const own = await run("own", "readonly", (store, give) => {
    store.get("subscription").onsuccess = e => give(e.target.result);
  });
  if (!own) return;
  let sub = event.newSubscription || await self.registration.pushManager.getSubscription();
  if (!sub) {
    const answer = await fetch("/api/v1/push/key");
    const applicationServerKey = bytes((await answer.json()).publicKey);
    sub = await self.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
  }
  await fetch(`/api/v1/subscriptions/${encodeURIComponent(own.id)}`, {
    method: "PATCH",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${own.token}` },
    body: JSON.stringify({ subscription: sub.toJSON() }),
  });
}

self.addEventListener("pushsubscriptionchange", event => event.waitUntil(changed(event)));
