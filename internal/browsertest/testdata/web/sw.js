self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", event => event.waitUntil(clients.claim()));
self.addEventListener("push", event => event.waitUntil((async () => {
  const message = event.data.json();
  await self.registration.showNotification(message.title, {body: message.body, tag: message.tag, data: {text: event.data.text()}});
})()));
