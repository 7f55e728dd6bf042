package push

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"maps"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func reader(t testing.TB) (*ecdh.PrivateKey, Target) {
	t.Helper()
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	auth := make([]byte, authLen)
	_, _ = rand.Read(auth)
	return private, Target{P256dh: private.PublicKey().Bytes(), Auth: auth}
}

// TestAnArmedKeySealsOneMessage: its reader opens it, and nothing of the key is
// left.
func TestAnArmedKeySealsOneMessage(t *testing.T) {
	private, to := reader(t)
	rapid.Check(t, func(rt *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 0, MaxPayload).Filter(func(b []byte) bool {
			return len(b) == 0 || b[len(b)-1] != 0 // the test's own reader takes zeros for padding
		}).Draw(rt, "payload")
		k, err := Arm(to)
		if err != nil || !k.Fits(to) {
			rt.Fatal(err)
		}
		body, err := k.Seal(payload)
		if err != nil {
			rt.Fatal(err)
		}
		got, err := open(private, to.Auth, body)
		if err != nil || !bytes.Equal(got, payload) || len(body) != headerLen+PadTo(len(payload))+tagLen {
			rt.Fatalf("%d bytes, %v", len(body), err)
		}
		if k != (ArmedKey{}) {
			rt.Fatal("something of the key is left")
		}
		if _, err := k.Seal(payload); !errors.Is(err, errUsed) {
			rt.Fatalf("sealed twice: %v", err)
		}
	})
}

// A device with new keys is not sent what was armed for the old ones.
func TestAnArmedKeyFitsItsReaderOnly(t *testing.T) {
	_, to := reader(t)
	_, other := reader(t)
	k, err := Arm(to)
	if err != nil {
		t.Fatal(err)
	}
	mixed := Target{P256dh: to.P256dh, Auth: other.Auth}
	if !k.Fits(to) || k.Fits(other) || k.Fits(mixed) || new(ArmedKey).Fits(to) {
		t.Error("it fits another reader, or not its own")
	}
	if _, err := Arm(Target{P256dh: []byte{4}, Auth: to.Auth}); err == nil {
		t.Error("armed for a key that is none")
	}
}

// TestAKeyIsTakenOnce: whoever takes at the same time gets another key, or none.
func TestAKeyIsTakenOnce(t *testing.T) {
	var q Quiver
	_, to := reader(t)
	const numbers, takers = 300, 8
	made := map[[64]byte]bool{}
	for n := range uint32(numbers) {
		k, err := Arm(to)
		if err != nil {
			t.Fatal(err)
		}
		made[k.public] = true
		q.Put(1, n, SlotAlert, k)
	}
	taken := make([]map[[64]byte]int, takers)
	var all sync.WaitGroup
	for i := range takers {
		taken[i] = map[[64]byte]int{}
		all.Go(func() {
			for n := range uint32(numbers) {
				if k, ok := q.Take(1, n, SlotAlert, to); ok {
					taken[i][k.public]++
				}
			}
		})
	}
	all.Wait()
	seen := map[[64]byte]int{}
	for _, some := range taken {
		for public, n := range some {
			seen[public] += n
		}
	}
	for public, n := range seen {
		if n != 1 || !made[public] {
			t.Fatalf("a key was taken %d times", n)
		}
	}
	if len(seen) != numbers || q.Armed(SlotAlert) != 0 || q.Taken(1, SlotAlert) != numbers {
		t.Errorf("%d taken, %d left", len(seen), q.Armed(SlotAlert))
	}
}

// TestQuiverModel: against a map, whatever is put, taken and forgotten.
func TestQuiverModel(t *testing.T) {
	var readers []Target
	for range 3 {
		_, to := reader(t)
		readers = append(readers, to)
	}
	type place struct {
		cell   int
		number uint32
		slot   Slot
	}
	rapid.Check(t, func(rt *rapid.T) {
		var q Quiver
		model := map[place]ArmedKey{}
		owner := map[place]int{}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			at := place{rapid.IntRange(0, 2).Draw(rt, "cell"), rapid.SampledFrom([]uint32{0, 1, 255, 256, 70_000}).Draw(rt, "number"), rapid.SampledFrom([]Slot{SlotAlert, SlotRepair}).Draw(rt, "slot")}
			who := rapid.IntRange(0, 2).Draw(rt, "who")
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0:
				k, err := Arm(readers[who])
				if err != nil {
					rt.Fatal(err)
				}
				q.Put(at.cell, at.number, at.slot, k)
				if other := (place{at.cell, at.number, 1 - at.slot}); owner[other] != who {
					delete(model, other) // a device's other key, if it is another holder's
				}
				model[at], owner[at] = k, who
			case 1:
				got, ok := q.Take(at.cell, at.number, at.slot, readers[who])
				want, known := model[at]
				if ok != (known && owner[at] == who) || ok && got != want {
					rt.Fatalf("%v: %v, want %v of %d", at, ok, known, owner[at])
				}
				delete(model, at)
			case 2:
				_, known := model[at]
				if q.Lacks(at.cell, at.number, at.slot, readers[who]) == (known && owner[at] == who) {
					rt.Fatalf("%v is said to lack what it has, or the other way round", at)
				}
			default:
				q.Forget(at.cell)
				maps.DeleteFunc(model, func(p place, _ ArmedKey) bool { return p.cell == at.cell })
			}
			n := map[Slot]int{}
			for p := range model {
				n[p.slot]++
			}
			if q.Armed(SlotAlert) != n[SlotAlert] || q.Armed(SlotRepair) != n[SlotRepair] {
				rt.Fatalf("%d and %d armed, want %v", q.Armed(SlotAlert), q.Armed(SlotRepair), n)
			}
		}
	})
}

// BenchmarkSealArmed compares a key that is made with its message and one that was made
// before.
func BenchmarkSealArmed(b *testing.B) {
	_, to := reader(b)
	payload := make([]byte, 480)
	b.Run("fresh", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Seal(to, payload); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("armed", func(b *testing.B) {
		k, err := Arm(to)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			once := k // a benchmark's: nothing is sent
			if _, err := once.Seal(payload); err != nil {
				b.Fatal(err)
			}
		}
	})
}
