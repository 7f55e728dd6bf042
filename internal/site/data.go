package site

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/web"
)

// errNeedsFresh: a mailbox's link in an old mail, which may have been forwarded,
// does not give away what is kept, erase it or send it elsewhere.
var errNeedsFresh = fmt.Errorf("%w: this needs a link that was mailed within the hour; ask for one on this page", news.ErrForbidden)

// exported is what is kept of one reader, as JSON.
type exported struct {
	ExportedAt time.Time        `json:"exportedAt"`
	Mailbox    *exportedBox     `json:"mailbox,omitempty"`
	Devices    []exportedDevice `json:"devices"`
}

type exportedBox struct {
	Address   string           `json:"address"`
	State     string           `json:"state"`
	CreatedAt time.Time        `json:"createdAt"`
	Hour      int              `json:"hour"`
	Days      []int            `json:"days"`
	Weekly    bool             `json:"weekly"`
	Wishes    wishesView       `json:"wishes"`
	Consent   exportedConsent  `json:"consent"`
	Requests  []exportedSignup `json:"requests"` // for a mail with a link
	Digests   []exportedDigest `json:"digests"`
}

// exportedConsent: client is a keyed hash of the address she came from.
type exportedConsent struct {
	Text        string     `json:"text"`
	Source      string     `json:"source"`
	RequestedAt *time.Time `json:"requestedAt"`
	ConfirmedAt *time.Time `json:"confirmedAt"`
	Client      string     `json:"client"`
}

type exportedSignup struct {
	Kind      string     `json:"kind"`
	CreatedAt time.Time  `json:"createdAt"`
	ExpiresAt time.Time  `json:"expiresAt"`
	UsedAt    *time.Time `json:"usedAt"`
	Device    string     `json:"device,omitempty"`
}

type exportedDigest struct {
	Date    string    `json:"date"`
	State   string    `json:"state"`
	At      time.Time `json:"at"`
	Stories []string  `json:"stories"`
}

type exportedDevice struct {
	ID           string             `json:"id"`
	Cell         int                `json:"cell"`
	Number       uint32             `json:"number"`
	State        string             `json:"state"`
	CreatedAt    time.Time          `json:"createdAt"`
	UpdatedAt    time.Time          `json:"updatedAt"`
	Subscription exportedPush       `json:"subscription"`
	Wishes       wishesView         `json:"wishes"`
	Sent         []exportedSent     `json:"sent"`
	Receipts     []exportedReceipts `json:"receipts"`
}

type exportedPush struct {
	Endpoint string `json:"endpoint"`
	P256dh   []byte `json:"p256dh"`
	Auth     []byte `json:"auth"`
}

type exportedSent struct {
	Alert    string    `json:"alert"`
	Story    string    `json:"story"`
	Revision int       `json:"revision"`
	Kind     string    `json:"kind"`
	Level    string    `json:"level"`
	Title    string    `json:"title"`
	At       time.Time `json:"at"`
}

type exportedReceipts struct {
	Alert    string    `json:"alert"`
	Revision int       `json:"revision"`
	Kind     string    `json:"kind"`
	At       time.Time `json:"at"`
}

func exportDevice(r news.DeviceRecord) exportedDevice {
	d := r.Device
	out := exportedDevice{ID: d.ID, Cell: d.Cell, Number: d.Number, State: string(d.State), CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt,
		Subscription: exportedPush(d.Push), Wishes: viewWishes(d.Wishes), Sent: []exportedSent{}, Receipts: []exportedReceipts{}}
	for _, r := range r.Sent {
		lang := news.PickLanguage(d.Wishes.Language, languagesOf(r), r.Language)
		out.Sent = append(out.Sent, exportedSent{r.AlertID, r.StoryURI, r.Revision, string(r.Kind), r.Level.String(), r.Texts[lang].Title, r.ReleasedAt})
	}
	for _, r := range r.Receipts {
		out.Receipts = append(out.Receipts, exportedReceipts{r.AlertID, r.Revision, r.Kind, r.At})
	}
	return out
}

func languagesOf(r news.Release) []string {
	have := make([]string, 0, len(r.Texts))
	for l := range r.Texts {
		have = append(have, l)
	}
	return have
}

func exportBox(r news.MailboxRecord) *exportedBox {
	m := r.Mailbox
	c := m.Consent
	out := &exportedBox{Address: m.Address, State: string(m.State), CreatedAt: m.CreatedAt, Hour: m.Hour, Days: m.Days, Weekly: m.Weekly,
		Wishes: viewWishes(m.Wishes), Consent: exportedConsent{c.TextVersion, c.Source, instant(c.RequestedAt), instant(c.ConfirmedAt), c.ClientHash},
		Requests: []exportedSignup{}, Digests: []exportedDigest{}}
	for _, s := range r.Signups {
		one := exportedSignup{Kind: string(s.Kind), CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt, UsedAt: instant(s.UsedAt)}
		if !s.UsedAt.IsZero() { // who asked and never confirmed may have been somebody else
			one.Device = s.DeviceLabel
		}
		out.Requests = append(out.Requests, one)
	}
	for _, d := range r.Mails {
		out.Digests = append(out.Digests, exportedDigest{d.LocalDate, string(d.State), d.EditionAt, list(d.Stories)})
	}
	return out
}

// instant is nil for the zero time.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// exportPage is everything that is kept of who holds the link, as a file.
func (s *Site) exportPage(w http.ResponseWriter, r *http.Request) error {
	m, err := s.opened(r)
	if err != nil {
		return fmt.Errorf("site.exportPage: %w", err)
	}
	if !m.fresh {
		return errNeedsFresh
	}
	if !m.isBox {
		return s.writeDevice(w, r, m.device.ID)
	}
	record, err := s.Store.MailboxRecord(r.Context(), m.mailbox.ID)
	if err != nil {
		return fmt.Errorf("site.exportPage: %w", err)
	}
	out := exported{ExportedAt: s.Now(), Mailbox: exportBox(record), Devices: []exportedDevice{}}
	for _, d := range record.Devices {
		out.Devices = append(out.Devices, exportDevice(d))
	}
	return writeExport(w, out)
}

func (s *Site) writeDevice(w http.ResponseWriter, r *http.Request, id string) error {
	record, err := s.Store.DeviceRecord(r.Context(), id)
	if err != nil {
		return fmt.Errorf("site.writeDevice: %w", err)
	}
	return writeExport(w, exported{ExportedAt: s.Now(), Devices: []exportedDevice{exportDevice(record)}})
}

func writeExport(w http.ResponseWriter, out exported) error {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Disposition", `attachment; filename="dateline.json"`)
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Site) exportSubscription(w http.ResponseWriter, r *http.Request) error {
	id, err := s.own(r)
	if err != nil {
		return err
	}
	return s.writeDevice(w, r, id)
}

func (s *Site) wipeSubscription(w http.ResponseWriter, r *http.Request) error {
	id, err := s.own(r)
	if err != nil {
		return err
	}
	if err := s.Store.WipeDevice(r.Context(), id); err != nil {
		return fmt.Errorf("site.wipeSubscription: %w", err)
	}
	s.wake(topicDevices, topicControl)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// manageWipe erases for good, once the box is ticked.
func (s *Site) manageWipe(w http.ResponseWriter, r *http.Request, m managed, values url.Values) error {
	if !m.fresh {
		return errNeedsFresh
	}
	if !values.Has("sure") {
		v, err := s.manageView(r, s.viewIn(w, r, m.wishes().Language), m, nil)
		if err != nil {
			return err
		}
		v.Fault = "manage.wipe.fault"
		return s.Floor.Render(w, http.StatusBadRequest, "site/manage", v)
	}
	wipe, id := s.Store.WipeDevice, m.device.ID
	if m.isBox {
		wipe, id = s.Store.WipeMailbox, m.mailbox.ID
	}
	if err := wipe(r.Context(), id); err != nil {
		return fmt.Errorf("site.manageWipe: %w", err)
	}
	s.wake(topicDevices, topicControl)
	v := s.viewIn(w, r, m.wishes().Language)
	v.Here = "" // its link opens nothing any more
	return s.Floor.Render(w, http.StatusOK, "site/manage", manageView{view: v, Wiped: true, Mailbox: m.isBox})
}

// mailLink has a fresh link mailed to the mailbox itself.
func (s *Site) mailLink(r *http.Request, m managed) error {
	if !m.isBox {
		return news.Invalid("action", "is for a mailbox")
	}
	now := s.Now()
	return s.Store.QueueMailboxLink(r.Context(), news.DigestSignup{ID: s.NewID(), Kind: news.SignupLink, MailboxID: m.mailbox.ID,
		CreatedAt: now, ExpiresAt: now.Add(link.FreshFor)})
}

// move asks the new address whether the digest shall go there; until it has
// agreed nothing changes. The sign-up's limits hold. It returns what the page
// then tells.
func (s *Site) move(r *http.Request, m managed, values url.Values) (told string, err error) {
	if !m.isBox || !m.fresh {
		return "", errNeedsFresh
	}
	var faults news.Problems
	f := fields{faults: &faults}
	address := f.address(values.Get("email"))
	if err := faults.Err(); err != nil {
		return "", err
	}
	start := s.Now()
	box := m.mailbox
	if address == box.Address {
		return "same", nil
	}
	return "moved", s.signUp(r, start, news.DigestSignup{Kind: news.SignupMove, MailboxID: box.ID, Address: address, Wishes: box.Wishes, Hour: box.Hour,
		Days: box.Days, Weekly: box.Weekly}, "move")
}
