package email

import (
	"strings"
	"testing"

	"dateline/internal/news"
)

func TestReceiptFor(t *testing.T) {
	tests := []struct {
		step    Step
		code    int
		text    string
		outcome news.Outcome
		reason  string
		slow    bool
	}{
		{StepDot, 250, "2.0.0 queued as ABC", news.Accepted, ReasonAccepted, false},
		{StepDot, 0, "", news.Ambiguous, ReasonNoAnswer, false},
		{StepData, 0, "", news.Retry, ReasonConnection, false},
		{StepConnect, 0, "", news.Retry, ReasonConnection, true},
		{StepConnect, 421, "busy", news.Retry, ReasonThrottled, true},
		{StepConnect, 554, "no service", news.Retry, ReasonPolicy, true},
		{StepRcpt, 421, "4.7.28 rate", news.Retry, ReasonThrottled, true},
		{StepDot, 421, "4.7.28 rate", news.Retry, ReasonThrottled, true},
		{StepRcpt, 450, "4.2.0 greylisted", news.Retry, ReasonDeferred, false},
		{StepRcpt, 451, "4.7.1 later", news.Retry, ReasonDeferred, false},
		{StepDot, 452, "4.2.2 full", news.Retry, ReasonDeferred, false},
		{StepTLS, 454, "4.7.0 no", news.Retry, ReasonTLS, true},
		{StepTLS, 0, "", news.Retry, ReasonTLS, true},
		{StepAuth, 535, "5.7.8 bad", news.Retry, ReasonAuth, true},
		{StepRcpt, 550, "5.1.1 no such user", news.Refused, ReasonHardBounce, false},
		{StepRcpt, 550, "5.1.2 no such host", news.Refused, ReasonHardBounce, false},
		{StepRcpt, 550, "5.1.10 null MX", news.Refused, ReasonHardBounce, false},
		{StepDot, 550, "5.2.1 disabled", news.Refused, ReasonHardBounce, false},
		{StepRcpt, 552, "5.2.2 full", news.Refused, ReasonSoftBounce, false},
		{StepRcpt, 550, "5.3.0 trouble", news.Refused, ReasonSoftBounce, false},
		{StepRcpt, 550, "5.4.4 routing", news.Refused, ReasonSoftBounce, false},
		{StepRcpt, 550, "rejected", news.Refused, ReasonSoftBounce, false},
		{StepDot, 550, "5.7.26 unauthenticated", news.Refused, ReasonPolicy, true},
		{StepDot, 550, "5.7.515 access denied", news.Refused, ReasonPolicy, true},
		{StepMail, 550, "sender refused", news.Refused, ReasonPolicy, true},
		{StepDot, 554, "looks like spam", news.Refused, ReasonContent, false},
		{StepDot, 554, "5.6.0 looks like spam", news.Refused, ReasonContent, false},
		{StepRcpt, 501, "5.5.4 syntax", news.Refused, ReasonProtocol, true},
		{StepData, 503, "bad sequence", news.Refused, ReasonProtocol, true},
		{StepMail, 354, "what", news.Retry, ReasonProtocol, true},
	}
	for _, test := range tests {
		got := ReceiptFor(test.step, test.code, test.text)
		if got.Outcome != test.outcome || got.Reason != test.reason || got.SlowOrigin != test.slow || got.Status != test.code {
			t.Errorf("ReceiptFor(%s, %d, %q) = %+v", test.step, test.code, test.text, got)
		}
		if strings.Contains(got.Detail, "@") {
			t.Errorf("ReceiptFor(%s, %d, %q): detail %q", test.step, test.code, test.text, got.Detail)
		}
	}
}

func TestReceiptDetailHoldsNoAddress(t *testing.T) {
	got := ReceiptFor(StepRcpt, 550, "5.1.1 <reader@mail.example>: no\nsuch \x07user "+strings.Repeat("x", 5000)).Detail
	if strings.Contains(got, "reader") || strings.ContainsAny(got, "\n\x07") || len(got) > maxReply+4 {
		t.Errorf("detail: %q", got)
	}
}

func TestReasonOf(t *testing.T) {
	for enhanced, want := range map[string]string{
		"5.1.1": ReasonHardBounce, "5.1.2": ReasonHardBounce, "5.1.10": ReasonHardBounce, "5.2.1": ReasonHardBounce,
		"5.2.2": ReasonSoftBounce, "5.3.0": ReasonSoftBounce, "5.4.4": ReasonSoftBounce, "5.0.0": ReasonSoftBounce, "": ReasonSoftBounce,
		"5.7.26": ReasonPolicy, "5.7.515": ReasonPolicy, "5.6.0": ReasonContent, "5.5.4": ReasonProtocol,
	} {
		if got := ReasonOf(enhanced); got != want {
			t.Errorf("ReasonOf(%q) = %s, want %s", enhanced, got, want)
		}
	}
}

func TestCleanReply(t *testing.T) {
	for text, want := range map[string]string{
		"5.1.1 <reader@mail.example>: no":  "5.1.1 (address) no",
		"a\u0085b\u202ec\u2066d\r\n\x7fe":  "a b c d e",
		"宛先 reader＠mail.example なし":        "宛先 (address) なし",
		"see mailto:reader%40mail.example": "see (address)",
		"\xff\xfe":                         "?",
		"":                                 "",
	} {
		if got := CleanReply(text); got != want {
			t.Errorf("CleanReply(%q) = %q, want %q", text, got, want)
		}
	}
}
