// The desk's service worker: calls an editor to an alert. One notification an
// alert is on screen, the newest. A press opens the alert's page under this
// worker's own scope, and nothing else: a message names an alert, never an
// address.
"use strict";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

const root = () => self.registration.scope.replace(/\/$/, "");

function read(event) {
  try {
    const m = event.data.json();
    if (typeof m.title === "string" && m.title !== "") return m;
  } catch { /* not ours, or broken: something is shown all the same */ }
  return { title: "Something waits for you on the desk", body: "", alert: "", urgent: true };
}

self.addEventListener("push", (event) => {
  const m = read(event);
  event.waitUntil(self.registration.showNotification(m.title, {
    body: m.body || "",
    dir: "auto",
    tag: `desk-${m.alert}`,
    renotify: true,
    requireInteraction: Boolean(m.urgent),
    icon: "/icons/192.png",
    data: { alert: String(m.alert || "") },
  }));
});

async function open(alert) {
  const url = root() + (/^[0-9a-f-]{36}$/.test(alert) ? `/alerts/${alert}` : "/alerts");
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = windows.find((w) => w.url.split("#")[0] === url);
  if (there) return there.focus();
  return self.clients.openWindow(url);
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data?.alert ?? ""));
});
