package push

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"dateline/internal/news"
)

// maxRetryAfter is the longest wait we let a push service ask for. Chrome's
// limits last up to 14 days; no alert does.
const maxRetryAfter = 15 * time.Minute

// ReceiptFor is the verdict on an answer: what the status, its headers and the
// first bytes of its body mean. Only 404 and 410 ever say Gone; a fault that
// may be ours never does.
//
//	200 201 202 204, other 2xx  accepted
//	3xx                         refused "redirect": never followed
//	400 401 403                 refused "bad-request" or, about our key, "vapid"
//	404 410                     gone
//	406 429                     retry "throttled", after Retry-After
//	408 504                     ambiguous "timeout": it may have been taken
//	413                         refused "too-large"
//	421                         retry "misdirected"
//	500 502 503, other 5xx      retry "server-error", after Retry-After
func ReceiptFor(status int, header http.Header, body []byte, now time.Time) news.Receipt {
	r := news.Receipt{Status: status, Detail: detail(body)}
	switch {
	case status >= 200 && status < 300:
		r.Outcome, r.Reason = news.Accepted, acceptedReason(header)
	case status >= 300 && status < 400:
		r.Outcome, r.Reason = news.Refused, "redirect"
	case status == 400:
		r.Outcome, r.Reason = news.Refused, "bad-request"
		if aboutOurKey(body) {
			r.Reason = "vapid"
		}
	case status == 401 || status == 403:
		r.Outcome, r.Reason = news.Refused, "vapid"
	case status == 404 || status == 410:
		r.Outcome, r.Reason = news.Gone, "gone"
	case status == 406 || status == 429: // 406 is how WNS throttles
		r.Outcome, r.Reason, r.After = news.Retry, "throttled", retryAfter(header, now)
	case status == 408 || status == 504: // a gateway that gave up does not know what happened behind it
		r.Outcome, r.Reason = news.Ambiguous, "timeout"
	case status == 413:
		r.Outcome, r.Reason = news.Refused, "too-large"
	case status == 421: // RFC 9110 15.5.20: not handled; another connection may do
		r.Outcome, r.Reason = news.Retry, "misdirected"
	case status >= 500 && status < 600:
		r.Outcome, r.Reason, r.After = news.Retry, "server-error", retryAfter(header, now)
	default:
		r.Outcome, r.Reason = news.Refused, "refused"
	}
	return r
}

// saysMore reports a host whose 2xx may say in a header that nothing will come of it:
// Microsoft's.
func saysMore(host string) bool { return underDomain(host, "notify.windows.com") }

// acceptedReason tells apart what WNS admits to have dropped although it
// answers 200; they are counted apart.
func acceptedReason(header http.Header) string {
	for _, name := range []string{"X-Wns-Status", "X-Wns-Notificationstatus"} {
		switch strings.ToLower(header.Get(name)) {
		case "dropped":
			return "accepted-dropped"
		case "channelthrottled":
			return "accepted-throttled"
		}
	}
	return "accepted"
}

// aboutOurKey tells the 400s that mean 403: Apple's for a subscription made
// with another key, and FCM's old word for the same.
func aboutOurKey(body []byte) bool {
	return bytes.Contains(body, []byte("VapidPkHashMismatch")) ||
		bytes.Contains(body, []byte("UnauthorizedRegistration"))
}

// detail is the service's own word for a refusal, such as Apple's
// BadJwtToken: the "reason" of a JSON body, when it is one word of letters. A
// stranger's longer text could hold the endpoint and stays out.
func detail(body []byte) string {
	if len(body) == 0 {
		return ""
	}
	var answer struct {
		Reason string `json:"reason"`
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Reason) > 40 {
		return ""
	}
	for _, c := range []byte(answer.Reason) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return ""
		}
	}
	return answer.Reason
}

// retryAfter reads Retry-After, seconds or a date. What is absent, past,
// negative or garbage is 0 (the sender's own backoff), what is absurd becomes
// maxRetryAfter.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if allDigits(text) {
		seconds, err := strconv.ParseInt(text, 10, 32)
		if err != nil { // more digits than fit
			return maxRetryAfter
		}
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
