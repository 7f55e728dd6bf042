package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

const sample = "Message-ID: <one@news.example>\r\nSubject: =?utf-8?q?Caf=C3=A9?=\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplain\r\n" +
	"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>rich</p>\r\n--b--\r\n"

func startMail(t *testing.T, o MailOptions) *MailServer {
	t.Helper()
	s, err := NewMailServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func send(s *MailServer, to string) error {
	return smtp.SendMail(s.Addr(), nil, "desk@news.example", []string{to}, []byte(sample))
}

func TestMailServerTakesAndLogs(t *testing.T) {
	var log bytes.Buffer
	s := startMail(t, MailOptions{Log: &log})
	if err := send(s, "reader@mail.example"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := s.Wait(ctx, 1); err != nil {
		t.Fatal(err)
	}
	got := s.ByMessageID("one@news.example")
	if len(got) != 1 || got[0].To != "reader@mail.example" || got[0].Subject != "Café" {
		t.Fatalf("mails: %+v", got)
	}
	text, html, err := got[0].Parts()
	if err != nil || strings.TrimSpace(text) != "plain" || strings.TrimSpace(html) != "<p>rich</p>" {
		t.Errorf("parts: %q, %q, %v", text, html, err)
	}
	var line MailLine
	if err := json.Unmarshal(log.Bytes(), &line); err != nil || line.MessageID != "one@news.example" {
		t.Errorf("log: %q, %v", log.String(), err)
	}
}

func TestMailServerMisbehaves(t *testing.T) {
	tests := []struct {
		verb   string
		answer MailAnswer
		code   int // 0: connection lost
		taken  int
	}{
		{"connect", MailAnswer{Code: 421, Text: "busy"}, 421, 0},
		{"mail", MailAnswer{Code: 421, Text: "busy"}, 421, 0},
		{"rcpt", MailAnswer{Code: 550, Enhanced: [3]int{5, 1, 1}, Text: "no such user"}, 550, 0},
		{"body", MailAnswer{Drop: true}, 0, 0},
		{"dot", MailAnswer{Code: 451, Enhanced: [3]int{4, 7, 1}, Text: "greylisted"}, 451, 0},
		{"dot", MailAnswer{Drop: true}, 0, 1},
	}
	for _, test := range tests {
		s := startMail(t, MailOptions{Answer: func(step MailStep) *MailAnswer {
			if step.Verb == test.verb {
				return &test.answer
			}
			return nil
		}})
		err := send(s, "reader@mail.example")
		var reply *textproto.Error
		code := 0
		if errors.As(err, &reply) {
			code = reply.Code
		}
		if err == nil || code != test.code {
			t.Errorf("%s %+v: %v, want code %d", test.verb, test.answer, err, test.code)
		}
		if s.Taken() != test.taken {
			t.Errorf("%s %+v: %d mails taken, want %d", test.verb, test.answer, s.Taken(), test.taken)
		}
	}
}

func TestMailServerCountsTries(t *testing.T) {
	s := startMail(t, MailOptions{Answer: func(step MailStep) *MailAnswer {
		if step.Verb == "rcpt" && step.Try == 1 {
			return &MailAnswer{Code: 451, Text: "come back later"}
		}
		return nil
	}})
	if err := send(s, "reader@mail.example"); err == nil {
		t.Error("the first try was not deferred")
	}
	if err := send(s, "reader@mail.example"); err != nil {
		t.Errorf("the second try: %v", err)
	}
}

func TestMailServerRefusesSyncWithoutFile(t *testing.T) {
	if _, err := NewMailServer(MailOptions{Log: io.Discard, Sync: true}); err == nil {
		t.Error("Sync was promised for a log that can't")
	}
}
