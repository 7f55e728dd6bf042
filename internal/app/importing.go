package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"dateline/internal/news"
	"dateline/internal/site"
	"dateline/internal/store"
)

// importLine bounds a line of an import: a subscription has at most a few KB.
const importLine = 256 << 10

// importAtOnce is how many lines are parsed before they are stored; the store
// commits at most 500 at a time and yields between.
const importAtOnce = 2_000

// Import is one import of devices or readers.
type Import struct {
	Config   *Config
	File     string // JSON lines; "-" is stdin
	Stdin    io.Reader
	Out      io.Writer
	Progress *Progress
}

// ImportResult counts what an import did.
type ImportResult struct{ Lines, Stored, Rejected int }

// Devices imports push subscriptions: each line is one body of POST
// /api/v1/subscriptions. Rejected lines are named with their reason; the others
// are stored. It may run beside a serving process.
func (im Import) Devices(ctx context.Context) (ImportResult, error) {
	fresh := im.Config.makesVAPIDKey()
	keys, err := im.keys()
	if err != nil {
		return ImportResult{}, err
	}
	if fresh {
		fmt.Fprintf(im.Out, "a new VAPID key was made in %s: devices that subscribed with another one can't be reached with it\n", im.Config.Data)
	}
	sender, err := newSender(im.Config, keys, discard())
	if err != nil {
		return ImportResult{}, err
	}
	defer sender.Close()
	parser := site.NewParser(sender)
	return run(ctx, im, keys, func(line []byte) (news.NewDevice, error) { return parser.Device(line) },
		func(s *store.Store, list []news.NewDevice) ([]error, error) { return s.ImportSubscriptions(ctx, list) }, im.snapshots)
}

// keys are the folder's, or new ones, once it is known that there is something to
// import.
func (im Import) keys() (Keys, error) {
	in, _, err := im.open()
	if err != nil {
		return Keys{}, err
	}
	if im.File != "-" {
		_ = in.Close() // nothing was read
	}
	return LoadKeys(im.Config)
}

// snapshots prepares the next start, which would read the devices one by one. All
// lines are stored by then: what goes wrong is said, and no fault of the import.
func (im Import) snapshots(ctx context.Context, s *store.Store) {
	cells := make([]int, news.Cells)
	for i := range cells {
		cells[i] = i
	}
	im.Progress.Next("preparing the next start")
	stale, err := s.StaleSnapshots(ctx, cells)
	for i := 0; i < len(stale) && err == nil; i++ {
		err = s.SnapshotCell(ctx, stale[i], func(took time.Duration) error {
			select { // a serving process polls for SQLite's only writer
			case <-time.After(min(took/3, 25*time.Millisecond)):
			case <-ctx.Done():
			}
			return ctx.Err()
		})
		im.Progress.Set(int64(i+1), int64(len(stale)))
	}
	if err != nil {
		im.Progress.Line("all lines are stored; the next start reads some devices one by one: " + Plain(err.Error()))
	}
}

// Readers imports digest sign-ups that are confirmed already: each line is one
// body of POST /api/v1/digests with the fields of the consent record beside it
// (confirmedAt, and requestedAt, source, textVersion when known).
func (im Import) Readers(ctx context.Context) (ImportResult, error) {
	keys, err := im.keys()
	if err != nil {
		return ImportResult{}, err
	}
	parser := site.NewParser(nil)
	return run(ctx, im, keys, func(line []byte) (news.Mailbox, error) { return readerLine(parser, line) },
		func(s *store.Store, list []news.Mailbox) ([]error, error) { return s.ImportMailboxes(ctx, list) }, nil)
}

// consentFields are the consent record of an imported reader.
type consentFields struct {
	ConfirmedAt time.Time `json:"confirmedAt"`
	RequestedAt time.Time `json:"requestedAt"`
	Source      string    `json:"source"`
	TextVersion string    `json:"textVersion"`
}

func readerLine(parser *site.Parser, line []byte) (news.Mailbox, error) {
	signup, err := parser.Digest(line)
	if err != nil {
		return news.Mailbox{}, err
	}
	var fields struct {
		consentFields
		Consent *consentFields `json:"consent"`
	}
	if err := json.Unmarshal(line, &fields); err != nil {
		return news.Mailbox{}, news.Invalid("consent", "can't be read: %v", err)
	}
	consent := fields.consentFields
	if fields.Consent != nil {
		consent = *fields.Consent
	}
	if consent.ConfirmedAt.IsZero() {
		return news.Mailbox{}, news.Invalid("confirmedAt", "is required: only readers who have confirmed may be imported")
	}
	if consent.RequestedAt.IsZero() {
		consent.RequestedAt = consent.ConfirmedAt
	}
	return news.Mailbox{Address: signup.Address, State: news.MailboxActive, Wishes: signup.Wishes, Hour: signup.Hour,
		Days: signup.Days, Weekly: signup.Weekly, Consent: news.Consent{TextVersion: consent.TextVersion,
			Source: "import " + consent.Source, RequestedAt: consent.RequestedAt, ConfirmedAt: consent.ConfirmedAt}}, nil
}

// run reads the lines, parses them and stores what is good in batches; last, if
// there is one, comes when all are stored.
func run[T any](ctx context.Context, im Import, keys Keys, parse func([]byte) (T, error),
	save func(*store.Store, []T) ([]error, error), last func(context.Context, *store.Store)) (ImportResult, error) {
	var result ImportResult
	in, size, err := im.open()
	if err != nil {
		return result, err
	}
	defer in.Close()
	s, err := openStore(ctx, im.Config, keys, discard())
	if err != nil {
		return result, err
	}
	defer s.Close() //nolint:errcheck // what was written is committed
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), importLine)
	var batch []T
	var numbers []int
	number, read := 0, int64(0) // of the line in the file, blank ones included; bytes
	flush := func() error {
		faults, err := save(s, batch)
		if err != nil {
			return fmt.Errorf("after line %d: %w; lines up to there may be imported again", number, err)
		}
		for i, fault := range faults {
			im.note(&result, numbers[i], fault)
		}
		batch, numbers = batch[:0], numbers[:0]
		im.Progress.Set(read, size)
		return nil
	}
	for lines.Scan() && ctx.Err() == nil {
		number++
		line := lines.Bytes()
		read += int64(len(line)) + 1
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff")) // a byte order mark, as Windows writes it
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		result.Lines++
		one, err := parse(line)
		if err != nil {
			im.note(&result, number, err)
			continue
		}
		batch, numbers = append(batch, one), append(numbers, number)
		if len(batch) == importAtOnce {
			if err := flush(); err != nil {
				return result, err
			}
		}
	}
	if err := flush(); err != nil {
		return result, err
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return result, fmt.Errorf("line %d is longer than %d bytes; the lines before it are imported", number+1, importLine)
	}
	err = errors.Join(lines.Err(), ctx.Err())
	if err == nil && last != nil && result.Stored > 0 {
		last(ctx, s)
	}
	return result, err
}

// note counts a line, and says what was wrong with it.
func (im Import) note(result *ImportResult, line int, fault error) {
	if fault == nil {
		result.Stored++
		return
	}
	result.Rejected++
	im.Progress.Done() // its line must not be in the way of this one
	fmt.Fprintf(im.Out, "line %d rejected: %s\n", line, Plain(fault.Error()))
}

func (im Import) open() (io.ReadCloser, int64, error) {
	if im.File == "-" {
		return io.NopCloser(im.Stdin), 0, nil
	}
	f, err := os.Open(filepath.Clean(im.File))
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}
