package simulate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	maxPushBody = 4096       // RFC 8030 7.2
	maxPushTTL  = 28 * 86400 // FCM's cap
)

// message is one accepted push message on its way to a phone.
type message struct {
	at      time.Time
	ttl     int
	topic   string
	urgency string
	body    []byte
}

// refusal is a fault of the sender's request and the status that tells it.
type refusal struct {
	status int
	reason string
}

func (r *refusal) Error() string { return r.reason }

// ServeHTTP is the service's one door: POST to an endpoint.
func (s *PushService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	total := int(s.total.Add(1))
	line := &logLine{Service: s.opts.Name, Topic: r.Header.Get("Topic"), Urgency: r.Header.Get("Urgency")}
	p := s.phoneAt(r.URL.Path)
	post := 0
	if p != nil {
		line.ID = p.id
		post = int(p.posts.Add(1))
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPushBody+1))
	if err != nil {
		panic(http.ErrAbortHandler) // the sender went away: nothing has happened
	}
	s.arrived(p, body)
	if err := s.pace.wait(r.Context()); err != nil {
		panic(http.ErrAbortHandler)
	}
	if err := pause(r.Context(), s.opts.Latency); err != nil {
		panic(http.ErrAbortHandler)
	}
	if p != nil && s.opts.Answer != nil {
		request := &PushRequest{Phone: p, Header: r.Header, Body: body, Post: post, Total: total}
		if a := s.opts.Answer(request); a != nil {
			s.misbehave(w, r, request, a, line)
			return
		}
	}
	status, reason := s.take(r, p, body, line)
	s.finish(line, status, reason)
	answer(w, status, reason, line.TTL)
}

// take checks a request and delivers it, and gives the status it has earned.
func (s *PushService) take(r *http.Request, p *Phone, body []byte, line *logLine) (status int, reason string) {
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed, "only POST"
	}
	if p == nil {
		return http.StatusNotFound, errNoPhone.Error()
	}
	m, err := s.check(r, body)
	if err == nil {
		err = s.verify(r)
	}
	var fault *refusal
	if errors.As(err, &fault) {
		return fault.status, fault.reason
	}
	line.TTL = m.ttl
	if !p.accept(m, line) {
		return http.StatusGone, "push subscription has unsubscribed or expired"
	}
	return http.StatusCreated, ""
}

// check is what RFC 8030 and 8291 ask of a request's headers and size.
func (s *PushService) check(r *http.Request, body []byte) (message, error) {
	m := message{at: s.opts.Now(), topic: r.Header.Get("Topic"), urgency: r.Header.Get("Urgency"), body: body}
	ttl, err := strconv.Atoi(r.Header.Get("TTL"))
	switch {
	case err != nil || ttl < 0:
		return m, &refusal{http.StatusBadRequest, "TTL header is missing or not a number"}
	case len(body) > maxPushBody:
		return m, &refusal{http.StatusRequestEntityTooLarge, "payload is larger than 4096 bytes"}
	case r.Header.Get("Content-Encoding") != "aes128gcm":
		return m, &refusal{http.StatusBadRequest, "Content-Encoding is not aes128gcm"}
	case len(m.topic) > 32 || !isTopic(m.topic):
		return m, &refusal{http.StatusBadRequest, "Topic is not 1 to 32 characters of the base64url alphabet"}
	case !isUrgency(r.Header):
		return m, &refusal{http.StatusBadRequest, "Urgency is not one of very-low, low, normal, high"}
	}
	m.ttl = min(ttl, maxPushTTL)
	return m, nil
}

func isTopic(topic string) bool {
	for _, c := range []byte(topic) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func isUrgency(h http.Header) bool {
	values, there := h["Urgency"]
	if !there {
		return true
	}
	switch values[0] {
	case "very-low", "low", "normal", "high":
		return len(values) == 1
	}
	return false
}

// misbehave gives the answer that was asked for.
func (s *PushService) misbehave(w http.ResponseWriter, r *http.Request, request *PushRequest, a *PushAnswer, line *logLine) {
	if a.Deliver {
		if m, err := s.check(r, request.Body); err == nil {
			request.Phone.accept(m, line)
		}
	}
	status := a.Status
	if a.Drop {
		status = 0
	}
	s.finish(line, status, "on request")
	if err := pause(r.Context(), a.Delay); err != nil || a.Drop {
		panic(http.ErrAbortHandler)
	}
	for name, values := range a.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, a.Body)
}

// answer writes what a service says: Location and TTL when it took the
// message, else a problem in JSON.
func answer(w http.ResponseWriter, status int, reason string, ttl int) {
	if status == http.StatusCreated {
		w.Header().Set("TTL", strconv.Itoa(ttl))
		w.Header().Set("Location", "/m/0")
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"code": status, "reason": reason})
}

// finish logs a request and tells those who wait.
func (s *PushService) finish(line *logLine, status int, reason string) {
	line.At, line.Status, line.Reason = s.opts.Now().UTC(), status, reason
	s.log.write(line)
	s.wake()
}

// logLine is one request in the log.
type logLine struct {
	At       time.Time `json:"at"`
	Service  string    `json:"service"`
	ID       string    `json:"id"` // of the endpoint; "" when unknown
	Topic    string    `json:"topic,omitempty"`
	Urgency  string    `json:"urgency,omitempty"`
	TTL      int       `json:"ttl"`
	Status   int       `json:"status"` // 0: cut without an answer
	Reason   string    `json:"reason,omitempty"`
	Effect   Effect    `json:"effect,omitempty"` // what the phone made of it
	Alert    string    `json:"alert,omitempty"`
	Tag      string    `json:"tag,omitempty"`
	Revision int       `json:"revision,omitempty"`
}

// requestLog writes lines one at a time. A log that can't be written would
// make a test believe a lie, so it panics.
type requestLog struct {
	mu   sync.Mutex
	w    io.Writer
	sync bool
}

func (l *requestLog) write(line *logLine) {
	if l.w == nil {
		return
	}
	raw, err := json.Marshal(line)
	if err != nil {
		panic(fmt.Errorf("simulate: log: %w", err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.w.Write(append(raw, '\n')); err != nil {
		panic(fmt.Errorf("simulate: log: %w", err))
	}
	if f, ok := l.w.(interface{ Sync() error }); ok && l.sync {
		if err := f.Sync(); err != nil {
			panic(fmt.Errorf("simulate: log: %w", err))
		}
	}
}
