package desk

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"dateline/internal/news"
	"dateline/internal/region"
)

// A filter for a place that nobody knows shows that, and nothing as if it were
// filtered; a name, another case or a code of before is understood.
func TestTheWireKnowsNoSuchPlace(t *testing.T) {
	l := newLobby(t)
	l.stories.put(storyNo(1))
	for typed, want := range map[string]string{
		"Japn": `Did you mean <a href="/desk?region=JP">Japan</a>`, "JPP": "No place is called “<bdi>JPP</bdi>”",
		"<b>": "No place is called “<bdi>&lt;b&gt;</bdi>”, so nothing is shown.", "Aseen": `<a href="/desk?region=ASEAN">`,
	} {
		body := page(t, l, "/desk?region="+url.QueryEscape(typed))
		if !strings.Contains(body, want) || strings.Contains(body, storyNo(1).URI) || !strings.Contains(body, `aria-invalid="true"`) {
			t.Errorf("%s: a story is shown, or %q is not", typed, want)
		}
	}
	for typed, want := range map[string]string{"jp": "JP", "Japan": "JP", " japan ": "JP", "CN-HK": "HK", "asean": "ASEAN", "": ""} {
		if f := filterOf(url.Values{"region": {typed}}); f.Region != want || f.Unknown != "" {
			t.Errorf("%q is read as %q, unknown %q", typed, f.Region, f.Unknown)
		}
	}
	f := filterOf(url.Values{"region": {"Atlantis"}})
	if s := storyNo(1); f.fits(&s) || f.empty() || f.query() != "region=Atlantis" {
		t.Errorf("the live stream of an unknown place: %+v", f)
	}
}

// An audience may be typed as the page says it, and as one says it.
func TestAudiencesAsOneSaysThem(t *testing.T) {
	for typed, want := range map[string]string{
		"ASEAN and Taiwan, without Japan": "ASEAN + TW - JP", "Taiwan": "TW", "japan, South Korea and Hong Kong": "JP + KR + HK",
		"Southeast Asia except Singapore and Malaysia": "SOUTHEAST_ASIA - SG - MY", "ASEAN + TW - JP": "ASEAN + TW - JP",
		"without Japan": "", "ASEAN, without": "", "Taiwan and Atlantis": "", "and": "", "": "",
	} {
		if got, err := parseAudience(typed); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is read as %q, %v; want %q", typed, got, err, want)
		}
	}
	for _, expr := range []string{"ASEAN + TW - JP", "JP + KR", "SOUTHEAST_ASIA - SG", "IN + LK + MV"} {
		e, err := region.Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseAudience(region.Words(expr, "en")); got != e.String() || err != nil {
			t.Errorf("%q, said of %s, is read as %q, %v", region.Words(expr, "en"), expr, got, err)
		}
	}
}

func TestAMinusThatLeavesNothingOutIsNamed(t *testing.T) {
	for audience, want := range map[string]bool{"ASEAN + TW - JP": true, "ASEAN - SG": false, "ASEAN + TW": false, "": false, "ASEAN - SG - JP": false} {
		if got := leavesNothingOut(audience); got != want {
			t.Errorf("%q: %t", audience, got)
		}
	}
}

// Each unknown place of an audience is named, whatever else is wrong.
func TestUnknownPlacesAreNamedBesideOtherFaults(t *testing.T) {
	d := newDesktop(t)
	for name, w := range map[string]Writing{
		"another fault of the expression": {Audience: "ASEAN JP + QX"},
		"two unknown ones":                {Audience: "QX + JP + QZ"},
		"a level that is none":            {Level: "loud", Audience: "JP + QX"},
		"a text that is missing":          {Texts: map[string]news.Text{"en": {}}, Audience: "JP + QX"},
		"a section that is none":          {Sections: []string{"gossip"}, Audience: "JP - QX"},
	} {
		w.StoryURI = storyURI
		_, err := d.Draft(t.Context(), ann, w)
		if !errors.Is(err, news.ErrInvalid) || !strings.Contains(err.Error(), `unknown place "QX"`) {
			t.Errorf("%s: %v", name, err)
		}
		v := d.draft(t, ann, Writing{})
		if _, err := d.Edit(t.Context(), ann, v.Alert.ID, w); !strings.Contains(err.Error(), `unknown place "QX"`) {
			t.Errorf("%s, edited: %v", name, err)
		}
	}
	l := newLobby(t)
	to, form := raised(t, l)
	form.Set("audience", "ASEAN JP + QX")
	form.Set("deadline", "soon")
	form.Set("title.en", "")
	status, body := l.say(t, ann, to+"/edit", form)
	for _, want := range []string{"unknown place &#34;QX&#34;", "comma between ASEAN and", "Deadline can&#39;t be read", "The title in English is required"} {
		if status != http.StatusBadRequest || !strings.Contains(body, want) {
			t.Errorf("the form: %d, lacks %q", status, want)
		}
	}
}

// A key's form offers what the person can have, and says in words what is wrong.
func TestKeysAreOfferedByRole(t *testing.T) {
	o := newOffice(t, nil)
	cleo := o.as("Cleo")
	body := o.ask(http.MethodGet, "/desk/newsroom", cleo, nil).text
	for _, want := range []string{`data-roles="editor chief"><input type="checkbox" name="scope" value="digests:run"`, `<option value="Rika" data-role="reporter">Rika, reporter`,
		`data-roles="reporter editor chief"><input type="checkbox" name="scope" value="alerts:read"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the form lacks %s", want)
		}
	}
	got := o.ask(http.MethodPost, "/desk/newsroom/keys", cleo, url.Values{"editor": {"Rika"}, "scope": {"digests:run"}})
	if want := "A key of a reporter can&#39;t have digests:run."; got.status != http.StatusBadRequest || problemOn(got.text) != want {
		t.Errorf("refused with %d: %s", got.status, problemOn(got.text))
	}
	got = o.ask(http.MethodPost, "/desk/newsroom/keys", cleo, url.Values{"editor": {"Rika"}})
	if !strings.HasPrefix(problemOn(got.text), "A key needs at least one scope") {
		t.Errorf("without scopes: %s", problemOn(got.text))
	}
}

// An open page hears of a new cap, as it does of a new policy.
func TestAnOpenPageHearsOfCaps(t *testing.T) {
	l := newLobby(t)
	v := l.desk.draft(t, ann, Writing{})
	now := func() string {
		t.Helper()
		seen, err := l.pages.renderStatus(t.Context(), v.Alert.ID)
		if err != nil {
			t.Fatal(err)
		}
		return seen.html
	}
	if !strings.Contains(now(), `data-room="none"`) {
		t.Error("no cap is not told")
	}
	l.desk.mem.caps = news.Caps{v.Alert.Level: {Hour: 1, Day: 2}}
	if !strings.Contains(now(), `data-room="1/2"`) {
		t.Error("a new cap is not told")
	}
	other := l.desk.draft(t, ann, Writing{})
	must(t)(l.desk.Release(t.Context(), ann, other.Alert.ID, other.Alert.Hash()))
	if body := l.read(t, ann, "/desk/alerts/"+v.Alert.ID); !strings.Contains(body, `data-room="1/2 full"`) {
		t.Error("a cap that is full is not told")
	}
}
