package email

import "testing"

func TestProviderOf(t *testing.T) {
	for address, want := range map[string]string{
		"a@gmail.com": "gmail", "a@GoogleMail.com": "gmail", "a@yahoo.com": "yahoo", "a@yahoo.co.in": "yahoo", "a@yahoo.com.sg": "yahoo",
		"a@yahoo.co.jp": "yahoojp", "a@hotmail.co.uk": "outlook", "a@live.com": "outlook", "a@outlook.jp": "outlook", "a@vip.qq.com": "qq",
		"a@foxmail.com": "qq", "a@126.com": "163", "a@naver.com": "naver", "a@news.example": Rest,
		// Names of others.
		"a@yahoo.example.com": Rest, "a@notgmail.com": Rest, "a@gmail.com.evil.example": Rest, "a@live.nasa.gov": Rest, "a@mail.live.com": Rest,
		"a@yahoo.": Rest, "": Rest,
	} {
		if got := ProviderOf(address).Name; got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// TestProvidersAreWhole: a line of the table that lacks a number would stop a lane.
func TestProvidersAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for i, p := range Providers() {
		if p.Name == "" || p.Label == "" || p.Connections < 1 || p.WarmUp < 1 || p.PerMinute < 0 || seen[p.Name] {
			t.Errorf("%+v", p)
		}
		if last := i == len(providers)-1; last != (p.Name == Rest) || last != (len(p.Domains) == 0) {
			t.Errorf("%s: the rest, and it alone, stands last and takes whoever is left", p.Name)
		}
		seen[p.Name] = true
		if got := ProviderNamed(p.Name); got.Label != p.Label {
			t.Errorf("%s named is %s", p.Name, got.Name)
		}
	}
	if ProviderNamed("nobody").Name != Rest {
		t.Error("an unknown name is the rest")
	}
}
