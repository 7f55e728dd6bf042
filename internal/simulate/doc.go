// Package simulate stands in for the outside: push services, the phones behind
// them and a mail server, as real servers on loopback.
//
// It promises to behave as the real ones do where it matters and to be an
// independent judge: it shares no code with the packages that send. The push
// service speaks HTTPS with HTTP/2 under an authority of its own, verifies the
// VAPID token and every header, keeps messages of phones that are offline (the
// newest per Topic, until their TTL ends), and answers 404 and 410 for phones
// it does not know or that have left. A phone decrypts with its own keys and
// shows what our service worker would show: one notification per tag, the
// newest revision, a repeat counted and not shown again. What a server has
// taken is decrypted, shown and logged before it answers, so once a send is
// accepted every question about it has one answer.
//
// On request it misbehaves: any status, slow or paced answers, connections cut
// before or after the effect. It is used by demo, drill, bench and tests, and
// never by a path that reaches real readers.
package simulate
