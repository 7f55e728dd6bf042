package dispatch

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/uuid"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/push"
)

// BenchmarkMemory is what the process grows by for each device, as the system
// counts it: the cells, what is interned, both armed keys, and the room that the
// collector (GOGC is its default) leaves itself.
func BenchmarkMemory(b *testing.B) {
	for _, row := range []struct{ devices, preferences int }{{100_000, 20_000}, {1_000_000, 20_000}, {1_000_000, 200_000}} {
		b.Run(fmt.Sprintf("devices=%d/preferences=%d", row.devices, row.preferences), func(b *testing.B) {
			for b.Loop() {
				a, q := audience.New(), &push.Quiver{}
				fill(b, a, q, 20_000, 1000) // what the first devices load of program and runtime
				empty(a, q)
				before := resident(b)
				endpoints := fill(b, a, q, row.devices, row.preferences)
				b.ReportMetric(float64(resident(b)-before)/float64(row.devices), "B/device")
				b.ReportMetric(float64(endpoints)/float64(row.devices), "B/endpoint")
				if q.Armed(push.SlotAlert) != row.devices || q.Armed(push.SlotRepair) != row.devices || a.Size().Active != row.devices {
					b.Fatal("not all are there")
				}
				empty(a, q)
			}
		})
	}
}

func empty(a *audience.Audience, q *push.Quiver) {
	for cell := range news.Cells {
		a.Cell(cell).Reset()
		q.Forget(cell)
	}
}

// fill puts devices with both keys, cell by cell as they are loaded, and counts the
// bytes of their endpoints. One key serves them all: to make two million takes
// longer than the rest.
func fill(b *testing.B, a *audience.Audience, q *push.Quiver, devices, preferences int) (endpoints int) {
	own, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	key, err := push.Arm(push.Target{P256dh: own.PublicKey().Bytes(), Auth: make([]byte, 16)})
	if err != nil {
		b.Fatal(err)
	}
	for cell := range news.Cells {
		for i := cell; i < devices; i += news.Cells {
			d := someDevice(i, preferences)
			endpoints += len(d.Push.Endpoint)
			a.Cell(cell).Put(d)
			q.Put(cell, d.Number, push.SlotAlert, key)
			q.Put(cell, d.Number, push.SlotRepair, key)
		}
	}
	return endpoints
}

// someDevice has an endpoint of 160 to 400 characters, as the push services give
// them, of which the letters are random.
func someDevice(i, preferences int) news.Device {
	r := mathrand.New(mathrand.NewPCG(uint64(i), 1))
	fronts := []string{"https://fcm.googleapis.com/fcm/send/", "https://updates.push.services.mozilla.com/wpush/v2/",
		"https://web.push.apple.com/", "https://sg2p.notify.windows.com/w/?token="}
	front, length := fronts[r.IntN(len(fronts))], 160+r.IntN(241)
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	endpoint := []byte(front)
	for len(endpoint) < length {
		endpoint = append(endpoint, letters[r.IntN(64)])
	}
	switch front {
	case fronts[0]:
		endpoint[len(front)+11] = ':'
	case fronts[3]:
		for at := len(front) + 8; at+3 < length; at += 45 { // plus and slash, escaped
			copy(endpoint[at:], "%2b")
		}
	}
	auth, point := make([]byte, 16), make([]byte, 65)
	binary.LittleEndian.PutUint64(auth, r.Uint64())
	for at := 1; at < 65; at += 8 {
		binary.LittleEndian.PutUint64(point[at:], r.Uint64())
	}
	point[0] = 4
	places := []string{"JP", "KR", "ID", "TH", "VN", "PH", "IN", "PK", "BD", "TW", "SG", "MY", "142", "035", "030", "034", "ASEAN", "SAARC"}
	kind := mathrand.New(mathrand.NewPCG(uint64(r.IntN(preferences)), 2))
	p := news.Preference{Level: news.Levels()[kind.IntN(3)]}
	for range 3 {
		p.Regions = append(p.Regions, places[kind.IntN(len(places))])
	}
	sections := news.Sections()
	for range kind.IntN(4) {
		p.Sections = append(p.Sections, sections[kind.IntN(len(sections))].Name)
	}
	w := news.Wishes{Preference: p, Language: []string{"en", "ja", "hi", "zh-Hant"}[r.IntN(4)], Timezone: []string{"Asia/Tokyo", "Asia/Kolkata", "Asia/Jakarta"}[r.IntN(3)]}
	if r.IntN(2) == 0 {
		w.Quiet = &news.Quiet{From: 22 * 60, To: 7 * 60, Flash: true}
	}
	at := uint64(1_790_000_000_000 + i*50)
	return news.Device{ID: someID(r, at), SubscriberID: someID(r, at), Cell: i % news.Cells, Number: uint32(i / news.Cells), State: news.DeviceActive, Wishes: w,
		Push: news.PushSubscription{Endpoint: string(endpoint), P256dh: point, Auth: auth}}
}

// someID is a UUID of version 7, as the store makes them: a reader and her first
// device in the same millisecond.
func someID(r *mathrand.Rand, at uint64) string {
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[:], at<<16|0x7000|r.Uint64()&0xfff)
	binary.LittleEndian.PutUint64(u[8:], r.Uint64())
	return u.String()
}

// resident is what the process has of the machine's memory.
func resident(b *testing.B) int {
	b.Helper()
	runtime.GC()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("this system does not say what a process takes")
	}
	_, rest, _ := strings.Cut(string(raw), "VmRSS:")
	var kb int
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		b.Fatal(err)
	}
	return kb << 10
}
