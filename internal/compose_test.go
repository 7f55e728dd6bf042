package internal_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"gopkg.in/yaml.v3"

	"dateline/internal/app"
)

// composeFile is what we look at in docker-compose.yml.
type composeFile struct {
	Services map[string]composeService
	Configs  map[string]struct{ Content string }
	Secrets  map[string]struct{ File string }
	Volumes  map[string]any
}

type composeService struct {
	Image       string
	Command     []string
	Environment map[string]string
	Secrets     []string
	Volumes     []string
	Healthcheck struct{ Test []string }
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	raw, err := os.ReadFile("../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var c composeFile
	if err := yaml.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// ours is every service that runs the program.
func (c composeFile) ours() []string {
	var names []string
	for name, s := range c.Services {
		if s.Image == "dateline" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// known says which names the program reads from its environment.
func known() map[string]bool {
	names := map[string]bool{}
	for _, v := range app.Variables() {
		names[v.Name] = true
		if v.Secret {
			names[v.Name+"_FILE"] = true
		}
	}
	return names
}

func TestComposeSetsKnownVariables(t *testing.T) {
	c := readCompose(t)
	if got := c.ours(); len(got) != 2 {
		t.Fatalf("processes of ours: %v, want two", got)
	}
	names := known()
	for _, service := range c.ours() {
		s := c.Services[service]
		if len(s.Environment) < 10 {
			t.Errorf("%s: only %d variables read; has the file another form?", service, len(s.Environment))
		}
		for name := range s.Environment {
			if !names[name] {
				t.Errorf("%s sets %s, which the program does not know", service, name)
			}
		}
	}
	raw, err := os.ReadFile("../docs/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^ENV (\w+)=`).FindAllStringSubmatch(string(raw), -1) {
		if !names[m[1]] {
			t.Errorf("the Dockerfile sets %s, which the program does not know", m[1])
		}
	}
}

// TestComposeHangsTogether: what is mounted, depended on and mended by a
// health check exists, and the script writes every secret.
func TestComposeHangsTogether(t *testing.T) {
	c := readCompose(t)
	script, err := os.ReadFile("../docs/compose-secrets.sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range c.Secrets {
		if secret.File != "data/secrets/"+name || !regexp.MustCompile(`\b`+name+`\b`).Match(script) {
			t.Errorf("secret %s (%s) is not written by docs/compose-secrets.sh", name, secret.File)
		}
	}
	for name, s := range c.Services {
		if len(s.Healthcheck.Test) == 0 {
			t.Errorf("%s has no health check", name)
		}
		for other, need := range s.DependsOn {
			if _, ok := c.Services[other]; !ok || need.Condition != "service_healthy" {
				t.Errorf("%s depends on %s (%s)", name, other, need.Condition)
			}
		}
		for _, secret := range s.Secrets {
			if _, ok := c.Secrets[secret]; !ok {
				t.Errorf("%s wants the secret %s", name, secret)
			}
		}
		for _, volume := range s.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if _, ok := c.Volumes[source]; !ok {
				t.Errorf("%s mounts %s", name, volume)
			}
		}
		for variable, value := range s.Environment {
			if secret, ok := strings.CutPrefix(value, "/run/secrets/"); ok && !slices.Contains(s.Secrets, secret) {
				t.Errorf("%s: %s names a secret that it does not mount", name, variable)
			}
		}
	}
}

// TestComposeConfigures: the program accepts this configuration.
func TestComposeConfigures(t *testing.T) {
	c := readCompose(t)
	secrets := composeSecrets(t)
	for _, service := range c.ours() {
		environment := c.Services[service].Environment
		_, err := app.Load(func(name string) string {
			value := interpolate(environment[name])
			if secret, ok := strings.CutPrefix(value, "/run/secrets/"); ok {
				return filepath.Join(secrets, secret)
			}
			return value
		})
		if err != nil {
			t.Errorf("%s: %v", service, err)
		}
	}
}

// interpolate gives the default of ${NAME:-default}, as Compose does where
// nothing is set.
func interpolate(value string) string {
	return regexp.MustCompile(`\$\{\w+:-([^}]*)\}`).ReplaceAllString(value, "$1")
}

func composeSecrets(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	keys, err := app.FreshKeys()
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"database_url": "postgres://dateline:x@postgres:5432/dateline?sslmode=disable\n",
		"nats_url":     "nats://dateline:x@nats-1:4222,nats://dateline:x@nats-2:4222\n",
		"dkim_key":     string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	}
	for line := range strings.Lines(keys) {
		name, value, _ := strings.Cut(line, "=")
		files[strings.ToLower(strings.TrimPrefix(name, "DATELINE_"))] = value
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// TestComposeNATS: the nodes' settings are read by the server itself, and each
// message is on disk before it is acknowledged.
func TestComposeNATS(t *testing.T) {
	c := readCompose(t)
	folder := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("nats.conf", strings.ReplaceAll(c.Configs["nats"].Content, "$$", "$"))
	write("run/secrets/nats_auth", `user: dateline, password: "secret"`)
	nodes := 0
	for name, s := range c.Services {
		node, ok := s.Environment["NODE"]
		if !ok {
			continue
		}
		nodes++
		t.Setenv("NODE", node)
		o, err := server.ProcessConfigFile(filepath.Join(folder, "nats.conf"))
		if err != nil {
			t.Fatal(err)
		}
		if !o.SyncAlways || o.StoreDir != "/data" || o.ServerName != name || len(o.Routes) != 3 || o.Cluster.Name == "" {
			t.Errorf("%s: name %s, sync always %t, store %s, %d routes", name, o.ServerName, o.SyncAlways, o.StoreDir, len(o.Routes))
		}
		if o.Username != "dateline" || o.Password != "secret" {
			t.Errorf("%s: strangers may publish stories", name)
		}
		if !slices.Contains(s.Volumes, name+":/data") {
			t.Errorf("%s keeps its store in %v", name, s.Volumes)
		}
	}
	if nodes != 3 {
		t.Errorf("%d NATS nodes, want 3", nodes)
	}
}
