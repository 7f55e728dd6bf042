package browsertest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The frames of MCS that are used here (Chromium's google_apis/gcm/protocol/mcs.proto
// and base/mcs_util.h): a tag, a length, a protobuf. The first byte of each side
// is the version.
const (
	mcsVersion       = 41
	tagHeartbeat     = 0
	tagHeartbeatAck  = 1
	tagLogin         = 2
	tagLoginResponse = 3
	tagIQ            = 7
	tagData          = 8
	// mcsLongest bounds a frame: what browsers send here is a few hundred bytes.
	mcsLongest = 1 << 20
)

func (g *Google) close() {
	_ = g.mcs.Close()
	g.Lock()
	if g.conn != nil {
		_ = g.conn.Close()
	}
	g.change()
}

func (g *Google) accept() {
	for {
		conn, err := g.mcs.Accept()
		if err != nil {
			return
		}
		go g.serve(conn)
	}
}

// serve talks to one browser until it goes. Chromium connects twice at its first
// start; the newer connection counts.
func (g *Google) serve(conn net.Conn) {
	err := g.listen(conn)
	g.journal.add(fmt.Sprintf("MCS: %v", err))
	_ = conn.Close()
	g.Lock()
	if g.conn == conn {
		g.conn = nil
	}
	g.change()
}

func (g *Google) listen(conn net.Conn) error {
	in := bufio.NewReader(conn)
	if _, err := in.ReadByte(); err != nil { // its version
		return err
	}
	for {
		tag, err := in.ReadByte()
		if err != nil {
			return err
		}
		size, err := binary.ReadUvarint(in)
		if err != nil || size > mcsLongest {
			return fmt.Errorf("a frame of %d bytes: %w", size, err)
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(in, body); err != nil {
			return err
		}
		g.journal.add(fmt.Sprintf("MCS tag %d, %d bytes", tag, size))
		g.Lock()
		switch tag {
		case tagHeartbeat:
			frame(conn, tagHeartbeatAck, nil)
		case tagLogin:
			g.login(conn)
		case tagIQ: // 10: last_stream_id_received
			g.taken(int(varintField(body, 10)))
		}
		g.change()
	}
}

// login answers LoginRequest (LoginResponse: 1 id, 8 server_timestamp) and sends
// what waits. The lock is held.
func (g *Google) login(conn net.Conn) {
	g.conn, g.stream = conn, 1 // the answer counts as a message
	for _, m := range g.queue {
		m.stream = 0
	}
	out := stringField(nil, 1, "stand-in")
	out = varint(out, 8, uint64(time.Now().UnixMilli()))
	_, _ = conn.Write([]byte{mcsVersion})
	frame(conn, tagLoginResponse, out)
	g.flush()
}

// taken forgets what the browser has. The lock is held.
func (g *Google) taken(upTo int) {
	g.queue = slices.DeleteFunc(g.queue, func(m *outgoing) bool { return m.stream != 0 && m.stream <= upTo })
}

// flush sends what was not sent yet (DataMessageStanza: 3 from, 5 category,
// 7 app_data, 9 persistent_id, 17 ttl, 18 sent, 21 raw_data, 24 immediate_ack).
// The lock is held.
func (g *Google) flush() {
	if g.conn == nil {
		return
	}
	for _, m := range g.queue {
		if m.stream != 0 {
			continue
		}
		g.stream++
		m.stream = g.stream
		to := g.registrations[m.token]
		out := stringField(nil, 3, to.key)
		out = stringField(out, 5, to.app)
		for _, pair := range [][2]string{{"subtype", to.subtype}, {"content-encoding", "aes128gcm"}} {
			out = stringField(out, 7, string(stringField(stringField(nil, 1, pair[0]), 2, pair[1])))
		}
		out = stringField(out, 9, m.Version)
		out = varint(out, 17, uint64(m.TTL))
		out = varint(out, 18, uint64(m.At.UnixMilli()))
		out = stringField(out, 21, string(m.Body))
		out = varint(out, 24, 1)
		frame(g.conn, tagData, out)
	}
}

// frame writes one; a connection that is gone says so to its reader.
func frame(conn net.Conn, tag byte, body []byte) {
	_, _ = conn.Write(append(protowire.AppendVarint([]byte{tag}, uint64(len(body))), body...))
}

func stringField(b []byte, n protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), v)
}

func varint(b []byte, n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
}

// varintField finds a number in a message; 0 when it is not there.
func varintField(b []byte, want protowire.Number) uint64 {
	for len(b) > 0 {
		n, kind, used := protowire.ConsumeTag(b)
		if used < 0 {
			return 0
		}
		b = b[used:]
		if n == want && kind == protowire.VarintType {
			v, _ := protowire.ConsumeVarint(b)
			return v
		}
		if used = protowire.ConsumeFieldValue(n, kind, b); used < 0 {
			return 0
		}
		b = b[used:]
	}
	return 0
}
