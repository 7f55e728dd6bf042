package store

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"dateline/internal/news"
)

// This file packs many devices, as CellDevices streams them, into one run of
// bytes: a version, the words that many share (numbered from 0), then the devices,
// each a run of numbers and of texts with their lengths before them.

// packVersion changes with the form. Who finds another reads the rows instead.
const packVersion = 1

// Flags of a packed device.
const (
	packOnlyLanguage = 1 << iota
	packQuiet
	packQuietFlash
	packPaused
	packWiped
)

// packer packs devices of one cell. Their times, their cell and their preferences
// are left out: those are known by their ids.
type packer struct {
	devices int
	body    []byte
	words   map[string]uint64
	list    []string
	size    int // about, in bytes
}

// append gives what was packed, the shared words in front of the devices.
func (p *packer) append(b []byte) []byte {
	b = append(b, packVersion)
	b = binary.AppendUvarint(b, uint64(len(p.list)))
	for _, w := range p.list {
		b = appendText(b, w)
	}
	b = binary.AppendUvarint(b, uint64(p.devices))
	return append(b, p.body...)
}

func appendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (p *packer) device(d *news.Device) {
	before := len(p.body)
	defer func() { p.size += len(p.body) - before }()
	p.devices++
	w, flags := &d.Wishes, uint64(0)
	set := func(on bool, flag uint64) {
		if on {
			flags |= flag
		}
	}
	set(w.OnlyLanguage, packOnlyLanguage)
	set(w.Quiet != nil, packQuiet)
	set(w.Quiet != nil && w.Quiet.Flash, packQuietFlash)
	set(!w.PausedUntil.IsZero(), packPaused)
	set(d.SubscriberID == "", packWiped)
	p.number(uint64(d.Number), uint64(d.Change), flags)
	p.word(string(d.State), d.PreferenceID, w.Language, w.Timezone)
	p.body = binary.AppendVarint(p.body, int64(w.Cap))
	if w.Quiet != nil {
		p.number(uint64(w.Quiet.From), uint64(w.Quiet.To))
	}
	if !w.PausedUntil.IsZero() {
		p.body = binary.AppendVarint(p.body, w.PausedUntil.UnixMicro())
	}
	for _, list := range [][]string{w.MutedStories, w.OverStories} {
		p.number(uint64(len(list)))
		p.word(list...)
	}
	p.body = appendText(p.body, d.ID)
	if d.SubscriberID != "" {
		p.body = appendText(p.body, d.SubscriberID)
		p.body = appendText(p.body, d.Push.Endpoint)
		p.body = appendText(p.body, d.Push.P256dh)
		p.body = appendText(p.body, d.Push.Auth)
	}
}

func (p *packer) number(list ...uint64) {
	for _, n := range list {
		p.body = binary.AppendUvarint(p.body, n)
	}
}

func (p *packer) word(list ...string) {
	for _, w := range list {
		id, ok := p.words[w]
		if !ok {
			if p.words == nil {
				p.words = map[string]uint64{}
			}
			id = uint64(len(p.list))
			p.words[w], p.list = id, append(p.list, w)
			p.size += len(w)
		}
		p.body = binary.AppendUvarint(p.body, id)
	}
}

var errPacked = errors.New("these are no packed devices")

// unpacker reads what a packer wrote. Texts are parts of one string, keys of one
// run of bytes. After a fault all it gives is zero.
type unpacker struct {
	raw   []byte
	text  string
	at    int
	words []string
	err   error
}

// readDevices undoes a packer's work. The devices share the memory of raw, but for
// the words, which may be kept: one would keep all of it. Their preferences are to
// be filled in.
func readDevices(cell int, raw []byte) ([]news.Device, error) {
	if len(raw) == 0 || raw[0] != packVersion {
		return nil, errPacked
	}
	u := unpacker{raw: raw, text: string(raw), at: 1}
	u.words = make([]string, u.count(1))
	for i := range u.words {
		u.words[i] = strings.Clone(u.string())
	}
	devices := make([]news.Device, u.count(10))
	for i := range devices {
		devices[i].Cell = cell
		u.device(&devices[i])
	}
	if u.err == nil && u.at != len(raw) {
		u.err = errPacked
	}
	return devices, u.err
}

func (u *unpacker) device(d *news.Device) {
	w := &d.Wishes
	d.Number, d.Change = uint32(u.number()), int64(u.number())
	flags := u.number()
	d.State, d.PreferenceID, w.Language, w.Timezone = news.DeviceState(u.word()), u.word(), u.word(), u.word()
	w.OnlyLanguage, w.Cap = flags&packOnlyLanguage != 0, int(u.signed())
	if flags&packQuiet != 0 {
		w.Quiet = &news.Quiet{From: int(u.number()), To: int(u.number()), Flash: flags&packQuietFlash != 0}
	}
	if flags&packPaused != 0 {
		w.PausedUntil = time.UnixMicro(u.signed()).UTC()
	}
	w.MutedStories, w.OverStories = u.wordList(), u.wordList()
	d.ID = u.string()
	if flags&packWiped == 0 {
		if d.SubscriberID = u.string(); d.SubscriberID == "" {
			u.err = errPacked
		}
		d.Push = news.PushSubscription{Endpoint: u.string(), P256dh: u.bytes(), Auth: u.bytes()}
	}
}

func (u *unpacker) number() uint64 {
	n, size := binary.Uvarint(u.raw[u.at:])
	return advance(u, n, size)
}

func (u *unpacker) signed() int64 {
	n, size := binary.Varint(u.raw[u.at:])
	return advance(u, n, size)
}

// advance goes behind a number of so many bytes.
func advance[T int64 | uint64](u *unpacker, n T, size int) T {
	if size <= 0 || u.err != nil {
		u.err = errPacked
		return 0
	}
	u.at += size
	return n
}

// count is how many follow, of at least so many bytes each: not more than fit.
func (u *unpacker) count(least int) int {
	n := u.number()
	if n > uint64((len(u.raw)-u.at)/least) {
		u.err = errPacked
		return 0
	}
	return int(n)
}

// span takes the place of a text.
func (u *unpacker) span() (from, to int) {
	n := u.count(1)
	from = u.at
	u.at += n
	return from, u.at
}

func (u *unpacker) string() string {
	from, to := u.span()
	return u.text[from:to]
}

func (u *unpacker) bytes() []byte {
	from, to := u.span()
	return u.raw[from:to:to]
}

func (u *unpacker) word() string {
	id := u.number()
	if id >= uint64(len(u.words)) {
		u.err = errPacked
		return ""
	}
	return u.words[id]
}

func (u *unpacker) wordList() []string {
	n := u.count(1)
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = u.word()
	}
	return list
}
