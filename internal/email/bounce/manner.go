package bounce

import (
	"slices"
	"strings"
)

// subject is the decoded subject.
func (p *pieces) subject() string { return p.text("Subject") }

// text is a decoded field, or what could be read of it.
func (p *pieces) text(name string) string {
	text, _ := p.header.Text(name)
	return strings.ToValidUTF8(text, "?")
}

// awayPhrases begin the subject of a robot that answers for somebody.
var awayPhrases = []string{"automatic reply", "auto reply", "auto-reply", "autoreply", "auto:", "automatic response", "auto response", "out of office",
	"out of the office", "away from", "on vacation", "vacation reply", "abwesend", "abwesenheit", "réponse automatique", "respuesta automática",
	"自動応答", "自動返信", "不在通知", "自动回复", "自動回覆", "外出", "자동 응답", "자동응답", "부재중", "trả lời tự động", "balasan otomatis", "ตอบกลับอัตโนมัติ"}

// robot: somebody set up a program that answers mails for her. Servers do not
// use these fields of themselves.
func (p *pieces) robot() bool {
	for _, name := range []string{"X-Autoreply", "X-Autorespond", "X-Autoresponse", "X-Auto-Reply", "X-Vacation"} {
		if value := p.header.Get(name); value != "" && !strings.EqualFold(value, "no") {
			return true
		}
	}
	if strings.HasPrefix(strings.ReplaceAll(p.precedence(), "-", "_"), "auto_reply") {
		return true
	}
	subject := strings.ToLower(strings.TrimSpace(p.subject()))
	return slices.ContainsFunc(awayPhrases, func(phrase string) bool { return strings.HasPrefix(subject, phrase) })
}

func (p *pieces) precedence() string { return strings.ToLower(p.header.Get("Precedence")) }

// autoSubmitted is the keyword of RFC 3834, 5.
func (p *pieces) autoSubmitted() string {
	word, _, _ := strings.Cut(p.header.Get("Auto-Submitted"), ";")
	word, _, _ = strings.Cut(strings.TrimSpace(word), " ")
	return strings.ToLower(word)
}

// answersForSomebody: a robot's, or marked as a reply that no person wrote.
func (p *pieces) answersForSomebody() bool { return p.robot() || p.autoSubmitted() == "auto-replied" }

// automatic: no person wrote it, though it may do what one wants: programs send
// the mail to an unsubscribe address.
func (p *pieces) automatic() bool {
	if word := p.autoSubmitted(); word != "" && word != "no" {
		return true
	}
	return p.header.Has("X-Auto-Response-Suppress") || slices.Contains([]string{"bulk", "junk", "list"}, p.precedence())
}

// leaveWords are a wish to leave if they are all that a subject, or the first
// line of a mail, says.
var leaveWords = []string{"unsubscribe", "unsubscribe me", "please unsubscribe", "please unsubscribe me", "unsubscribe request", "stop", "remove", "remove me",
	"leave", "opt out", "opt-out", "abmelden", "désabonner", "desuscribir", "配信停止", "配信停止希望", "配信停止依頼", "登録解除", "退会", "購読解除",
	"수신거부", "수신 거부", "구독취소", "구독 취소", "退订", "退訂", "取消订阅", "取消訂閱", "hủy đăng ký", "berhenti berlangganan", "ยกเลิกการสมัคร", "ยกเลิก",
	"सदस्यता समाप्त करें", "إلغاء الاشتراك", "لغو اشتراک"}

func (p *pieces) asksToLeave() bool {
	return isLeave(p.subject()) || isLeave(firstLine(first(strings.TrimSpace(p.plain), p.rich)))
}

func isLeave(text string) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	for _, prefix := range []string{"re:", "fw:", "fwd:"} {
		text = strings.TrimSpace(strings.TrimPrefix(text, prefix))
	}
	return slices.Contains(leaveWords, strings.TrimRight(text, " .!。！"))
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
