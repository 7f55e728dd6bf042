package email

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"dateline/internal/news"
)

// Server is an SMTP server to hand mails to.
type Server struct {
	Host     string
	Port     int
	User     string
	Password string
	TLS      bool // smtps: TLS from the first byte; else STARTTLS
	Plain    bool // ?tls=none: a private network is trusted instead of STARTTLS
}

// ParseURL reads SMTP_URL: smtp://user:pass@host:port (STARTTLS; port 587) or
// smtps://user:pass@host:port (TLS from the start; port 465). A server that is
// not on this machine must offer STARTTLS; smtp://host?tls=none says that the
// network between is trusted (a mail catcher beside us) and allows no password.
// The error is an *news.InvalidError that quotes no password.
func ParseURL(text string) (Server, error) {
	var p news.Problems
	u, err := url.Parse(text)
	if err != nil { // its text quotes the URL, which may hold a password
		return Server{}, news.Invalid("", "must look like smtp://user:password@host:port (characters such as @ : / in the password are written %%40 %%3A %%2F)")
	}
	s := Server{Host: u.Hostname(), TLS: u.Scheme == "smtps", User: u.User.Username()}
	s.Password, _ = u.User.Password()
	if u.Scheme != "smtp" && u.Scheme != "smtps" {
		p.Add("", "must begin with smtp:// (STARTTLS) or smtps:// (TLS from the start)")
	}
	if s.Host == "" {
		p.Add("", "names no host")
	}
	if u.Path != "" && u.Path != "/" || u.Fragment != "" {
		p.Add("", "may not have a path")
	}
	s.Port = portOf(u, s.TLS, &p)
	s.Plain = plainOf(u, s, &p)
	if (s.User == "") != (s.Password == "") {
		p.Add("", "needs both a user and a password, or neither")
	}
	if strings.ContainsAny(s.User+s.Password, "\r\n\x00") {
		p.Add("", "has a line break in the user or password")
	}
	if err := p.Err(); err != nil {
		return Server{}, err
	}
	return s, nil
}

func portOf(u *url.URL, tls bool, p *news.Problems) int {
	if u.Port() == "" {
		if tls {
			return 465
		}
		return 587
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil || port < 1 || port > 65535 {
		p.Add("", "has a port that is not between 1 and 65535")
	}
	return port
}

func plainOf(u *url.URL, s Server, p *news.Problems) bool {
	query := u.Query()
	if len(query) == 0 {
		return false
	}
	if len(query) != 1 || query.Get("tls") != "none" {
		p.Add("", "knows one option only: ?tls=none")
		return false
	}
	if s.TLS || s.User != "" {
		p.Add("", "may not use ?tls=none with smtps:// or with a password")
	}
	return true
}

// Loopback reports whether the server is on this machine.
func (s Server) Loopback() bool {
	if s.Host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(s.Host)
	return err == nil && addr.Unmap().IsLoopback()
}

// Addr is host:port.
func (s Server) Addr() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// String is the server without its password.
func (s Server) String() string {
	u := url.URL{Scheme: "smtp", Host: s.Addr()}
	if s.TLS {
		u.Scheme = "smtps"
	}
	if s.User != "" {
		u.User = url.User(s.User)
	}
	return u.String()
}
