package push

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// A member of a Declarative Web Push message: its type, and whether it must be
// there. By WebKit's explainer (Declarative-Web-Push, "Push message JSON") and
// the Push API's draft "declarative push message": a message that breaks one
// rule is not shown but handed to the worker, which Safari need not have.
type member struct {
	is       func(v any) bool
	required bool
}

func text(v any) bool      { s, ok := v.(string); return ok && s != "" }
func plainText(v any) bool { _, ok := v.(string); return ok }
func truth(v any) bool     { _, ok := v.(bool); return ok }
func oneOf(values ...string) func(any) bool {
	return func(v any) bool {
		for _, want := range values {
			if v == want {
				return true
			}
		}
		return false
	}
}

func absolute(v any) bool {
	s, _ := v.(string)
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != ""
}

func milliseconds(v any) bool { n, ok := v.(float64); return ok && n >= 0 && n == float64(uint64(n)) }

// declarative are the members of "notification" that the format knows.
var declarative = map[string]member{
	"title": {text, true}, "navigate": {absolute, true}, "body": {plainText, false}, "lang": {plainText, false},
	"dir": {oneOf("auto", "ltr", "rtl"), false}, "tag": {plainText, false}, "image": {absolute, false}, "icon": {absolute, false},
	"timestamp": {milliseconds, false}, "renotify": {truth, false}, "silent": {truth, false}, "requireInteraction": {truth, false},
	"mutable": {truth, false}, "data": {func(any) bool { return true }, false},
}

// checkDeclarative says what of a message is not valid.
func checkDeclarative(raw []byte) error {
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		return err
	}
	if m["web_push"] != 8030.0 {
		return fmt.Errorf("web_push is %v", m["web_push"])
	}
	if !truth(m["mutable"]) {
		return fmt.Errorf("mutable is %v", m["mutable"])
	}
	n, ok := m["notification"].(map[string]any)
	if !ok {
		return fmt.Errorf("notification is %v", m["notification"])
	}
	for name, rule := range declarative {
		v, there := n[name]
		if !there && rule.required || there && !rule.is(v) {
			return fmt.Errorf("%s is %v", name, v)
		}
	}
	for name := range n {
		if _, known := declarative[name]; !known {
			return fmt.Errorf("%s is none of the format's", name)
		}
	}
	if n["renotify"] == true && n["tag"] == "" || n["renotify"] == true && n["silent"] == true {
		return fmt.Errorf("renotify without a tag, or silent: showNotification() throws")
	}
	return nil
}

func TestPayloadIsDeclarative(t *testing.T) {
	good := Payload{WebPush: Declarative, Mutable: true, Notification: Notification{Title: "津波 <&>", Body: "", Navigate: "https://news.example/s",
		Lang: "ja", Dir: "ltr", Tag: "t", Icon: "https://alerts.example/icons/192.png", Timestamp: 1, Renotify: true, Mutable: true,
		Data: Data{Alert: "a", Revision: 1, Level: "flash", Regions: []string{"JP"}}}}
	if err := checkDeclarative(good.JSON()); err != nil {
		t.Error(err)
	}
	if raw := string(good.JSON()); !strings.Contains(raw, "<&>") || strings.Contains(raw, `"final"`) || strings.Contains(raw, `"test"`) || strings.Contains(raw, `"receipt"`) {
		t.Errorf("%s", raw)
	}
	for name, change := range map[string]func(n *Notification){
		"no title":             func(n *Notification) { n.Title = "" },
		"a path to go to":      func(n *Notification) { n.Navigate = "/alerts" },
		"an icon without host": func(n *Notification) { n.Icon = "/icons/192.png" },
		"a made-up direction":  func(n *Notification) { n.Dir = "up" },
		"sounds without a tag": func(n *Notification) { n.Tag = "" },
	} {
		bad := good
		change(&bad.Notification)
		if checkDeclarative(bad.JSON()) == nil {
			t.Errorf("%s is taken for a valid message", name)
		}
	}
}
