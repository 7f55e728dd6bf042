package app

import (
	"log/slog"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"dateline/internal/email"
	"dateline/internal/news"
	"dateline/internal/push"
)

// This file reads the settings that have a form of their own.

func (r *reader) databaseURL() string {
	v := r.secret("DATABASE_URL")
	if v != "" && !strings.HasPrefix(v, "postgres://") && !strings.HasPrefix(v, "postgresql://") {
		r.problems.Add("DATABASE_URL", "must begin with postgres:// or postgresql://; leave it empty for SQLite in the data folder")
	}
	r.readable("DATABASE_URL", v)
	return v
}

// readable notes a URL that can't be read. The error of url.Parse is not shown:
// it quotes the URL, password and all.
func (r *reader) readable(name, text string) {
	if _, err := url.Parse(text); err != nil {
		r.problems.Add(name, "can't be read as a URL: characters such as %% @ : / in the password are written %%25 %%40 %%3A %%2F")
	}
}

func (r *reader) natsURL() string {
	v := r.secret("NATS_URL")
	for part := range strings.SplitSeq(v, ",") {
		scheme, _, _ := strings.Cut(strings.TrimSpace(part), "://")
		if scheme != "" && !slices.Contains([]string{"nats", "tls", "ws", "wss"}, scheme) {
			r.problems.Add("NATS_URL", "must be nats://… or tls://… addresses, separated by commas")
		}
		r.readable("NATS_URL", strings.TrimSpace(part))
	}
	return v
}

// policies reads one word for all levels (notices stay auto) or level=word
// pairs.
func (r *reader) policies() news.Policies {
	out := news.DefaultPolicies()
	v := r.text("DATELINE_POLICY", "")
	if v == "" {
		return out
	}
	for _, part := range strings.Split(v, ",") {
		level, word, pair := strings.Cut(strings.TrimSpace(part), "=")
		if !pair {
			level, word = "", level
		}
		policy := news.Policy(strings.TrimSpace(word))
		if policy != news.PolicyAuto && policy != news.PolicyOne && policy != news.PolicyTwo {
			r.problems.Add("DATELINE_POLICY", "%q is not auto, one or two", word)
			continue
		}
		if !pair {
			out[news.LevelFlash], out[news.LevelBulletin] = policy, policy
			continue
		}
		l, err := news.ParseLevel(strings.TrimSpace(level))
		if err != nil {
			r.problems.Add("DATELINE_POLICY", "%q is not flash, bulletin or notice", level)
			continue
		}
		out[l] = policy
	}
	return out
}

// bounceAddress reads what mail comes back to. The part before the @ leaves room for
// "+" and a token of 48 characters (RFC 5321, 4.5.3.1.1: 64 in all).
func (r *reader) bounceAddress(from *mail.Address) string {
	const name = "DATELINE_BOUNCE_ADDRESS"
	v := r.text(name, from.Address)
	address, err := email.CheckAddress(v)
	if err != nil {
		r.problems.Add(name, "must be an address, such as bounce@news.example")
		return from.Address
	}
	if local, _, _ := strings.Cut(address, "@"); len(local) > 15 && r.text(name, "") != "" {
		r.problems.Add(name, "may have 15 characters before the @: a reader's mark comes behind them")
	}
	return address
}

// caps reads the newsroom's first caps.
func (r *reader) caps() news.Caps {
	const name = "DATELINE_NEWSROOM_CAPS"
	v := r.text(name, "")
	if v == "" {
		return news.NoCaps()
	}
	caps, err := news.ParseCaps(v)
	r.problems.Take(name, err)
	return caps
}

func (r *reader) roles() []string {
	all := []string{RoleSite, RoleDesk, RoleIntake, RoleDispatch, RoleDigest}
	chosen := r.list("DATELINE_ROLES")
	if len(chosen) == 0 || slices.Equal(chosen, []string{"all"}) {
		return all
	}
	for _, role := range chosen {
		if !slices.Contains(all, role) {
			r.problems.Add("DATELINE_ROLES", "%q is not one of %s", role, strings.Join(all, ", "))
		}
	}
	return chosen
}

func (r *reader) networks(name string) []netip.Prefix {
	var out []netip.Prefix
	for _, v := range r.list(name) {
		if p, err := netip.ParsePrefix(v); err == nil {
			out = append(out, p.Masked())
			continue
		}
		a, err := netip.ParseAddr(v)
		if err != nil {
			r.problems.Add(name, "%q is not an address or a network such as 10.0.0.0/8", v)
			continue
		}
		out = append(out, netip.PrefixFrom(a, a.BitLen()))
	}
	return out
}

func (r *reader) mailFrom() *mail.Address {
	v := r.text("DATELINE_MAIL_FROM", "Dateline <news@dateline.example>")
	a, err := mail.ParseAddress(v)
	if err != nil {
		r.problems.Add("DATELINE_MAIL_FROM", "must be an address such as News <news@example.org>, not %q", v)
		return &mail.Address{Address: "news@dateline.example"}
	}
	return a
}

func (r *reader) logLevel() slog.Level {
	var l slog.Level
	v := r.text("DATELINE_LOG", "info")
	if err := l.UnmarshalText([]byte(v)); err != nil {
		r.problems.Add("DATELINE_LOG", "must be debug, info, warn or error, not %q", v)
	}
	return l
}

// vapidSubject is what was set, checked as Apple checks it, or the base URL
// when that would do.
func (r *reader) vapidSubject(baseURL string) string {
	set := r.text("DATELINE_VAPID_SUBJECT", "")
	if set != "" {
		if err := push.CheckSubject(set); err != nil {
			r.problems.Take("DATELINE_VAPID_SUBJECT", err)
		}
		return set
	}
	if strings.HasPrefix(baseURL, "https://") && push.CheckSubject(baseURL) == nil {
		return baseURL
	}
	return ""
}
