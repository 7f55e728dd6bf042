package app_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"dateline/internal/simulate"
)

// TestCanaryOfTheProgram: what a push service refuses stops at the first few in
// the real program, is held with the reason, and goes to everybody else when
// somebody resumes it; a good start goes on by itself. 2,400 devices: 24 of them.
func TestCanaryOfTheProgram(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, settings ...string) {
		const devices, first = 2_400, 24
		var refuse atomic.Bool
		var refused atomic.Int64
		push := service(t, simulate.PushOptions{Answer: func(*simulate.PushRequest) *simulate.PushAnswer {
			if !refuse.Load() {
				return nil
			}
			refused.Add(1)
			return &simulate.PushAnswer{Status: http.StatusBadRequest}
		}})
		p := newProgram(t, []*simulate.PushService{push}, nil, append(settings, "DATELINE_POLICY=one")...)
		p.importPhones(phones(t, push, devices), "JP")
		p.start()
		release := func(uri string) {
			p.story(uri, "Ferry stops after alarm")
			a := p.alert(uri, "drafted", func(alertAnswer) bool { return true })
			if code := p.call("POST", "/api/v1/alerts/"+a.ID+"/release", map[string]string{"hash": a.Hash}, &a); code != http.StatusOK {
				t.Fatalf("release: %d", code)
			}
		}
		all := "https://news.example/canary/well"
		release(all)
		p.alert(all, "sent to everybody", func(a alertAnswer) bool { return a.State == "sent" && a.Counts.Accepted == devices })

		refuse.Store(true)
		bad := "https://news.example/canary/badly"
		release(bad)
		// Two refusals are enough to hold it; the other answers come in after that.
		a := p.alert(bad, "held, and every answer counted", func(a alertAnswer) bool {
			return a.State == "held" && a.Counts.Failed == int(refused.Load())
		})
		if n := refused.Load(); n > first || a.Counts.Failed != int(n) || a.Counts.Pending != devices-int(n) {
			t.Errorf("%d requests refused, %+v", n, a.Counts)
		}
		if !strings.Contains(a.Reason, "of the first") {
			t.Errorf("held because of %q", a.Reason)
		}
		refuse.Store(false)
		if code := p.call("POST", "/api/v1/alerts/"+a.ID+"/resume", map[string]string{}, nil); code != http.StatusOK {
			t.Fatalf("resume: %d", code)
		}
		a = p.alert(bad, "sent to the others", func(a alertAnswer) bool { return a.State == "sent" })
		if a.Counts.Accepted+a.Counts.Failed != devices || a.Counts.Failed > first {
			t.Errorf("at the end %+v", a.Counts)
		}
		p.terminate()
	})
}
