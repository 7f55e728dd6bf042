package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"dateline/internal/news"
	"dateline/internal/web"
)

// drillBook is where it is kept that drills were held, and their reports: all
// that a drill leaves in the real database.
type drillBook interface {
	BeginDrill(ctx context.Context, d news.DrillRecord, detail string) error
	EndDrill(ctx context.Context, id, by, detail string, report []byte) error
	Drill(ctx context.Context, id string) (news.DrillRecord, error)
	Drills(ctx context.Context, limit int) ([]news.DrillRecord, error)
}

// drillRoom is where drills are started and ended: one at a time in this
// process. It stands between the real desk and the drill, and hands over
// values only: options, copies of stories, names.
type drillRoom struct {
	book   drillBook
	place  string // names this process
	folder string // the data folder
	log    *slog.Logger

	mu      sync.Mutex
	base    context.Context //nolint:containedctx // of the loop that drills run in; nil: not running
	current *drill
	busy    string // "starting", "ending"; "" otherwise
	others  []news.DrillRecord
}

func newDrillRoom(a *App) *drillRoom {
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	return &drillRoom{book: a.store, place: host + " " + a.public.Addr().String(), folder: a.cfg.Data, log: a.log.With("component", "drill")}
}

// drillNotice is what the live pages say of a drill. The pages are made before
// the room is.
func (a *App) drillNotice() web.Drill {
	if a.drills == nil {
		return web.Drill{}
	}
	return a.drills.notice()
}

// sweep removes what crashes have left: folders of drills that no process runs
// (the data folder is ours alone), and lines of drills of this very place that
// have no end.
func (r *drillRoom) sweep(ctx context.Context) {
	left, _ := filepath.Glob(filepath.Join(r.folder, drillFolders)) // the pattern is good
	for _, folder := range left {
		if info, err := os.Lstat(folder); err == nil && info.IsDir() {
			if err := os.RemoveAll(folder); err != nil {
				r.log.Warn("the folder of a drill that was cut off can't be removed", "folder", folder, "error", err)
			}
		}
	}
	list, err := r.book.Drills(ctx, drillsShown)
	if err != nil {
		r.log.Warn("drills can't be listed", "error", err)
	}
	for _, d := range list {
		if d.Place == r.place && d.EndedAt.IsZero() {
			if err := r.book.EndDrill(ctx, d.ID, news.SystemName, "cut off with its process; there is no report", nil); err != nil {
				r.log.Warn("a drill that was cut off can't be closed", "id", d.ID, "error", err)
			}
		}
	}
}

// drillsLooked is how often it is looked whether drills run elsewhere.
const drillsLooked = 5 * time.Second

// run lets drills be started until ctx ends, and ends the one that runs then.
func (r *drillRoom) run(ctx context.Context) error {
	r.mu.Lock()
	r.base = context.WithoutCancel(ctx)
	r.mu.Unlock()
	look := time.NewTicker(drillsLooked)
	defer look.Stop()
	for {
		r.look(ctx)
		select {
		case <-ctx.Done():
			return r.stop(context.WithoutCancel(ctx))
		case <-look.C:
		}
	}
}

func (r *drillRoom) stop(ctx context.Context) error {
	r.mu.Lock()
	r.base = nil
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, StopWithin)
	defer cancel()
	_, err := r.end(ctx, news.SystemName, "ended with its process")
	if errors.Is(err, news.ErrConflict) { // there is none
		return nil
	}
	return err
}

// look learns of drills in other processes.
func (r *drillRoom) look(ctx context.Context) {
	list, err := r.book.Drills(ctx, drillsShown)
	if err != nil { // said elsewhere: a database that is down stops more than this
		return
	}
	var others []news.DrillRecord
	for _, d := range list {
		if d.Runs(time.Now()) && d.Place != r.place {
			others = append(others, d)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.others = others
}

// running is the drill of this process, nil for none.
func (r *drillRoom) running() *drill {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
}

// notice is what the live pages say of a drill, here or elsewhere.
func (r *drillRoom) notice() web.Drill {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.current; d != nil {
		return web.Drill{Running: true, Since: clockIn(d.Began), By: d.By}
	}
	if len(r.others) > 0 {
		return web.Drill{Running: true, Since: clockIn(r.others[0].StartedAt), By: r.others[0].StartedBy}
	}
	return web.Drill{}
}

// start begins a drill, unless one runs here. A process that was stopped while
// it was made ends it before it begins.
func (r *drillRoom) start(ctx context.Context, o drillOptions) error {
	base, err := r.claim("starting")
	if err != nil {
		return err
	}
	d, err := r.open(ctx, o)
	r.mu.Lock()
	r.busy = ""
	stopped := r.base == nil
	if err == nil && !stopped {
		d.begin(base)
		r.current = d
		go r.watch(base, d)
	}
	r.mu.Unlock()
	if err != nil || !stopped {
		return err
	}
	err = fmt.Errorf("%w: this process is stopping", news.ErrUnavailable)
	return errors.Join(err, d.close(), r.book.EndDrill(context.WithoutCancel(ctx), d.ID, news.SystemName, "ended with its process before it began", nil))
}

// open makes a drill and notes it in the book.
func (r *drillRoom) open(ctx context.Context, o drillOptions) (*drill, error) {
	var err error
	if o.Folder, err = os.MkdirTemp(r.folder, drillFolders); err != nil {
		return nil, fmt.Errorf("a folder for the drill: %w", err)
	}
	d, err := openDrill(ctx, o)
	if err != nil {
		return nil, err
	}
	record := news.DrillRecord{ID: d.ID, Place: r.place, StartedAt: d.Began, StartedBy: d.By, Until: d.Began.Add(drillFor)}
	if err := r.book.BeginDrill(ctx, record, fmt.Sprintf("%d simulated devices, services %s", d.Devices, d.Mood)); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// claim takes the right to start.
func (r *drillRoom) claim(busy string) (context.Context, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.base == nil:
		return nil, fmt.Errorf("%w: this process is starting or stopping", news.ErrUnavailable)
	case r.current != nil || r.busy != "":
		return nil, fmt.Errorf("%w: a drill is running already; one at a time", news.ErrConflict)
	}
	r.busy = busy
	return r.base, nil
}

// watch ends a drill that nobody ends, and one whose parts have ended.
func (r *drillRoom) watch(ctx context.Context, d *drill) {
	late := time.NewTimer(drillFor)
	defer late.Stop()
	how := "ended by itself after two hours"
	select {
	case <-late.C:
	case <-d.stopped:
		how = "ended by a fault"
	}
	if r.running() != d {
		return // somebody has ended it
	}
	if _, err := r.end(ctx, news.SystemName, how); err != nil && !errors.Is(err, news.ErrConflict) {
		r.log.Error("a drill did not end well", "id", d.ID, "error", err)
	}
}

// end ends the drill, keeps its report and takes it away.
func (r *drillRoom) end(ctx context.Context, by, how string) (id string, err error) {
	r.mu.Lock()
	d := r.current
	if d == nil || r.busy != "" {
		r.mu.Unlock()
		return "", fmt.Errorf("%w: no drill is running here", news.ErrConflict)
	}
	r.busy = "ending"
	r.mu.Unlock()
	d.end()
	var raw []byte
	report, err := d.report(ctx, by, how)
	if err == nil {
		raw, err = json.Marshal(report)
	}
	if err != nil { // the drill is over all the same
		how += "; there is no report"
	}
	err = errors.Join(err, r.book.EndDrill(ctx, d.ID, by, how, raw), d.close())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current, r.busy = nil, ""
	return d.ID, err
}

// taking is the drill of this process as long as people may take part: what is
// pressed while its report is written would not be in it.
func (r *drillRoom) taking() *drill {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy != "" {
		return nil
	}
	return r.current
}

// ServeHTTP hands a request to the drill that runs here.
func (r *drillRoom) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	d := r.taking()
	if d == nil || d.handler == nil {
		if strings.HasSuffix(req.URL.Path, "/events") { // a script can't follow to a page, and would ask for ever
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "event: end\ndata: over\n\n")
			return
		}
		http.Redirect(w, req, web.DeskPath+"/drill", http.StatusSeeOther)
		return
	}
	d.handler.ServeHTTP(w, req)
}
