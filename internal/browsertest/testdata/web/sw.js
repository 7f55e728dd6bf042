self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", event => event.waitUntil(clients.claim()));
self.addEventListener("push", event => event.waitUntil((async () => {
  const message = event.data.json();
  // requireInteraction: without it Firefox takes a notification away after 20 s.
  await self.registration.showNotification(message.title,
    {body: message.body, tag: message.tag, requireInteraction: true, data: {text: event.data.text()}});
})()));
