package email

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseURL(t *testing.T) {
	tests := []struct {
		text string
		want Server
	}{
		{"smtp://mail.example", Server{Host: "mail.example", Port: 587}},
		{"smtps://mail.example", Server{Host: "mail.example", Port: 465, TLS: true}},
		{"smtp://u:p%40ss@mail.example:2525", Server{Host: "mail.example", Port: 2525, User: "u", Password: "p@ss"}},
		{"smtp://user%40news.example:p@mail.example/", Server{Host: "mail.example", Port: 587, User: "user@news.example", Password: "p"}},
		{"smtp://catcher:1025?tls=none", Server{Host: "catcher", Port: 1025, Plain: true}},
		{"smtp://[::1]:25", Server{Host: "::1", Port: 25}},
	}
	for _, test := range tests {
		got, err := ParseURL(test.text)
		if err != nil {
			t.Errorf("ParseURL(%s): %v", test.text, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("ParseURL(%s): %s", test.text, diff)
		}
	}
}

func TestParseURLSaysWhatIsWrong(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", "must begin with smtp://"},
		{"mail.example:25", "must begin with smtp://"},
		{"http://mail.example", "must begin with smtp://"},
		{"smtp://", "names no host"},
		{"smtp://mail.example:0", "between 1 and 65535"},
		{"smtp://mail.example:99999", "between 1 and 65535"},
		{"smtp://mail.example/inbox", "may not have a path"},
		{"smtp://user@mail.example", "both a user and a password"},
		{"smtp://u:p@mail.example?tls=none", "may not use ?tls=none"},
		{"smtps://mail.example?tls=none", "may not use ?tls=none"},
		{"smtp://mail.example?starttls=off", "knows one option only"},
		{"smtp://u:se/cret@mail.example", ""},
		{"smtp://u:a%0d%0ab@mail.example", "line break"},
	}
	for _, test := range tests {
		_, err := ParseURL(test.text)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("ParseURL(%q): %v, want it to say %q", test.text, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "cret") {
			t.Errorf("ParseURL(%q): the error quotes the password: %v", test.text, err)
		}
	}
}

func TestServerLoopback(t *testing.T) {
	for host, want := range map[string]bool{"localhost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true,
		"::ffff:127.0.0.1": true, "mail.example": false, "10.0.0.1": false, "localhost.evil.example": false} {
		if got := (Server{Host: host}).Loopback(); got != want {
			t.Errorf("Loopback(%s) = %t", host, got)
		}
	}
}

func TestServerStringHidesThePassword(t *testing.T) {
	s := Server{Host: "mail.example", Port: 465, TLS: true, User: "u", Password: "secret"}
	if got := s.String(); got != "smtps://u@mail.example:465" {
		t.Errorf("String() = %s", got)
	}
}
