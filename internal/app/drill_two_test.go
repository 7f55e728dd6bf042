package app

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"dateline/internal/news"
	"dateline/internal/store/storetest"
)

// Two processes on one Postgres: a drill runs in the process it was started in,
// the other says so and where, and may hold one of its own beside it. Both
// reports are read in both, and a process that starts ends nobody else's drill.
func TestDrillsInTwoProcesses(t *testing.T) {
	t.Parallel()
	env := shared(t)
	here := newRoom(t, env)
	there := openRoom(t, env)
	there.cookies = here.cookies

	two := news.Policies{news.LevelFlash: news.PolicyTwo, news.LevelBulletin: news.PolicyTwo, news.LevelNotice: news.PolicyTwo}
	d := here.startDrill(drillOptions{Devices: 60, Policies: two})
	there.drills.sweep(t.Context()) // as at its start
	there.drills.look(t.Context())
	_, page := there.must(200, "Rita", "/desk", nil)
	there.says(page, "<title>LIVE · ", "started by <bdi>Ann</bdi>")
	_, page = there.must(200, "Bao", "/desk/drill", nil)
	there.says(page, here.drills.place, "running: open the desk of that process to take part", "Start a drill")
	for _, path := range []string{"/drill/desk", "/drill/desk/alerts", "/drill/phones"} {
		if to, _ := there.must(303, "Bao", path, nil); to != "/desk/drill" {
			t.Errorf("%s of the other process leads to %s", path, to)
		}
	}
	there.must(409, "Bao", "/desk/drill/end", url.Values{})

	own := there.startDrill(drillOptions{Devices: 60})
	here.until("the phones of one are there", func() bool { _, all := d.ready(); return all })
	there.until("the phones of the other are there", func() bool { _, all := own.ready(); return all })
	here.walk(d)
	if alerts, err := own.store.Alerts(t.Context(), nil, 10); err != nil || len(alerts) != 0 {
		t.Errorf("the other drill has %d alerts, %v", len(alerts), err)
	}
	for r, other := range map[*room]*room{here: there, there: here} {
		to, _ := r.must(303, "Bao", "/desk/drill/end", url.Values{})
		for _, reader := range []*room{r, other} {
			_, page := reader.must(200, "Rita", to, nil)
			reader.says(page, "Drill report")
			if strings.Contains(page, "Did not work as promised") {
				t.Errorf("the report has faults:\n%s", page)
			}
		}
	}
	list, err := there.store.Drills(t.Context(), drillsShown)
	if err != nil || len(list) != 2 || list[0].EndedBy != "Bao" || list[1].EndedBy != "Bao" || list[0].Place == list[1].Place {
		t.Errorf("%+v, %v", list, err)
	}
	there.drills.look(t.Context())
	if n := there.drills.notice(); n.Running {
		t.Errorf("after both drills the live pages say %+v", n)
	}
}

// shared are the settings of processes on one Postgres and one NATS server.
func shared(t *testing.T) map[string]string {
	t.Helper()
	env := map[string]string{"DATABASE_URL": storetest.Postgres(t)}
	node, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(),
		JetStreamMaxStore: 4 << 30, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	go node.Start()
	t.Cleanup(func() { node.Shutdown(); node.WaitForShutdown() })
	if !node.ReadyForConnections(30 * time.Second) {
		t.Fatal("NATS did not start")
	}
	env["NATS_URL"] = node.ClientURL()
	keys, err := FreshKeys()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(keys) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && news.Visible(value) {
			env[name] = value
		}
	}
	return env
}
