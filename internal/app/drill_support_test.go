package app

import (
	"context"
	"errors"
	"net"
	"strconv"
	"testing"

	"dateline/internal/desk"
	"dateline/internal/news"
	"dateline/internal/push"
	"dateline/internal/simulate"
)

func itoa(n int) string { return strconv.Itoa(n) }

func importDevices(t *testing.T, store func(context.Context, []news.NewDevice) ([]error, error), subs ...news.PushSubscription) {
	t.Helper()
	var list []news.NewDevice
	for _, s := range subs {
		list = append(list, news.NewDevice{Push: s, Wishes: news.Wishes{Language: "en", Timezone: "Asia/Tokyo",
			Preference: news.Preference{Regions: []string{"142"}, Level: news.LevelNotice}}})
	}
	faults, err := store(t.Context(), list)
	if err := errors.Join(append(faults, err)...); err != nil {
		t.Fatal(err)
	}
}

func drillEdit(audience string) desk.Writing {
	return desk.Writing{Level: "flash", Audience: audience, Texts: map[string]news.Text{"en": {Title: "Rehearsed"}}}
}

func target(p *simulate.Phone) push.Target {
	s := p.Subscription()
	return push.Target{Endpoint: s.Endpoint, P256dh: s.P256dh, Auth: s.Auth}
}

func message(payload string) push.Message { return push.Message{Payload: []byte(payload), TTL: 60} }

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// newRoomApp opens the program again on a folder, without running it.
func newRoomApp(t *testing.T, folder, listen string) *App {
	t.Helper()
	cfg, err := Load(func(name string) string {
		return map[string]string{"DATELINE_DATA": folder, "DATELINE_LISTEN": listen, "DATELINE_OPS_LISTEN": "127.0.0.1:0"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), cfg, discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}
