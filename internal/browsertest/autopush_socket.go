package browsertest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/coder/websocket"
)

// writeLimit bounds one write to a browser that does not read.
const writeLimit = 10 * time.Second

// connection is one open websocket of a browser.
type connection struct {
	socket *websocket.Conn
	uaid   string // "" before the hello
}

func (c *connection) drop() { _ = c.socket.CloseNow() }

// incoming is the union of what browsers send.
type incoming struct {
	MessageType string `json:"messageType"`
	UAID        string `json:"uaid"`
	ChannelID   string `json:"channelID"`
	Key         string `json:"key"`
	Updates     []struct {
		ChannelID string `json:"channelID"`
		Version   string `json:"version"`
		Code      Code   `json:"code"`
	} `json:"updates"`
}

// The frames we send; status 200 is success.
type (
	helloFrame struct {
		MessageType string   `json:"messageType"`
		Status      int      `json:"status"`
		UAID        string   `json:"uaid"`
		UseWebPush  bool     `json:"use_webpush"`
		Broadcasts  struct{} `json:"broadcasts"`
	}
	channelFrame struct {
		MessageType  string `json:"messageType"`
		ChannelID    string `json:"channelID"`
		Status       int    `json:"status"`
		PushEndpoint string `json:"pushEndpoint,omitempty"`
	}
	notificationFrame struct {
		MessageType string            `json:"messageType"`
		ChannelID   string            `json:"channelID"`
		Version     string            `json:"version"`
		TTL         int               `json:"ttl"`
		Data        string            `json:"data,omitempty"`
		Headers     map[string]string `json:"headers,omitempty"`
	}
)

func (s *Autopush) serveSocket(w http.ResponseWriter, r *http.Request) {
	s.Lock()
	refuse := s.refuse
	s.Unlock()
	if refuse {
		s.journal.add("websocket refused")
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	// Firefox sends our own ws:// address as Origin, which the origin check of
	// the library does not know as the same host.
	socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, Subprotocols: []string{"push-notification"}})
	if err != nil {
		s.journal.add("websocket: " + err.Error())
		return
	}
	c := &connection{socket: socket}
	defer s.leave(c)
	for {
		_, raw, err := socket.Read(r.Context())
		if err != nil {
			s.journal.add("websocket ended: " + err.Error())
			return
		}
		s.journal.add("<- " + string(raw))
		var m incoming
		if err := json.Unmarshal(raw, &m); err != nil {
			continue
		}
		s.take(c, &m)
	}
}

func (s *Autopush) leave(c *connection) {
	c.drop()
	s.Lock()
	if d := s.devices[c.uaid]; d != nil {
		d.detach(c)
	}
	s.change()
}

// detach forgets the connection c. What it carried unacknowledged will be sent
// again, but for TTL 0: that was for this connection only.
func (d *device) detach(c *connection) {
	if d.conn != c {
		return
	}
	d.conn = nil
	d.queue = slices.DeleteFunc(d.queue, func(m *stored) bool { return m.TTL == 0 })
	for _, m := range d.queue {
		m.sent = false
	}
}

func (s *Autopush) take(c *connection, m *incoming) {
	switch m.MessageType {
	case "": // a ping is {} both ways
		s.write(c, struct{}{})
	case "hello":
		s.hello(c, m.UAID)
	case "register":
		s.register(c, m)
	case "unregister":
		s.unregister(c, m.ChannelID)
	case "ack":
		s.acknowledge(c, m)
	}
}

// hello gives a new name to a browser we do not know, which makes it drop its
// subscriptions, as the real service does.
func (s *Autopush) hello(c *connection, uaid string) {
	s.Lock()
	d := s.devices[uaid]
	if d == nil {
		d = &device{uaid: newName()}
		s.devices[d.uaid] = d
	}
	c.uaid = d.uaid
	s.change()
	s.write(c, helloFrame{MessageType: "hello", Status: http.StatusOK, UAID: d.uaid, UseWebPush: true})

	s.Lock()
	refuse := s.refuse // Disconnect came in between
	if !refuse {
		d.detach(d.conn) // a connection whose end we have not seen yet
		d.conn = c
		s.handshakes++
	}
	s.change()
	if refuse {
		c.drop()
		return
	}
	s.flush(d)
}

func newName() string {
	var name [16]byte
	_, _ = rand.Read(name[:]) // never fails
	return hex.EncodeToString(name[:])
}

func (s *Autopush) register(c *connection, m *incoming) {
	s.Lock()
	endpoint := s.endpoint(c.uaid, m.ChannelID)
	if owner := s.devices[c.uaid]; owner != nil {
		s.channels[endpoint] = &channel{id: m.ChannelID, endpoint: endpoint, key: m.Key, owner: owner}
	}
	s.change()
	s.write(c, channelFrame{MessageType: "register", ChannelID: m.ChannelID, Status: http.StatusOK, PushEndpoint: endpoint})
}

func (s *Autopush) unregister(c *connection, id string) {
	s.Lock()
	if known := s.channels[s.endpoint(c.uaid, id)]; known != nil {
		known.gone = true
	}
	s.change()
	s.write(c, channelFrame{MessageType: "unregister", ChannelID: id, Status: http.StatusOK})
}

func (s *Autopush) acknowledge(c *connection, m *incoming) {
	s.Lock()
	defer s.change()
	d := s.devices[c.uaid]
	if d == nil {
		return
	}
	for _, u := range m.Updates {
		d.queue = slices.DeleteFunc(d.queue, func(q *stored) bool { return q.Version == u.Version })
		s.acks = append(s.acks, Ack{Version: u.Version, Code: u.Code})
		s.acksTaken = append(s.acksTaken, false)
	}
}

// flush sends what waits for the device, when it is connected, and drops what
// has waited longer than its TTL.
func (s *Autopush) flush(d *device) {
	s.Lock()
	c := d.conn
	var out []notificationFrame
	if c != nil {
		now := s.now()
		d.queue = slices.DeleteFunc(d.queue, func(m *stored) bool { return m.expired(now) })
		for _, m := range d.queue {
			if !m.sent {
				m.sent = true
				out = append(out, m.frame())
			}
		}
	}
	s.change()
	for _, f := range out {
		s.write(c, f)
	}
}

func (m *stored) expired(now time.Time) bool {
	return m.TTL > 0 && now.After(m.At.Add(time.Duration(m.TTL)*time.Second))
}

func (m *stored) frame() notificationFrame {
	f := notificationFrame{MessageType: "notification", ChannelID: m.channel, Version: m.Version, TTL: m.TTL}
	if len(m.Body) > 0 {
		f.Data = base64.RawURLEncoding.EncodeToString(m.Body)
		f.Headers = map[string]string{"encoding": "aes128gcm"}
	}
	return f
}

// write sends one frame. A browser that is gone is seen by its reader.
func (s *Autopush) write(c *connection, frame any) {
	raw, err := json.Marshal(frame)
	if err != nil { // our own frames: cannot happen
		s.journal.add("marshal: " + err.Error())
		return
	}
	s.journal.add("-> " + string(raw))
	ctx, cancel := context.WithTimeout(context.Background(), writeLimit)
	defer cancel()
	if err := c.socket.Write(ctx, websocket.MessageText, raw); err != nil {
		s.journal.add("write: " + err.Error())
	}
}
