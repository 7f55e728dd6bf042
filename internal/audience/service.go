package audience

import "strings"

// Service is whose push service a device's endpoint is at. A browser chooses
// it, so it stands for browsers; the device itself is not told.
type Service uint8

// The push services; the zero Service is any other, such as one that an
// operator named.
const (
	ServiceOther     Service = iota
	ServiceGoogle            // FCM: Chrome and what is built on Chromium, but for Edge on Windows
	ServiceMozilla           // autopush: Firefox
	ServiceApple             // Safari on the Mac, apps put on the home screen of iPhone and iPad
	ServiceMicrosoft         // WNS: Edge on Windows
	services         = iota
)

// ServiceOf goes by the endpoint's host.
func ServiceOf(endpoint string) Service {
	_, rest, _ := strings.Cut(endpoint, "://")
	host := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		host = rest[:end]
	}
	host, _, _ = strings.Cut(host, ":")
	switch {
	case host == "fcm.googleapis.com", host == "jmt17.google.com", host == "android.googleapis.com":
		return ServiceGoogle
	case strings.HasSuffix(host, ".services.mozilla.com"):
		return ServiceMozilla
	case strings.HasSuffix(host, ".push.apple.com"):
		return ServiceApple
	case strings.HasSuffix(host, ".notify.windows.com"):
		return ServiceMicrosoft
	}
	return ServiceOther
}
