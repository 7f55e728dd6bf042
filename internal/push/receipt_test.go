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

func TestHealth(t *testing.T) {
	start := time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)
	type step struct {
		n  int
		r  news.Receipt
		at time.Duration
	}
	ok := news.Receipt{Outcome: news.Accepted, Reason: "accepted"}
	down := news.Receipt{Outcome: news.Retry, Reason: "server-error"}
	unknown := news.Receipt{Outcome: news.Ambiguous, Reason: "timeout"}
	throttled := news.Receipt{Outcome: news.Retry, Reason: "throttled"}
	forbidden := news.Receipt{Outcome: news.Refused, Reason: "vapid"}
	gone := news.Receipt{Outcome: news.Gone, Reason: "gone"}
	stopped := news.Receipt{Outcome: news.Retry, Reason: "stopped"}
	for name, c := range map[string]struct {
		steps []step
		want  bool
	}{
		"all well":                     {[]step{{1000, ok, 0}}, false},
		"19 down":                      {[]step{{19, down, 0}}, false},
		"20 down":                      {[]step{{20, down, 0}}, true},
		"20 down or unknown":           {[]step{{10, down, 0}, {10, unknown, 0}}, true},
		"back up":                      {[]step{{50, down, 0}, {1, ok, 0}}, false},
		"19 down, one gone, 19 down":   {[]step{{19, down, 0}, {1, gone, 0}, {19, down, 0}}, false},
		"stops are ours":               {[]step{{50, stopped, 0}}, false},
		"stops dilute nothing":         {[]step{{50, ok, 0}, {1000, stopped, 0}, {50, throttled, 0}}, true},
		"a few throttled":              {[]step{{80, ok, 0}, {20, throttled, 0}}, false},
		"more than a fifth throttled":  {[]step{{79, ok, 0}, {21, throttled, 0}}, true},
		"throttled, too few to say":    {[]step{{19, throttled, 0}}, false},
		"throttled, long ago":          {[]step{{100, throttled, 0}, {100, ok, 3 * time.Minute}}, false},
		"throttled, the window before": {[]step{{100, throttled, 0}, {100, ok, time.Minute}}, true},
		"one forbidden":                {[]step{{199, ok, 0}, {1, forbidden, 0}}, false},
		"two of 200 forbidden":         {[]step{{198, ok, 0}, {2, forbidden, 0}}, true},
		"forbidden, too few to say":    {[]step{{199, forbidden, 0}}, false},
		"the clock is set back":        {[]step{{100, throttled, 0}, {100, ok, -time.Hour}}, false},
	} {
		var h health
		var got bool
		for _, s := range c.steps {
			for range s.n {
				got = h.judge(s.r, start.Add(s.at))
			}
		}
		if got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
