package simulate

import (
	"fmt"
	"time"
)

// Arrival is one request to a known endpoint as it came in, before any pace or
// answer: what had been handed over by then, whatever became of it.
type Arrival struct {
	Phone *Phone
	At    time.Time // by when all of it was there
	Body  []byte    // sealed
}

// arrived tells OnArrival of a request.
func (s *PushService) arrived(p *Phone, body []byte) {
	if p != nil && s.opts.OnArrival != nil {
		s.opts.OnArrival(Arrival{Phone: p, At: time.Now(), Body: body})
	}
}

// Open reads a sealed message with the phone's keys and changes nothing on its
// screen.
func (p *Phone) Open(body []byte) (Notification, error) {
	payload, err := decrypt(p.private, p.auth, body)
	if err != nil {
		return Notification{}, err
	}
	n, ok := readNotification(payload)
	if !ok {
		return Notification{}, fmt.Errorf("simulate.Open(%s): not a notification of ours", p.id)
	}
	return n, nil
}
