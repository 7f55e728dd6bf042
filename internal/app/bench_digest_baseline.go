package app

import (
	"bytes"
	"context"
	"crypto"
	"fmt"

	"github.com/emersion/go-msgauth/dkim"
	gomail "github.com/wneessen/go-mail"

	"dateline/internal/digest"
	"dateline/internal/email"
)

// mailContent runs the templates for one reader.
type mailContent func(digest.Links) (*digest.Rendered, error)

func theirMail(write mailContent, n int) (*gomail.Msg, error) {
	to, l := mailReader(n)
	rendered, err := write(l)
	if err != nil {
		return nil, err
	}
	m := gomail.NewMsg(gomail.WithEncoding(gomail.EncodingQP))
	if err := m.From(benchMailFrom); err != nil {
		return nil, err
	}
	if err := m.To(to); err != nil {
		return nil, err
	}
	m.Subject(rendered.Subject)
	m.SetMessageIDWithValue(fmt.Sprintf("digest.20260206.%032d@news.example", n))
	m.SetDate()
	for name, value := range map[string]string{"Auto-Submitted": "auto-generated", "Precedence": "bulk", "List-Id": "<digest.news.example>",
		"List-Unsubscribe": "<" + l.Unsubscribe + ">", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click", "List-Help": "<" + l.Manage + ">",
		"Feedback-ID": "20260206:Asia-Tokyo:daily:news.example"} {
		m.SetGenHeader(gomail.Header(name), value)
	}
	m.SetBodyString(gomail.TypeTextPlain, rendered.Text)
	m.AddAlternativeString(gomail.TypeTextHTML, rendered.HTML)
	return m, nil
}

func goMailClient(s email.Server) (*gomail.Client, error) {
	return gomail.NewClient(s.Host, gomail.WithPort(s.Port), gomail.WithTLSPolicy(gomail.NoTLS), gomail.WithHELO("news.example"))
}

// goMail is go-mail with a connection that lasts.
func goMail(server email.Server, write mailContent) mailSender {
	return mailSender{name: "go-mail, template per reader", baseline: true, worker: func(ctx context.Context) (func(int) error, func() error, error) {
		c, err := goMailClient(server)
		if err != nil {
			return nil, nil, err
		}
		send := func(n int) error {
			m, err := theirMail(write, n)
			if err != nil {
				return err
			}
			return c.Send(m)
		}
		if err := c.DialWithContext(ctx); err != nil {
			return nil, nil, err
		}
		return send, c.Close, nil
	}}
}

// goMailSigned is go-mail, its bytes signed by go-msgauth (go-mail's own
// signatures do not verify with so many header fields), on its SMTP client.
func goMailSigned(server email.Server, write mailContent, key crypto.Signer) mailSender {
	options := &dkim.SignOptions{Domain: "news.example", Selector: "d2026", Signer: key, HeaderCanonicalization: dkim.CanonicalizationRelaxed,
		BodyCanonicalization: dkim.CanonicalizationRelaxed, HeaderKeys: []string{"From", "To", "Subject", "Date", "Message-ID", "MIME-Version",
			"Content-Type", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post"}}
	return mailSender{name: "go-mail, template per reader, go-msgauth", baseline: true, worker: func(ctx context.Context) (func(int) error, func() error, error) {
		c, err := goMailClient(server)
		if err != nil {
			return nil, nil, err
		}
		conn, err := c.DialToSMTPClientWithContext(ctx)
		if err != nil {
			return nil, nil, err
		}
		send := func(n int) error {
			m, err := theirMail(write, n)
			if err != nil {
				return err
			}
			var plain, signed bytes.Buffer
			if _, err := m.WriteTo(&plain); err != nil {
				return err
			}
			if err := dkim.Sign(&signed, &plain, options); err != nil {
				return err
			}
			to, _ := mailReader(n)
			if err := conn.Mail("<" + benchMailFrom + ">"); err != nil {
				return err
			}
			if err := conn.Rcpt("<" + to + ">"); err != nil {
				return err
			}
			body, err := conn.Data()
			if err != nil {
				return err
			}
			if _, err := signed.WriteTo(body); err != nil {
				return err
			}
			return body.Close()
		}
		return send, conn.Quit, nil
	}}
}
