package app_test

import (
	"database/sql"
	"net/http"
	"slices"
	"strings"
	"testing"

	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// The newsroom's cap holds in the real program, on both databases: an editor's
// release over it is refused in a sentence, and so is the admin key's; what goes
// by itself stays a draft, and its story is stored.
func TestTheNewsroomsCap(t *testing.T) {
	t.Parallel()
	oneWalkAtATime(t)
	onBoth(t, func(t *testing.T, settings ...string) {
		p := newProgram(t, nil, nil, append(settings, "DATELINE_POLICY=flash=one,bulletin=auto", "DATELINE_NEWSROOM_CAPS=flash=1/2,bulletin=1/2", "DATELINE_HOLD=1m")...)
		p.start()
		for _, level := range []string{"flash", "bulletin"} {
			for n, want := range []int{http.StatusOK, http.StatusConflict} {
				uri := "https://news.example/cap/" + level + string(rune('0'+n))
				body := storyBody(uri, "Ferry stops after alarm")
				if level == "bulletin" {
					body["urgency"] = 2
				}
				if code := p.call("POST", "/api/v1/stories", body, nil); code != http.StatusAccepted {
					t.Fatalf("story: %d", code)
				}
				a := p.alert(uri, "drafted", func(alertAnswer) bool { return true })
				if level == "bulletin" {
					if went := a.State != "draft"; went != (want == http.StatusOK) || !went && !strings.Contains(a.Reason, "not released by itself: the newsroom's cap for a bulletin is 1 an hour") {
						t.Errorf("bulletin %d is %s: %q", n, a.State, a.Reason)
					}
					continue
				}
				var made alertAnswer
				if code := p.call("POST", "/api/v1/alerts", map[string]string{"story": uri, "level": "flash"}, &made); code != http.StatusCreated {
					t.Fatalf("draft: %d", code)
				}
				if code := p.call("POST", "/api/v1/alerts/"+made.ID+"/release", map[string]string{"hash": made.Hash}, nil); code != want {
					t.Errorf("flash %d: %d, want %d", n, code, want)
				}
			}
		}
		p.terminate()
	})
}

// Two roles on Postgres: the owner migrates, the program serves as a member of
// dateline_app and needs no more. Doctor says who could rewrite the trail, and
// finds what a superuser changed with the triggers off.
func TestT84_TwoRolesOnPostgres(t *testing.T) {
	onBoth(t, func(t *testing.T, settings ...string) {
		if len(settings) == 0 {
			return // SQLite has no roles
		}
		owner := strings.TrimPrefix(settings[0], "DATABASE_URL=")
		asOwner := newProgram(t, nil, nil, settings...)
		if out, err := asOwner.run("", "migrate"); err != nil || !strings.Contains(out, "the role "+store.AppRole+" has its rights") {
			t.Fatalf("migrate: %v\n%s", err, out)
		}
		if out, _ := asOwner.run("", "doctor"); !strings.Contains(out, "the database role postgres can rewrite it") {
			t.Errorf("doctor does not warn of the owner:\n%s", out)
		}
		member := slices.Clone(settings)
		member[0] = "DATABASE_URL=" + storetest.Login(t, owner, "IN ROLE "+store.AppRole)
		p := newProgram(t, nil, nil, append(member, "DATELINE_POLICY=one")...)
		p.start()
		uri := "https://news.example/roles"
		p.story(uri, "Ferry stops after alarm")
		a := p.alert(uri, "drafted", func(alertAnswer) bool { return true })
		if code := p.call("POST", "/api/v1/alerts/"+a.ID+"/release", map[string]string{"hash": a.Hash}, nil); code != http.StatusOK {
			t.Fatalf("release: %d", code)
		}
		p.alert(uri, "sent", func(a alertAnswer) bool { return a.State == "sent" })
		if out, err := p.run("", "doctor"); strings.Contains(out, "can rewrite it") || !strings.Contains(out, "unbroken") {
			t.Errorf("doctor as the program's role: %v\n%s", err, out)
		}
		db, err := sql.Open("postgres", owner)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec("ALTER TABLE audit DISABLE TRIGGER ALL; UPDATE audit SET actor = 'somebody' WHERE seq = 2; ALTER TABLE audit ENABLE TRIGGER ALL"); err != nil {
			t.Fatal(err)
		}
		if out, err := p.run("", "doctor"); err == nil || !strings.Contains(out, "line 2 of the audit trail") {
			t.Errorf("doctor does not find what a superuser changed: %v\n%s", err, out)
		}
		p.terminate()
	})
}
