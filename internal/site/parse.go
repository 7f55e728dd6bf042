package site

import (
	"encoding/json"
	"net/mail"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"dateline/internal/news"
	"dateline/internal/push"
	"dateline/internal/web"
)

// maxBody is the longest body the doors for readers take: 300 places and 500
// muted stories are far shorter.
const maxBody = 256 << 10

type fieldsOnly = map[string]json.RawMessage

func readObject(body []byte, faults *news.Problems) (fields, error) {
	var raw fieldsOnly
	if err := web.DecodeJSON(body, &raw); err != nil {
		return fields{}, err
	}
	if raw == nil {
		return fields{}, news.Invalid("", "must be a JSON object")
	}
	return fields{raw: raw, faults: faults}, nil
}

// Device reads the body of POST /api/v1/subscriptions, which is also one line
// of an import. Faults are one *news.InvalidError that names all of them.
func (p *Parser) Device(body []byte) (news.NewDevice, error) {
	var faults news.Problems
	f, err := readObject(body, &faults)
	if err != nil {
		return news.NewDevice{}, err
	}
	d := news.NewDevice{Wishes: defaultWishes()}
	if p.subscription(f, &d.Push) != value {
		f.required("subscription", "is required: what the browser's pushManager.subscribe() gave")
	}
	p.wishes(f, &d.Wishes)
	if len(d.Wishes.Preference.Regions) == 0 {
		f.required("regions", "must have at least one place")
	}
	return d, faults.Err()
}

// change applies a PATCH body to a device.
func (p *Parser) change(body []byte, d *news.Device) error {
	var faults news.Problems
	f, err := readObject(body, &faults)
	if err != nil {
		return err
	}
	sub := d.Push
	switch p.subscription(f, &sub) {
	case null:
		f.add("subscription", "can't be taken away; DELETE the subscription instead")
	case value:
		d.Push = sub
		if d.State == news.DeviceGone {
			d.State = news.DeviceActive
		}
	}
	w := d.Wishes
	p.wishes(f, &w)
	d.Wishes = w
	return faults.Err()
}

// subscription reads what a browser hands over and checks that we would send
// there.
func (p *Parser) subscription(f fields, dst *news.PushSubscription) given {
	sub, state := f.object("subscription")
	if state != value {
		return state
	}
	before := len(*f.faults)
	var endpoint, p256dh, auth string
	sub.text("endpoint", &endpoint)
	keys, keysState := sub.object("keys")
	if keysState == value {
		keys.text("p256dh", &p256dh)
		keys.text("auth", &auth)
	}
	if len(*f.faults) > before {
		return absent
	}
	parsed, err := push.ParseSubscription(endpoint, p256dh, auth)
	if err == nil {
		err = p.push.CheckSubscription(parsed)
	}
	if err != nil {
		f.faults.Take(f.path, err) // its paths begin with "subscription/"
		return absent
	}
	*dst = parsed
	return value
}

// Digest reads the body of POST /api/v1/digests, which is also one line of an
// import of readers. It fills the address, the wishes and the calendar.
func (p *Parser) Digest(body []byte) (news.DigestSignup, error) {
	var faults news.Problems
	f, err := readObject(body, &faults)
	if err != nil {
		return news.DigestSignup{}, err
	}
	s := news.DigestSignup{Wishes: defaultWishes(), Hour: defaultHour, Days: everyDay()}
	p.digest(f, &s)
	return s, faults.Err()
}

// defaultHour is when a digest goes out, in the reader's zone, unless she says
// otherwise.
const defaultHour = 7

func everyDay() []int { return []int{1, 2, 3, 4, 5, 6, 7} }

func (p *Parser) digest(f fields, s *news.DigestSignup) {
	var address string
	if f.text("email", &address) == value {
		s.Address = f.address(address)
	} else {
		f.required("email", "is required")
	}
	p.wishes(f, &s.Wishes)
	if len(s.Wishes.Preference.Regions) == 0 {
		f.required("regions", "must have at least one place")
	}
	f.calendar(&s.Hour, &s.Days, &s.Weekly)
}

// calendar reads when the digest comes.
func (f fields) calendar(hour *int, days *[]int, weekly *bool) {
	if f.number("hour", 0, 23, hour) == null {
		*hour = defaultHour
	}
	var list []int
	switch f.read("days", "an array of whole numbers", &list) {
	case null:
		*days = everyDay()
	case value:
		slices.Sort(list)
		list = slices.Compact(list)
		if len(list) == 0 || list[0] < 1 || list[len(list)-1] > 7 {
			f.add("days", "must be one or more of 1 (Monday) to 7 (Sunday)")
			break
		}
		*days = list
	}
	f.flag("weekly", weekly, false)
}

func (f fields) address(typed string) string {
	address, fault := parseAddress(typed)
	if fault != "" {
		f.add("email", "%s", fault)
	}
	return address
}

// parseAddress takes the addresses that any mail server takes: no quoted or
// non-ASCII local part (the first has smuggled SMTP commands, the second needs
// an extension many servers lack), no address literal. Lower case: providers
// do not tell case apart, and one reader must not count as two.
func parseAddress(typed string) (address, fault string) {
	const shape = "must be a mail address such as name@example.org"
	typed = strings.TrimSpace(typed)
	local, domain, ok := strings.Cut(typed, "@")
	if !ok || len(typed) > 254 || len(local) > 64 {
		return "", shape
	}
	for _, c := range []byte(local) {
		if !isAtext(c) {
			return "", shape
		}
	}
	domain, err := idna.Lookup.ToASCII(domain)
	if err != nil || !strings.Contains(domain, ".") || strings.HasSuffix(domain, ".") {
		return "", shape
	}
	address = strings.ToLower(local + "@" + domain)
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || parsed.Name != "" {
		return "", shape
	}
	return address, ""
}

// isAtext is RFC 5322's atext, and the dot.
func isAtext(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-/=?^_`{|}~.", c) >= 0
}
