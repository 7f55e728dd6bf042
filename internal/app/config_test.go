package app

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/news"
)

// settings are an environment for Load, NAME=value.
func settings(list ...string) func(string) string {
	return func(name string) string {
		for _, kv := range list {
			if value, ok := strings.CutPrefix(kv, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

func TestLoadReads(t *testing.T) {
	c, err := Load(settings("DATELINE_LISTEN=127.0.0.1:0", "DATELINE_BASE_URL=https://alerts.example.org/", "DATELINE_HOLD=0",
		"DATELINE_STORY_HOSTS= news.example , www.news.example:8443 ,", "DATELINE_TRUSTED_PROXIES=10.1.2.3/8, 192.0.2.7",
		"DATELINE_PUBLISHER_ADDRESS=Na okraji 381/41 | 162 00 Praha 6|", "NATS_URL=nats://a:4222, tls://b:4222", "DATELINE_CANARY=off", "DATELINE_TRACKING=off",
		"DATELINE_EMBED_ORIGINS=https://www.news.example, https://m.news.example:8443",
		"DATELINE_SIGNUP_LIMIT=0", "DATELINE_LOG=debug"))
	if err != nil {
		t.Fatal(err)
	}
	if c.VAPIDSubject != "https://alerts.example.org" {
		t.Errorf("the base URL is not the subject: %q", c.VAPIDSubject)
	}
	if got := []string{c.TrustedProxies[0].String(), c.TrustedProxies[1].String()}; !slices.Equal(got, []string{"10.0.0.0/8", "192.0.2.7/32"}) {
		t.Errorf("proxies %v", got)
	}
	if diff := cmp.Diff([]string{"Na okraji 381/41", "162 00 Praha 6"}, c.Publisher.Address); diff != "" {
		t.Errorf("address (-want +got):\n%s", diff)
	}
	if len(c.StoryHosts) != 2 || c.Hold != 0 || c.MaxStoryAge != 6*time.Hour || c.Canary || c.Tracking || len(c.EmbedOrigins) != 2 || c.SignupLimit != 0 || len(c.Roles) != 5 || !c.embedded() {
		t.Errorf("%+v", c)
	}
}

func TestLoadPolicies(t *testing.T) {
	for text, want := range map[string]news.Policies{
		"":                         {news.LevelFlash: news.PolicyOne, news.LevelBulletin: news.PolicyOne, news.LevelNotice: news.PolicyAuto},
		"two":                      {news.LevelFlash: news.PolicyTwo, news.LevelBulletin: news.PolicyTwo, news.LevelNotice: news.PolicyAuto},
		"flash=two, bulletin=auto": {news.LevelFlash: news.PolicyTwo, news.LevelBulletin: news.PolicyAuto, news.LevelNotice: news.PolicyAuto},
		"auto,notice=one":          {news.LevelFlash: news.PolicyAuto, news.LevelBulletin: news.PolicyAuto, news.LevelNotice: news.PolicyOne},
	} {
		c, err := Load(settings("DATELINE_POLICY=" + text))
		if diff := cmp.Diff(want, c.Policies); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
}

// TestLoadRefuses: every fault is found when the configuration is read, names
// its variable and gives no secret away.
func TestLoadRefuses(t *testing.T) {
	folder := t.TempDir()
	empty := filepath.Join(folder, "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const postgres = "DATABASE_URL=postgres://db/x"
	for name, test := range map[string]struct {
		variable string
		settings []string
	}{
		"listener":                   {"DATELINE_LISTEN", []string{"DATELINE_LISTEN=8080"}},
		"listener's port":            {"DATELINE_LISTEN", []string{"DATELINE_LISTEN=:99999"}},
		"DKIM selector":              {"DATELINE_DKIM_SELECTOR", []string{"DATELINE_DKIM_SELECTOR=my selector"}},
		"publisher on two lines":     {"DATELINE_PUBLISHER_NAME", []string{"DATELINE_PUBLISHER_NAME=News\nBcc: x"}},
		"company id on two lines":    {"DATELINE_PUBLISHER_ID", []string{"DATELINE_PUBLISHER_ID=1\n2"}},
		"NATS password as it is":     {"NATS_URL", []string{"NATS_URL=nats://a:4222,nats://u:hunter2%zz@b:4222"}},
		"database password as it is": {"DATABASE_URL", []string{"DATABASE_URL=postgres://u:hunter2%zz@db/x"}},
		"base URL with a path":       {"DATELINE_BASE_URL", []string{"DATELINE_BASE_URL=https://x.example/alerts"}},
		"database of another kind":   {"DATABASE_URL", []string{"DATABASE_URL=sqlite:/x"}},
		"NATS of another scheme":     {"NATS_URL", []string{"NATS_URL=http://hunter2@nats:4222"}},
		"NATS without a scheme":      {"NATS_URL", []string{"NATS_URL=nats://a:4222,b:4222"}},
		"policy":                     {"DATELINE_POLICY", []string{"DATELINE_POLICY=flash=three"}},
		"policy of no level":         {"DATELINE_POLICY", []string{"DATELINE_POLICY=urgent=one"}},
		"hold":                       {"DATELINE_HOLD", []string{"DATELINE_HOLD=-1s"}},
		"tracking":                   {"DATELINE_TRACKING", []string{"DATELINE_TRACKING=some"}},
		"embed origin":               {"DATELINE_EMBED_ORIGINS", []string{"DATELINE_EMBED_ORIGINS=https://*.news.example"}},
		"canary":                     {"DATELINE_CANARY", []string{"DATELINE_CANARY=maybe"}},
		"age without a unit":         {"DATELINE_MAX_STORY_AGE", []string{"DATELINE_MAX_STORY_AGE=6"}},
		"age of nothing":             {"DATELINE_MAX_STORY_AGE", []string{"DATELINE_MAX_STORY_AGE=0"}},
		"story host":                 {"DATELINE_STORY_HOSTS", []string{"DATELINE_STORY_HOSTS=https://news.example/"}},
		"subject":                    {"DATELINE_VAPID_SUBJECT", []string{"DATELINE_VAPID_SUBJECT=mailto:me@localhost"}},
		"VAPID key":                  {"DATELINE_VAPID_KEY", []string{"DATELINE_VAPID_KEY=hunter2"}},
		"link key":                   {"DATELINE_LINK_KEY", []string{"DATELINE_LINK_KEY=hunter2"}},
		"seal key":                   {"DATELINE_SEAL_KEY", []string{"DATELINE_SEAL_KEY=hunter2"}},
		"admin key":                  {"DATELINE_ADMIN_KEY", []string{"DATELINE_ADMIN_KEY=hunter2"}},
		"key twice":                  {"DATELINE_ADMIN_KEY", []string{"DATELINE_ADMIN_KEY=hunter2hunter2hunter2", "DATELINE_ADMIN_KEY_FILE=" + empty}},
		"key file that is empty":     {"DATELINE_SEAL_KEY_FILE", []string{"DATELINE_SEAL_KEY_FILE=" + empty}},
		"key file that is absent":    {"DATELINE_SEAL_KEY_FILE", []string{"DATELINE_SEAL_KEY_FILE=" + empty + "2"}},
		"no keys with Postgres":      {"DATELINE_LINK_KEY", []string{postgres}},
		"push origin":                {"DATELINE_PUSH_ORIGINS", []string{"DATELINE_PUSH_ORIGINS=https://push.example/path"}},
		"CA that is none":            {"DATELINE_PUSH_CA", []string{"DATELINE_PUSH_CA=config_test.go"}},
		"CA that is empty":           {"DATELINE_PUSH_CA", []string{"DATELINE_PUSH_CA=" + empty}},
		"limit":                      {"DATELINE_SIGNUP_LIMIT", []string{"DATELINE_SIGNUP_LIMIT=many"}},
		"proxy":                      {"DATELINE_TRUSTED_PROXIES", []string{"DATELINE_TRUSTED_PROXIES=proxy"}},
		"role":                       {"DATELINE_ROLES", []string{"DATELINE_ROLES=site,desk,intake,dispatch,digests"}},
		"roles on SQLite":            {"DATELINE_ROLES", []string{"DATELINE_ROLES=site,site,site,site,site"}},
		"sender":                     {"DATELINE_MAIL_FROM", []string{"DATELINE_MAIL_FROM=News <news>"}},
		"sender without a domain":    {"DATELINE_MAIL_FROM", []string{"DATELINE_MAIL_FROM=News <news@localhost>"}},
		"DKIM key":                   {"DATELINE_DKIM_KEY", []string{"DATELINE_DKIM_KEY=hunter2"}},
		"SMTP scheme":                {"SMTP_URL", []string{"SMTP_URL=http://u:hunter2@mail.example"}},
		"SMTP password as it is":     {"SMTP_URL", []string{"SMTP_URL=smtp://u:hunter2:@/@mail.example:25x"}},
		"real mail unsigned":         {"DATELINE_DKIM_KEY", []string{"SMTP_URL=smtp://mail.example"}},
		"real mail of nobody":        {"DATELINE_PUBLISHER_ADDRESS", []string{"SMTP_URL=smtp://mail.example"}},
		"log":                        {"DATELINE_LOG", []string{"DATELINE_LOG=loud"}},
	} {
		_, err := Load(settings(test.settings...))
		var invalid *news.InvalidError
		if !errors.As(err, &invalid) || !slices.ContainsFunc(invalid.Problems, func(p news.Problem) bool { return p.Path == test.variable }) {
			t.Errorf("%s: %v, want a fault of %s", name, err, test.variable)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: a secret in %v", name, err)
		}
	}
}

func TestLoadMailToOthers(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Load(settings("SMTP_URL=smtps://u:p@mail.example", "DATELINE_MAIL_FROM=News <news@news.example>",
		"DATELINE_PUBLISHER_NAME=News", "DATELINE_PUBLISHER_ADDRESS=A street",
		"DATELINE_DKIM_KEY="+string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))); err != nil {
		t.Error(err)
	}
	for _, here := range []string{"smtp://localhost:1025", "smtp://127.0.0.1:1025", "smtp://[::1]:1025"} {
		if _, err := Load(settings("SMTP_URL=" + here)); err != nil {
			t.Errorf("%s: %v", here, err)
		}
	}
}

// TestVariablesAreRead: what the manual lists is read, and what is read is in
// the manual.
func TestVariablesAreRead(t *testing.T) {
	read := map[string]bool{}
	if _, err := Load(func(name string) string { read[name] = true; return "" }); err != nil {
		t.Fatalf("the defaults are refused: %v", err)
	}
	for _, v := range Variables() {
		if !read[v.Name] || v.Secret != read[v.Name+"_FILE"] {
			t.Errorf("%s: read %t, as a file %t, a secret %t", v.Name, read[v.Name], read[v.Name+"_FILE"], v.Secret)
		}
		delete(read, v.Name)
		delete(read, v.Name+"_FILE")
	}
	if len(read) > 0 {
		t.Errorf("not in the manual: %v", read)
	}
}
