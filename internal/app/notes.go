package app

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// note is something of the configuration that is worth a look and stops
// nothing.
type note struct{ what, words string }

// notes are what the doctor says of the configuration, and what serve warns of:
// names in environ that are no settings, and defaults that readers would see.
func (c *Config) notes(environ []string) []note {
	return append(unknownSettings(environ), c.placeholders()...)
}

// unknownSettings names variables that look like ours and are not: a misspelt
// one is otherwise as good as none.
func unknownSettings(environ []string) (notes []note) {
	known := map[string]bool{}
	for _, v := range Variables() {
		known[v.Name] = true
		if v.Secret {
			known[v.Name+"_FILE"] = true
		}
	}
	for _, setting := range environ {
		if name, _, _ := strings.Cut(setting, "="); strings.HasPrefix(name, "DATELINE_") && !known[name] {
			notes = append(notes, note{"configuration", name + " is not a setting: misspelt? `dateline doctor --help` lists them"})
		}
	}
	return notes
}

// placeholders are defaults that readers would see.
func (c *Config) placeholders() (notes []note) {
	say := func(what, words string) { notes = append(notes, note{what, words}) }
	if c.BaseURL == "" {
		say("base URL", "DATELINE_BASE_URL is not set: links lead to the listener's own address")
	} else if !strings.HasPrefix(c.BaseURL, "https://") && !loopbackURL(c.BaseURL) {
		say("base URL", fmt.Sprintf("DATELINE_BASE_URL %s is not https: browsers allow push only on https pages (and on localhost)", c.BaseURL))
	}
	if c.Publisher.Name == "Dateline" || len(c.Publisher.Address) == 0 {
		say("imprint", "set DATELINE_PUBLISHER_NAME, …_ID and …_ADDRESS: mails name no publisher one could write to")
	}
	if c.placeholderSender() {
		say("sender", "set DATELINE_MAIL_FROM: mails come from a placeholder")
	}
	return notes
}

func (c *Config) placeholderSender() bool {
	return c.MailFrom != nil && strings.HasSuffix(c.MailFrom.Address, "@dateline.example")
}

// loopbackURL reports whether a URL leads to this machine alone.
func loopbackURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || strings.HasSuffix(u.Hostname(), ".localhost") || ip != nil && ip.IsLoopback()
}
