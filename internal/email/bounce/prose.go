package bounce

import (
	"regexp"
	"strings"

	"dateline/internal/email"
)

// daemons are what mail servers call themselves in From.
var daemons = []string{"mailer-daemon", "mailer_daemon", "maildaemon", "mail-daemon", "mdaemon", "postmaster", "mail delivery s", "mail administrator",
	"system administrator", "microsoft exchange"}

// failedPhrases are what servers say of a mail that comes back, in the subject
// or above the copy. In languages of the readers': their providers use them.
var failedPhrases = []string{"could not be delivered", "couldn't be delivered", "cannot be delivered", "can't be delivered", "wasn't delivered",
	"was not delivered", "unable to deliver", "undeliver", "not delivered", "not deliver ", "delivery failed", "delivery failure", "delivery has failed",
	"delivery error", "delivery problem", "delivery status notification", "delivery notification", "returned mail", "returned to sender", "failure notice",
	"mail system error", "user unknown", "unknown user", "no such user",
	"退信", "无法投递", "無法投遞", "未能送达", "投递失败", "发送失败", "被退回", "退回", "配信できません", "配信不能", "送信できません", "届けできません", "エラーメール",
	"전송 실패", "전송되지", "발송 실패", "배달되지", "반송", "không gửi được", "tidak terkirim", "gagal dikirim", "ไม่สามารถส่ง"}

// delayedPhrases are said of a mail that is still being tried.
var delayedPhrases = []string{"has not yet been delivered", "delayed", "warning message only", "will be retried", "keep trying", "will continue to be tried",
	"delivery incomplete", "delivery attempts will continue", "遅延", "지연", "延迟"}

// finalPhrases end that.
var finalPhrases = []string{"permanent", "given up", "giving up", "failed", "giving-up", "expired", "退信"}

// qmailGreeting is how qmail and its kin begin, whatever their From is set to
// (Bernstein, QSBMF).
var qmailGreeting = regexp.MustCompile(`^\s*Hi\. This is the \S{1,40} program at \S`)

// returned: prose that says a mail came back. A mailbox owner's robot is none,
// whatever it quotes: servers sign as servers.
func (p *pieces) returned() bool {
	if p.header.Has("X-Failed-Recipients") {
		return true
	}
	if p.robot() {
		return false
	}
	if qmailGreeting.MatchString(p.said) && p.autoSubmitted() != "auto-replied" {
		return true
	}
	server := p.reportType == "delivery-status" || containsAny(strings.ToLower(p.text("From")), daemons)
	return server && (failedPhrase(p.subject()) || failedPhrase(p.said) || p.code != "" || p.delayed())
}

// prose is the report of a mail without a machine-readable part. Nothing but a
// code makes a mailbox that does not exist: "user unknown" without one is said
// of mailboxes that will take the next mail.
func (p *pieces) prose() Report {
	r := Report{Status: p.code, Detail: cleanDetail(first(p.line, p.subject()), p.about()...)}
	if p.delayed() {
		r.Kind, r.Reason = Delayed, email.ReasonDeferred
		return r
	}
	r.Kind, r.Reason = Failed, failureOf(r.Status)
	return r
}

// about are fields that name whom the mail was for.
func (p *pieces) about() []string {
	return []string{p.header.Get("X-Failed-Recipients"), p.original.Get("To"), firstField(p.copied, "to")}
}

func (p *pieces) delayed() bool {
	all := strings.ToLower(p.subject() + "\n" + p.said)
	return containsAny(all, delayedPhrases) && !containsAny(all, finalPhrases)
}

func failedPhrase(text string) bool { return containsAny(strings.ToLower(text), failedPhrases) }

func containsAny(text string, words []string) bool {
	for _, word := range words {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// copyLine is the line after which a server pastes the mail that came back:
// dashes and a word for it, or the first field that only a mail has.
var copyLine = regexp.MustCompile(`(?im)^(?:[>\s]*[-=_*]{2,}.*(?:copy of|original|below this line|headers?\b|returned message|原始|原邮件|原信|元の|원본|원문).*|(?:Return-Path|Received|DKIM-Signature|Delivered-To|X-Received)[ \t]*:.*)$`)

// cutCopy divides a text there.
func cutCopy(text string) (said, copied string) {
	if at := copyLine.FindStringIndex(text); at != nil {
		return text[:at[0]], text[at[0]:]
	}
	return text, ""
}
