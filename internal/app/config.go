package app

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"dateline/internal/desk"
	"dateline/internal/email"
	"dateline/internal/intake"
	"dateline/internal/news"
	"dateline/internal/push"
	"dateline/internal/site"
)

// Roles a process may have.
const (
	RoleSite     = "site"
	RoleDesk     = "desk"
	RoleIntake   = "intake"
	RoleDispatch = "dispatch"
	RoleDigest   = "digest"
)

// Config is everything a process needs to know, checked. Load makes it.
type Config struct {
	Data       string // folder
	Listen     string
	OpsListen  string
	DeskListen string
	DeskURL    string     // "" : from the desk's listener
	OIDC       *desk.OIDC // nil: none
	BaseURL    string     // "" : from the listener

	DatabaseURL string // "" : SQLite in Data
	NATSURL     string // "" : embedded
	SMTPURL     string // "" : the outbox inside the program

	Policies    news.Policies
	Caps        news.Caps
	Hold        time.Duration
	Canary      bool
	Tracking    bool // off: nobody is asked for receipts, and none are taken
	MaxStoryAge time.Duration
	StoryHosts  []string // empty: any https host

	VAPIDSubject string
	VAPIDKey     string // "" : from the data folder; so are the next three
	LinkKey      string
	SealKey      string
	AdminKey     string
	PushOrigins  []string
	PushCA       []byte // PEM

	SignupLimit    int
	EmbedOrigins   []string // that may show our sign-up on their pages
	TrustedProxies []netip.Prefix
	Roles          []string

	MailFrom     *mail.Address
	MailWarmUp   bool   // mailbox providers do not know this sender yet
	MailTracking bool   // count how often an edition's links are followed
	BounceListen string // "" : nothing comes back by SMTP
	// BounceAddress is what mail comes back to, with +TOKEN before the @.
	BounceAddress string
	DKIMKey       string // PEM text
	DKIMSelector  string
	Publisher     Publisher

	LogLevel slog.Level

	demo bool // the environment plays no part: nobody is told to set a variable
}

// Files in the data folder: SQLite's, and the lock of the process that serves it.
const (
	databaseFile = "dateline.db"
	lockFile     = "dateline.lock"
)

// Publisher is the imprint of mails.
type Publisher struct {
	Name    string
	ID      string
	Address []string
}

// Has reports whether the process plays the role.
func (c *Config) Has(role string) bool { return slices.Contains(c.Roles, role) }

// embedded reports whether the process owns its database alone.
func (c *Config) embedded() bool { return c.DatabaseURL == "" }

// reader collects settings and every fault found in them.
type reader struct {
	getenv   func(string) string
	problems news.Problems
}

// Load reads the settings through getenv (os.Getenv, or a test's) and reports
// every fault at once, as an *news.InvalidError whose paths are the names of
// the variables.
func Load(getenv func(string) string) (Config, error) {
	r := &reader{getenv: getenv}
	c := Config{
		Data:         r.text("DATELINE_DATA", "./data"),
		Listen:       r.listener("DATELINE_LISTEN", ":8080"),
		OpsListen:    r.listener("DATELINE_OPS_LISTEN", "127.0.0.1:9464"),
		DeskListen:   r.listener("DATELINE_DESK_LISTEN", ""),
		DeskURL:      r.origin("DATELINE_DESK_URL"),
		OIDC:         r.oidc(),
		BaseURL:      r.origin("DATELINE_BASE_URL"),
		DatabaseURL:  r.databaseURL(),
		NATSURL:      r.natsURL(),
		SMTPURL:      r.secret("SMTP_URL"),
		Policies:     r.policies(),
		Caps:         r.caps(),
		Hold:         r.duration("DATELINE_HOLD", 10*time.Second),
		Canary:       r.onOff("DATELINE_CANARY", true),
		Tracking:     r.onOff("DATELINE_TRACKING", true),
		MaxStoryAge:  r.storyAge(),
		StoryHosts:   r.list("DATELINE_STORY_HOSTS"),
		VAPIDKey:     r.secret("DATELINE_VAPID_KEY"),
		LinkKey:      r.secret("DATELINE_LINK_KEY"),
		SealKey:      r.secret("DATELINE_SEAL_KEY"),
		AdminKey:     r.secret("DATELINE_ADMIN_KEY"),
		PushOrigins:  r.list("DATELINE_PUSH_ORIGINS"),
		PushCA:       r.file("DATELINE_PUSH_CA"),
		SignupLimit:  r.count("DATELINE_SIGNUP_LIMIT", 1000),
		EmbedOrigins: r.list("DATELINE_EMBED_ORIGINS"),
		Roles:        r.roles(),
		DKIMKey:      r.secret("DATELINE_DKIM_KEY"),
		DKIMSelector: r.text("DATELINE_DKIM_SELECTOR", "dateline"),
		Publisher: Publisher{
			Name: r.line("DATELINE_PUBLISHER_NAME", "Dateline"),
			ID:   r.line("DATELINE_PUBLISHER_ID", ""), Address: r.lines("DATELINE_PUBLISHER_ADDRESS"),
		},
		MailFrom:     r.mailFrom(),
		MailWarmUp:   r.onOff("DATELINE_MAIL_WARMUP", false),
		MailTracking: r.onOff("DATELINE_MAIL_TRACKING", false),
		BounceListen: r.listener("DATELINE_BOUNCE_LISTEN", ""),
		LogLevel:     r.logLevel(),
	}
	c.BounceAddress = r.bounceAddress(c.MailFrom)
	c.TrustedProxies = r.networks("DATELINE_TRUSTED_PROXIES")
	c.VAPIDSubject = r.vapidSubject(c.BaseURL)
	r.together(&c)
	return c, r.problems.Err()
}

// text is a plain setting.
func (r *reader) text(name, otherwise string) string {
	if v := strings.TrimSpace(r.getenv(name)); v != "" {
		return v
	}
	return otherwise
}

// line is a setting that stands in the header of every mail, or beside it.
func (r *reader) line(name, otherwise string) string {
	v := r.text(name, otherwise)
	if strings.ContainsFunc(v, unicode.IsControl) {
		r.problems.Add(name, "must be one line, without control characters")
	}
	return v
}

// secret is a setting that may also be in a file named by NAME_FILE.
func (r *reader) secret(name string) string {
	direct, path := strings.TrimSpace(r.getenv(name)), strings.TrimSpace(r.getenv(name+"_FILE"))
	switch {
	case direct != "" && path != "":
		r.problems.Add(name, "is set, and so is %s_FILE; set one of them", name)
	case path != "":
		return strings.TrimSpace(string(r.content(name+"_FILE", path)))
	}
	return direct
}

// content is what is in a file that a setting names. An empty one is a fault:
// it would be taken for a setting that is not there.
func (r *reader) content(setting, path string) []byte {
	raw, err := os.ReadFile(filepath.Clean(path))
	switch {
	case err != nil:
		r.problems.Add(setting, "can't be read: %v", err)
	case len(bytes.TrimSpace(raw)) == 0:
		r.problems.Add(setting, "is empty: %s", path)
	}
	return raw
}

// file is the content of a file that is named directly.
func (r *reader) file(name string) []byte {
	path := r.text(name, "")
	if path == "" {
		return nil
	}
	return r.content(name, path)
}

func (r *reader) list(name string) []string {
	var out []string
	for part := range strings.SplitSeq(r.text(name, ""), ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

func (r *reader) lines(name string) []string {
	var out []string
	for part := range strings.FieldsFuncSeq(r.text(name, ""), func(c rune) bool { return c == '|' || c == '\n' }) {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

func (r *reader) duration(name string, otherwise time.Duration) time.Duration {
	v := r.text(name, "")
	if v == "" {
		return otherwise
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		r.problems.Add(name, "must be a duration such as 10s or 6h, not %q", v)
	}
	return d
}

// storyAge is never zero: then no story would be young enough for anything.
func (r *reader) storyAge() time.Duration {
	const name = "DATELINE_MAX_STORY_AGE"
	before := len(r.problems)
	d := r.duration(name, 6*time.Hour)
	if d == 0 && len(r.problems) == before {
		r.problems.Add(name, "must be longer than nothing")
	}
	return d
}

func (r *reader) count(name string, otherwise int) int {
	v := r.text(name, "")
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		r.problems.Add(name, "must be a whole number from 0, not %q", v)
	}
	return n
}

func (r *reader) onOff(name string, otherwise bool) bool {
	switch v := r.text(name, ""); v {
	case "":
		return otherwise
	case "on", "true", "1", "yes":
		return true
	case "off", "false", "0", "no":
		return false
	default:
		r.problems.Add(name, "must be on or off, not %q", v)
		return otherwise
	}
}

func (r *reader) listener(name, otherwise string) string {
	v := r.text(name, otherwise)
	if v == "" {
		return ""
	}
	_, port, err := net.SplitHostPort(v)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		r.problems.Add(name, "must be host:port or :port with a port from 0 to 65535, not %q", v)
	}
	return v
}

func (r *reader) origin(name string) string {
	v := strings.TrimSuffix(r.text(name, ""), "/")
	if v == "" {
		return ""
	}
	u, err := url.Parse(v)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Path != "" {
		r.problems.Add(name, "must be an origin such as https://alerts.example.org, not %q", v)
	}
	return v
}

// together checks what only the whole can tell, and what other packages know
// better: every fault is found here, before anything is touched.
func (r *reader) together(c *Config) {
	if c.DatabaseURL == "" && len(slices.Compact(slices.Sorted(slices.Values(c.Roles)))) < 5 {
		r.problems.Add("DATELINE_ROLES", "several processes need Postgres: set DATABASE_URL, or leave the roles away")
	}
	if c.DatabaseURL != "" {
		for name, v := range map[string]string{"DATELINE_VAPID_KEY": c.VAPIDKey, "DATELINE_LINK_KEY": c.LinkKey, "DATELINE_SEAL_KEY": c.SealKey} {
			if v == "" {
				r.problems.Add(name, "is required with DATABASE_URL: every process must have the same; `dateline keys` prints a fresh set")
			}
		}
	}
	if c.DeskURL != "" && c.DeskListen == "" {
		r.problems.Add("DATELINE_DESK_URL", "is the address of DATELINE_DESK_LISTEN, which is not set; without it the desk is at DATELINE_BASE_URL")
	}
	_, faults := parseKeys(c.keyTexts())
	r.problems = append(r.problems, faults...)
	for _, origin := range c.PushOrigins {
		_, err := push.ParseOrigin(origin)
		r.problems.Take("DATELINE_PUSH_ORIGINS", err)
	}
	for _, origin := range c.EmbedOrigins {
		r.problems.Take("DATELINE_EMBED_ORIGINS", site.CheckEmbedOrigins([]string{origin}))
	}
	_, err := certificates(c.PushCA)
	r.problems.Take("", err)
	_, err = intake.NewDecoder(c.StoryHosts, time.Now)
	r.problems.Take("", err)
	r.mailNeeds(c)
	slices.SortStableFunc(r.problems, func(a, b news.Problem) int { return strings.Compare(a.Path, b.Path) })
}

// mailNeeds: real mail without a sender, an imprint and a signature would be
// refused by mailbox providers and by law.
func (r *reader) mailNeeds(c *Config) {
	r.problems.Take("DATELINE_MAIL_FROM", email.CheckFrom(c.MailFrom.String()))
	r.problems.Take("DATELINE_DKIM_SELECTOR", email.CheckSelector(c.DKIMSelector))
	if c.DKIMKey != "" {
		_, err := email.ParseDKIMKey(c.DKIMKey)
		r.problems.Take("DATELINE_DKIM_KEY", err)
	}
	if c.SMTPURL == "" {
		return
	}
	server, err := email.ParseURL(c.SMTPURL)
	r.problems.Take("SMTP_URL", err)
	if err != nil || server.Loopback() {
		return
	}
	for _, name := range []string{"DATELINE_MAIL_FROM", "DATELINE_PUBLISHER_NAME", "DATELINE_PUBLISHER_ADDRESS"} {
		if r.text(name, "") == "" {
			r.problems.Add(name, "is required to send real mail through SMTP_URL")
		}
	}
	if c.DKIMKey == "" {
		r.problems.Add("DATELINE_DKIM_KEY", "is required to send real mail through SMTP_URL (or DATELINE_DKIM_KEY_FILE)")
	}
}

// String names the parts without giving anything away.
func (c *Config) String() string {
	kind := func(v, own string) string {
		if v == "" {
			return own
		}
		return "configured"
	}
	return fmt.Sprintf("data %s, database %s, NATS %s, mail %s", c.Data,
		kind(c.DatabaseURL, "SQLite"), kind(c.NATSURL, "embedded"), kind(c.SMTPURL, "outbox"))
}
