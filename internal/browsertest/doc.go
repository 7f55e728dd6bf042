// Package browsertest lets a test use a real browser: a Firefox or a Chromium
// that subscribes, decrypts and shows what our sender sent, with no network.
//
// It has two parts. [Autopush] is a stand-in for Mozilla's push service: the
// websocket that Firefox keeps open and the HTTP endpoints a sender posts to
// (RFC 8030). It checks each VAPID token, honours Topic and TTL, records the
// browser's acknowledgements (100 shown to the page's worker, 101 could not be
// decrypted) and answers 410 after an unsubscribe. [Browser] is a headless
// Firefox driven through WebDriver BiDi. Both clean up after themselves, and
// when the test fails they print what went over the wire and what Firefox
// said.
//
// A test that needs a browser calls [Firefox] first. Where Firefox is missing
// that skips the test with a "NOT RUN" message, or fails it where CI is set.
//
//	func TestReaderSeesTheAlert(t *testing.T) {
//		svc := browsertest.NewAutopush(t)
//		site := startTheProgram(t, "DATELINE_PUSH_ORIGINS="+svc.Origin())
//		ff := browsertest.Firefox(t, browsertest.WithPush(svc))
//
//		ff.Navigate(site + "/subscribe") // http://localhost:PORT: a secure context
//		ff.Click("#subscribe")           // counts as a press by a person
//		ff.Until(`document.body.dataset.state === "subscribed"`)
//
//		release(t, site, "Japan risks losing trust")
//		seen := ff.WaitNotifications("the alert is shown", func(n []browsertest.Notification) bool {
//			return len(n) == 1 && n[0].Title == "Japan risks losing trust"
//		})
//		t.Log(seen[0].Body, seen[0].Tag, seen[0].Data)
//		svc.WaitAck(browsertest.Delivered)
//	}
//
// To see that a wrong key shows nothing, send to the same endpoint with other
// keys and wait for svc.WaitAck(browsertest.Undecryptable). To see a 410, end
// the subscription in the page and wait for svc.WaitUnregistered(endpoint)
// before the next send. [Autopush.Disconnect], [Autopush.Allow] and
// [Browser.Restart] take the device off the network and back.
//
// By default the endpoints are http://127.0.0.1:PORT and the sender must be
// told that this origin is allowed. With [TLS] they are https with HTTP/2 and a
// certificate of the stand-in's own, [Autopush.CAPEM], for DATELINE_PUSH_CA.
// The page itself may be served over http://localhost, http://127.0.0.1 or over
// https with any certificate: the browser accepts self-signed ones.
//
// [Google] and [Chromium] are the same for Chromium, whose push service is behind
// other doors. Two engines that decrypt are two independent witnesses.
//
// What it does not prove: Topic and TTL are the stand-in's own code, so they
// show that our sender's headers are right and what Firefox does with the
// result, not how a real push service behaves. Firefox acknowledges a message
// when it hands it to the service worker, so 100 does not prove that a
// notification was shown: ask [Browser.WaitNotifications]. Notifications come
// in no order. Firefox takes one away after 20 s unless it was shown with
// requireInteraction, and after a restart lists only new ones: ask soon.
package browsertest
