package push

import (
	"encoding/json"
	"strings"
)

// MaxPlaintext is how many bytes of JSON a message may have (DESIGN 9).
const MaxPlaintext = 1_500

// Declarative marks a message that a browser may show by itself (WebKit,
// Declarative Web Push: RFC 8030's number).
const Declarative = 8030

// Payload is the plaintext of every message to readers (DESIGN 9). It is also a
// Declarative Web Push message: Safari from 18.4 on shows it without a worker,
// and hands it to ours first because it is mutable.
//
// Two members of that format are left out. "actions": each needs a title and an
// address in every message, some 110 bytes each in English and 190 in Hindi, of
// 1,500; Safari shows none; and a press on one can only open a page, while
// "mute this story" is no page. The worker has their titles in its own table, by
// the message's lang. "app_badge": a number on the icon says "unread", and
// nothing here knows what was read.
type Payload struct {
	WebPush      int          `json:"web_push"`
	Mutable      bool         `json:"mutable"`
	Notification Notification `json:"notification"`
}

// Notification is what is shown: the options of the Notifications API, and
// where a press leads.
type Notification struct {
	Title              string `json:"title"`
	Body               string `json:"body"`
	Navigate           string `json:"navigate"`
	Lang               string `json:"lang"`
	Dir                string `json:"dir"`
	Tag                string `json:"tag"`
	Icon               string `json:"icon"`
	Image              string `json:"image,omitempty"`
	Timestamp          int64  `json:"timestamp"` // ms since 1970 (Notifications API)
	Silent             bool   `json:"silent"`
	Renotify           bool   `json:"renotify"`
	RequireInteraction bool   `json:"requireInteraction"`
	Mutable            bool   `json:"mutable"`
	Data               Data   `json:"data"`
}

// Data is for the worker. Alert is "" in a test notification.
type Data struct {
	Alert    string   `json:"alert"`
	Revision int      `json:"revision"`
	Level    string   `json:"level"`
	Regions  []string `json:"regions"`
	Final    bool     `json:"final,omitempty"` // the last of its story, or taken back: nothing to mute any more
	Test     string   `json:"test,omitempty"`  // of a test notification: what its page waits for
	Receipt  string   `json:"receipt,omitempty"`
}

// JSON never escapes <, > and &: the text is plain and each escape costs five
// bytes of 1,500.
func (p Payload) JSON() []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil { // strings and numbers only: cannot fail
		return nil
	}
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}
