package push

import (
	"errors"
	"testing"

	"dateline/internal/news"
)

func TestCheckSubject(t *testing.T) {
	good := []string{
		"mailto:desk@news.example", "mailto:breaking+push@asia.news.co.jp", "https://news.example",
		"https://news.example/contact", "https://news.example:8443/", "https://xn--fsq.com",
	}
	bad := []string{
		"", "desk@news.example", "http://news.example", "HTTPS://", "https://", "https:///x",
		"https://localhost", "https://localhost:8080", "https://news.localhost", "https://desk.local", "https://x.invalid", "https://news.test",
		"https://127.0.0.1", "https://[::1]/", "https://news", "https://user@news.example", "https://news.example:port/",
		"https://1.2.3", "https://-a.example", "https://a..example", "https://news.example.",
		"mailto:", "mailto:desk", "mailto:desk@", "mailto:@news.example", "mailto:desk@localhost", "mailto:desk@mac.local",
		"mailto:desk@x.invalid", "mailto:mailto:desk@news.example", "mailto: desk@news.example", "mailto: <desk@news.example>",
		"mailto:<desk@news.example>", "mailto:desk@news.example ", "mailto:a@b.example,c@d.example", "mailto:a@b@c.example",
		"mailto:desk@news.example?subject=x", "mailto:desk@[127.0.0.1]", "mailto:desk@127.0.0.1", "mailto:désk@news.example",
		"tel:+420123456789", "javascript:alert(1)", "mailto:desk@news\texample.com", "https://news.example/\r\nX: y",
	}
	for _, subject := range good {
		if err := CheckSubject(subject); err != nil {
			t.Errorf("%q: %v", subject, err)
		}
	}
	for _, subject := range bad {
		if err := CheckSubject(subject); !errors.Is(err, news.ErrInvalid) {
			t.Errorf("%q: %v", subject, err)
		}
	}
}

func TestNewReportsAllFaults(t *testing.T) {
	_, err := New(Config{Subject: "mailto:desk@localhost", Origins: []string{"https://push.example:8443", "ftp://x", "https://push.example/path"}})
	var faults *news.InvalidError
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	var paths []string
	for _, p := range faults.Problems {
		paths = append(paths, p.Path)
	}
	if len(paths) != 4 || paths[0] != "keys" || paths[1] != "subject" || paths[2] != "origins/1" || paths[3] != "origins/2" {
		t.Errorf("%v: %v", paths, err)
	}
}
