package audience

// Place is where AppendTarget put the parts of a subscription: offsets into the
// buffer, so that it holds when the buffer grows or moves.
type Place struct {
	start, endpoint, p256dh, auth int // where the first begins, where each ends
}

// Of cuts the parts out of the buffer, without copying them.
func (t Place) Of(b []byte) (endpoint, p256dh, auth []byte) {
	return b[t.start:t.endpoint:t.endpoint], b[t.endpoint:t.p256dh:t.p256dh], b[t.p256dh:t.auth:t.auth]
}

// Endpoint cuts the endpoint out of the buffer as a string.
func (t Place) Endpoint(s string) string { return s[t.start:t.endpoint] }

// AppendTarget is what a send needs of a device, whatever its state, without an
// allocation where b has room: its subscription is appended to b, which is
// returned, and the language its reader asked for is the string that all who
// asked for it share. When there is no such device, b is as it was.
func (c *Cell) AppendTarget(b []byte, number uint32) (_ []byte, t Place, language string, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	p, i, ok := c.at(number)
	if !ok {
		return b, Place{}, "", false
	}
	fronts, language := c.interned.spoken(c.language(p, i, number))
	b, t = c.record(p, i).appendPush(b, fronts)
	return b, t, language, true
}
