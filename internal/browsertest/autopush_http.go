package browsertest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// maxBody is the most that RFC 8030 lets a service demand to be allowed; Mozilla
// refuses what is longer.
const maxBody = 4096

// topicSyntax is RFC 8030, section 5.4.
var topicSyntax = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

func (s *Autopush) servePush(w http.ResponseWriter, r *http.Request) {
	endpoint := s.endpoint(r.PathValue("uaid"), r.PathValue("channel"))
	post, status, why := readPost(endpoint, r, s.now())
	if status == 0 {
		s.Lock()
		c := s.channels[endpoint]
		s.Unlock()
		status, why = http.StatusNotFound, "no such endpoint"
		if c != nil {
			status, why = s.admit(c, r)
		}
	}
	post.Status, post.Why = status, why
	post = s.record(post)
	if status != http.StatusCreated {
		http.Error(w, why, status)
		return
	}
	w.Header().Set("Location", s.origin+"/m/"+post.Version)
	w.Header().Set("TTL", strconv.Itoa(post.TTL))
	w.WriteHeader(status)
}

func (s *Autopush) endpoint(uaid, channel string) string {
	return s.origin + "/push/" + uaid + "/" + channel
}

// readPost takes a request apart. A status other than 0 says what is wrong with it.
func readPost(endpoint string, r *http.Request, now time.Time) (p Post, status int, why string) {
	p = Post{Endpoint: endpoint, Topic: r.Header.Get("Topic"), Urgency: r.Header.Get("Urgency"), At: now}
	var err error
	if p.Body, err = io.ReadAll(io.LimitReader(r.Body, maxBody+1)); err != nil {
		return p, http.StatusBadRequest, "body: " + err.Error()
	}
	if p.TTL, err = strconv.Atoi(r.Header.Get("TTL")); err != nil || p.TTL < 0 {
		return p, http.StatusBadRequest, fmt.Sprintf("TTL %q is not a number of seconds", r.Header.Get("TTL"))
	}
	encoding := r.Header.Get("Content-Encoding")
	switch {
	case len(p.Body) > maxBody:
		return p, http.StatusRequestEntityTooLarge, fmt.Sprintf("more than %d bytes", maxBody)
	case len(p.Body) > 0 && encoding != "aes128gcm":
		return p, http.StatusBadRequest, fmt.Sprintf("Content-Encoding %q instead of aes128gcm", encoding)
	case p.Topic != "" && !topicSyntax.MatchString(p.Topic):
		return p, http.StatusBadRequest, fmt.Sprintf("Topic %q is not 1 to 32 characters of base64url", p.Topic)
	case !slices.Contains([]string{"", "very-low", "low", "normal", "high"}, p.Urgency):
		return p, http.StatusBadRequest, fmt.Sprintf("Urgency %q is unknown", p.Urgency)
	}
	return p, 0, ""
}

// admit says whether this sender may send to this channel.
func (s *Autopush) admit(c *channel, r *http.Request) (status int, why string) {
	s.Lock()
	gone, key := c.gone, c.key
	s.Unlock()
	return admit(gone, key, s.origin, r, s.now())
}

// admit says whether a request comes from whom the subscription was made for.
func admit(gone bool, key, origin string, r *http.Request, now time.Time) (status int, why string) {
	if gone {
		return http.StatusGone, "the subscription has ended"
	}
	err := verifyVAPID(r.Header.Get("Authorization"), origin, key, now)
	switch {
	case errors.Is(err, errNoToken):
		return http.StatusUnauthorized, err.Error()
	case err != nil:
		return http.StatusForbidden, err.Error()
	}
	return http.StatusCreated, ""
}

// record keeps the request and, when it is taken, its message: it replaces one
// of the same Topic that still waits, and TTL 0 is for connected browsers only.
func (s *Autopush) record(p Post) Post {
	s.journal.add(fmt.Sprintf("POST %s ttl=%d topic=%q urgency=%q %d bytes: %d %s",
		p.Endpoint, p.TTL, p.Topic, p.Urgency, len(p.Body), p.Status, p.Why))
	s.Lock()
	var owner *device
	if p.Status == http.StatusCreated {
		s.sequence++
		p.Version = fmt.Sprintf("v%06d", s.sequence)
		c := s.channels[p.Endpoint]
		owner = c.owner
		owner.enqueue(&stored{Post: p, channel: c.id})
	}
	s.posts = append(s.posts, p)
	s.change()
	if owner != nil {
		s.flush(owner)
	}
	return p
}

func (d *device) enqueue(m *stored) {
	if m.TTL == 0 && d.conn == nil {
		return
	}
	if m.Topic != "" {
		d.queue = slices.DeleteFunc(d.queue, func(old *stored) bool {
			return old.Topic == m.Topic && old.channel == m.channel
		})
	}
	d.queue = append(d.queue, m)
}
