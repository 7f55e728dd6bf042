package h2

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"pgregory.net/rapid"
)

// meant are the fields of a request, as they have to arrive.
func meant(authority, path string, head *Head) (fields []hpack.HeaderField) {
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":authority", authority}, {":path", path},
		{"content-encoding", head.ContentEncoding}, {"content-type", "application/octet-stream"}, {"ttl", head.TTL}, {"urgency", head.Urgency},
		{"topic", head.Topic}, {"user-agent", head.UserAgent}, {"authorization", head.Authorization}} {
		if f[1] != "" {
			fields = append(fields, hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: f[0] == ":path"})
		}
	}
	return fields
}

func drawHead(t *rapid.T) *Head {
	long := rapid.SampledFrom([]int{10, 300, 3000, 5000}).Draw(t, "token")
	return &Head{TTL: fmt.Sprint(rapid.IntRange(0, 200).Draw(t, "ttl")), Urgency: rapid.SampledFrom([]string{"", "high", "normal"}).Draw(t, "urgency"),
		Topic: rapid.SampledFrom([]string{"", "quake", "flood-01", "storm_2"}).Draw(t, "topic"), ContentEncoding: "aes128gcm",
		UserAgent: "Dateline", Authorization: strings.Repeat("t", long)}
}

// TestHeads: whatever is sent, taken back or stopped, and whatever the peer says of
// its table, its decoder sees what was meant.
func TestHeads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h heads
		h.init("push.example:8443")
		decoder := hpack.NewDecoder(tableSize, nil)
		for range rapid.IntRange(1, 60).Draw(t, "batches") {
			type sent struct {
				block []byte
				want  []hpack.HeaderField
			}
			var batch []sent
			head := drawHead(t)
			for range rapid.IntRange(1, 5).Draw(t, "requests") {
				path := "/" + rapid.StringMatching(`[!-~]{0,300}`).Draw(t, "path")
				block := h.append(nil, head, path)
				if rapid.IntRange(0, 9).Draw(t, "drop") == 0 {
					h.forget()
				} else {
					batch = append(batch, sent{block, meant("push.example:8443", path, head)})
				}
				if rapid.Bool().Draw(t, "another head") {
					head = drawHead(t)
				}
			}
			if rapid.IntRange(0, 9).Draw(t, "stop") == 0 {
				h.forget()
				batch = nil
			}
			for _, s := range batch {
				got, err := decoder.DecodeFull(s.block)
				if err != nil || !slices.Equal(got, s.want) {
					t.Fatalf("%v %v\nwant %v", err, got, s.want)
				}
			}
			if rapid.IntRange(0, 9).Draw(t, "limit") == 0 {
				size := rapid.SampledFrom([]uint32{0, 60, 500, 4096, 1 << 20}).Draw(t, "size")
				h.limit(size)
				decoder.SetAllowedMaxDynamicTableSize(size)
			}
		}
	})
}

// TestHeadsAreSmall: a block costs its path and a few bytes, also when a few TTLs
// take turns.
func TestHeadsAreSmall(t *testing.T) {
	bubble(t, "", nil, func(t *testing.T, c *client, p *peer) {
		head := someHead
		head.Authorization = "vapid t=" + strings.Repeat("x", 300)
		sent := 0
		for round := range 60 {
			n, _ := c.Reserve(50)
			var b Batch
			c.Begin(&b)
			for i := range n {
				head.TTL = fmt.Sprint(3600 + (sent+i)/100%7)
				c.add(&b, &head, fmt.Sprintf("/push/%d/%s", sent+i, strings.Repeat("aB3", 50)), 10)
			}
			c.flush(&b, agree)
			b.Close()
			synctest.Wait()
			for i, id := range p.ids() {
				r := p.got(id)
				head.TTL = fmt.Sprint(3600 + (sent+i)/100%7)
				if !slices.Equal(r.fields, meant("push.example", r.field(":path"), &head)) {
					t.Fatalf("%v", r.fields)
				}
				if round > 14 && r.block > len(r.field(":path"))+32 {
					t.Fatalf("request %d: a block of %d bytes", sent+i, r.block)
				}
				p.answer(id)
			}
			p.grant(0, uint32(10*n))
			sent += n
			synctest.Wait()
		}
		if sent != 3000 {
			t.Error(sent)
		}
	})
}

// TestTableOverTheWire: a gate that refuses, a request that is taken back and a
// peer that changes its table leave both ends in step.
func TestTableOverTheWire(t *testing.T) {
	bubble(t, "", []http2.Setting{set(http2.SettingHeaderTableSize, 0)}, func(t *testing.T, c *client, p *peer) {
		for i := range 60 {
			head := someHead
			head.TTL, head.Topic = fmt.Sprint(i/3), fmt.Sprint("topic", i/5)
			c.Reserve(3)
			var b Batch
			c.Begin(&b)
			c.add(&b, &head, "/first", 5)
			other := head
			other.Urgency = fmt.Sprint("u", i)
			b.Start(&other, "/dropped")
			b.Drop()
			gate := agree
			if i%4 == 3 {
				gate = func() error { return ErrClosed }
			}
			c.flush(&b, gate)
			c.add(&b, &head, "/second", 5)
			c.flush(&b, agree)
			b.Close()
			synctest.Wait()
			for _, id := range p.ids() {
				r := p.got(id)
				if path := r.field(":path"); path != "/first" && path != "/second" || !slices.Equal(r.fields, meant("push.example", path, &head)) {
					t.Fatalf("%v", r.fields)
				}
				p.answer(id)
			}
			if i%7 == 6 {
				p.settings(set(http2.SettingHeaderTableSize, []uint32{4096, 0, 100, 65_536, 200}[i/7%5]))
			}
			synctest.Wait()
		}
	})
}
