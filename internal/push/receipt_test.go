package push

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/news"
)

func TestReceiptFor(t *testing.T) {
	now := time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)
	after := func(value string) http.Header { return http.Header{"Retry-After": {value}} }
	for _, c := range []struct {
		name   string
		status int
		header http.Header
		body   string
		want   news.Receipt
	}{
		{"created", 201, nil, "", news.Receipt{Outcome: news.Accepted, Reason: "accepted"}},
		{"ok", 200, nil, "", news.Receipt{Outcome: news.Accepted, Reason: "accepted"}},
		{"accepted", 202, nil, "", news.Receipt{Outcome: news.Accepted, Reason: "accepted"}},
		{"no content", 204, nil, "", news.Receipt{Outcome: news.Accepted, Reason: "accepted"}},
		{"other 2xx", 299, nil, "", news.Receipt{Outcome: news.Accepted, Reason: "accepted"}},
		{"WNS received", 200, http.Header{"X-Wns-Status": {"received"}}, "", news.Receipt{Outcome: news.Accepted, Reason: "accepted"}},
		{"WNS dropped", 200, http.Header{"X-Wns-Status": {"dropped"}}, "", news.Receipt{Outcome: news.Accepted, Reason: "accepted-dropped"}},
		{"WNS throttled", 200, http.Header{"X-Wns-Notificationstatus": {"channelThrottled"}}, "", news.Receipt{Outcome: news.Accepted, Reason: "accepted-throttled"}},
		{"moved", 301, http.Header{"Location": {"https://evil.example"}}, "", news.Receipt{Outcome: news.Refused, Reason: "redirect"}},
		{"temporary redirect", 307, nil, "", news.Receipt{Outcome: news.Refused, Reason: "redirect"}},
		{"not modified", 304, nil, "", news.Receipt{Outcome: news.Refused, Reason: "redirect"}},
		{"bad request", 400, nil, `{"errno":113}`, news.Receipt{Outcome: news.Refused, Reason: "bad-request"}},
		{"Apple, other key", 400, nil, `{"reason":"VapidPkHashMismatch"}`, news.Receipt{Outcome: news.Refused, Reason: "vapid", Detail: "VapidPkHashMismatch"}},
		{"FCM, old word", 400, nil, "UnauthorizedRegistration", news.Receipt{Outcome: news.Refused, Reason: "vapid"}},
		{"unauthorized", 401, nil, "", news.Receipt{Outcome: news.Refused, Reason: "vapid"}},
		{"forbidden", 403, nil, `{"reason":"BadJwtToken"}`, news.Receipt{Outcome: news.Refused, Reason: "vapid", Detail: "BadJwtToken"}},
		{"FCM, other key", 403, nil, "do not correspond to the credentials", news.Receipt{Outcome: news.Refused, Reason: "vapid"}},
		{"not found", 404, nil, "", news.Receipt{Outcome: news.Gone, Reason: "gone"}},
		{"gone", 410, nil, "", news.Receipt{Outcome: news.Gone, Reason: "gone"}},
		{"method", 405, nil, "", news.Receipt{Outcome: news.Refused, Reason: "refused"}},
		{"WNS throttles", 406, after("7"), "", news.Receipt{Outcome: news.Retry, Reason: "throttled", After: 7 * time.Second}},
		{"request timeout", 408, nil, "", news.Receipt{Outcome: news.Ambiguous, Reason: "timeout"}},
		{"too large", 413, nil, "", news.Receipt{Outcome: news.Refused, Reason: "too-large"}},
		{"misdirected", 421, nil, "", news.Receipt{Outcome: news.Retry, Reason: "misdirected"}},
		{"throttled", 429, nil, "", news.Receipt{Outcome: news.Retry, Reason: "throttled"}},
		{"throttled for seconds", 429, after("120"), "", news.Receipt{Outcome: news.Retry, Reason: "throttled", After: 2 * time.Minute}},
		{"throttled until", 429, after("Mon, 23 Nov 2026 06:01:30 GMT"), "", news.Receipt{Outcome: news.Retry, Reason: "throttled", After: 90 * time.Second}},
		{"Retry-After 0", 429, after("0"), "", news.Receipt{Outcome: news.Retry, Reason: "throttled"}},
		{"Retry-After -1", 429, after("-1"), "", news.Receipt{Outcome: news.Retry, Reason: "throttled"}},
		{"Retry-After huge", 429, after("999999999"), "", news.Receipt{Outcome: news.Retry, Reason: "throttled", After: 15 * time.Minute}},
		{"Retry-After overflow", 429, after("99999999999999999999999"), "", news.Receipt{Outcome: news.Retry, Reason: "throttled", After: 15 * time.Minute}},
		{"Retry-After past", 429, after("Mon, 23 Nov 2020 06:01:30 GMT"), "", news.Receipt{Outcome: news.Retry, Reason: "throttled"}},
		{"Retry-After in a year", 429, after("Tue, 23 Nov 2027 06:00:00 GMT"), "", news.Receipt{Outcome: news.Retry, Reason: "throttled", After: 15 * time.Minute}},
		{"Retry-After garbage", 429, after("soon"), "", news.Receipt{Outcome: news.Retry, Reason: "throttled"}},
		{"Retry-After fraction", 429, after("1.5"), "", news.Receipt{Outcome: news.Retry, Reason: "throttled"}},
		{"server error", 500, nil, "", news.Receipt{Outcome: news.Retry, Reason: "server-error"}},
		{"bad gateway", 502, nil, "", news.Receipt{Outcome: news.Retry, Reason: "server-error"}},
		{"unavailable", 503, after(" 30 "), `{"errno":201}`, news.Receipt{Outcome: news.Retry, Reason: "server-error", After: 30 * time.Second}},
		{"gateway timeout", 504, nil, "", news.Receipt{Outcome: news.Ambiguous, Reason: "timeout"}},
		{"507", 507, nil, "", news.Receipt{Outcome: news.Retry, Reason: "server-error"}},
		{"nonsense", 999, nil, "", news.Receipt{Outcome: news.Refused, Reason: "refused"}},
		{"talkative", 403, nil, `{"reason":"https://push.example/x has left"}`, news.Receipt{Outcome: news.Refused, Reason: "vapid"}},
		{"not an object", 403, nil, `[1]`, news.Receipt{Outcome: news.Refused, Reason: "vapid"}},
	} {
		c.want.Status = c.status
		if diff := cmp.Diff(c.want, ReceiptFor(c.status, c.header, []byte(c.body), now)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// TestReceiptForAnyStatus: there is a verdict on everything, and only 404 and
// 410 cost a device.
func TestReceiptForAnyStatus(t *testing.T) {
	for status := -1; status < 1100; status++ {
		r := ReceiptFor(status, nil, nil, time.Time{})
		if r.Outcome == 0 || r.Reason == "" || (r.Outcome == news.Gone) != (status == 404 || status == 410) {
			t.Errorf("%d: %+v", status, r)
		}
	}
}
