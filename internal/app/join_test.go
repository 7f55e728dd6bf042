//go:build unix

package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"dateline/internal/simulate"
)

// withinJoin is how soon cells are shared out after a process came, or was gone.
const withinJoin = 10 * time.Second

// Processes that join take their share of the cells within 10 s, and one that dies in
// the middle of an alert leaves its own to the others within 10 s: nobody is without
// the alert, and whoever got it twice was in flight, or answered within the last
// half second. One that was frozen for longer than its lease writes nothing more.
func TestProcessesJoinAndDie(t *testing.T) {
	const devices, pace = 3000, 500
	got := newAnswers()
	push := service(t, simulate.PushOptions{OnShown: got.shown})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, push.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	list := phones(t, push, devices)
	h := startThree(t, []string{"DATELINE_PUSH_ORIGINS=" + push.Origin(), "DATELINE_PUSH_CA=" + ca}, func(p *program) { p.importPhones(list, "JP") })
	t.Logf("one dies: the others share after %s", h.without(2))
	h.programs[2].start()
	t.Logf("and joins again: they share after %s", h.shared(3, withinJoin))
	push.SetRate(pace)
	uri := fmt.Sprintf("https://news.example/join/%d", time.Now().UnixNano())
	h.programs[0].story(uri, "A story that outlives a process")
	a := h.programs[0].alert(uri, "sending", func(a alertAnswer) bool { return a.State == "sending" })
	for got.count(a.ID, 1) < devices/4 {
		<-got.more
	}
	t.Logf("one dies in the middle: the others share after %s", h.without(1))
	h.programs[0].alert(uri, "sent", func(a alertAnswer) bool { return a.State == "sent" })
	repeats, most := got.count(a.ID, 1)-devices, pace/2+inFlight // the answers of half a second, of all three
	for _, phone := range list {
		if len(phone.Shown()) == 0 {
			t.Fatal("a phone shows nothing")
		}
	}
	t.Logf("%d repeats, of at most %d", repeats, most)
	if repeats > most {
		t.Error("too many")
	}
	h.frozen(h.programs[2])
}

// without kills a process, and waits until the two others have its cells.
func (h *three) without(n int) time.Duration {
	h.t.Helper()
	h.programs[n].kill()
	return h.shared(2, withinJoin)
}

// frozen stops a process for longer than its lease: when it wakes, its fences are
// old, and none of its writes goes through.
func (h *three) frozen(p *program) {
	h.t.Helper()
	p.signal(syscall.SIGSTOP)
	h.shared(1, withinJoin)
	p.signal(syscall.SIGCONT)
	h.shared(2, withinJoin)
}
