//go:build unix

package app_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The bars of stopping and repairing, measured on the program as it ships. The
// defaults are for every run of the tests; the bars are meant for
//
//	go test ./internal/app -run TestStopAtOnce -v -timeout 2h -stop.devices 200000 -stop.runs 20 -stop.lasts 30s
var (
	stopDevices = flag.Int("stop.devices", 4_000, "devices an alert goes to in TestStopAtOnce")
	stopRuns    = flag.Int("stop.runs", 1, "kills and corrections of each kind in TestStopAtOnce")
	stopLasts   = flag.Duration("stop.lasts", 5*time.Second, "how long the send would last in TestStopAtOnce")
)

// The bars.
const (
	barDevices = 200_000
	barLasts   = 20 * time.Second
	stopWithin = 500 * time.Millisecond // last send started after the press
	overtakeIn = 5 * time.Second        // first corrected push after its release
	frozenFor  = 5 * time.Second
)

// kind is what is done to a send under way.
type kind string

const (
	kill    kind = "kill"
	frozen  kind = "frozen" // a kill, with one process of three frozen
	correct kind = "correct"
)

// outcome is what one run came to. "At the services" is counted by the push
// service's own process; counts are the desk's.
type outcome struct {
	Setup string `json:"setup"`
	Kind  kind   `json:"kind"`
	Run   int    `json:"run"`
	// Out are messages at the services at the press, Lasts is how long the whole
	// send would have taken at the pace it had.
	Out   int     `json:"out"`
	Lasts float64 `json:"lastsSeconds"`
	// Answered is when the press had its answer: it was committed by then.
	Answered float64 `json:"answeredMs"`
	// LastStarted is when the last original came in, after the press left; After
	// and Late are how many came after it, and more than stopWithin after it.
	LastStarted float64 `json:"lastStartedMs"`
	After       int     `json:"after"`
	Late        int     `json:"late"`
	Thawed      int     `json:"thawed"` // long after it; frozen: after the process woke
	FirstRepair float64 `json:"firstRepairMs"`
	AllRepaired float64 `json:"allRepairedSeconds"`
	// Crossed are originals that came in after the first repair did, Backwards
	// those of a device after its own repair.
	Crossed   int `json:"crossed"`
	Backwards int `json:"backwards"`

	Originals int `json:"originals"` // devices at the services
	Repairs   int `json:"repairs"`
	Repeats   int `json:"repeats"`
	Accepted  int `json:"accepted"`
	Ambiguous int `json:"ambiguous"`
	Missed    int `json:"missed"` // got the original and no repair
	// Without are those who got the repair and not the original: in a kill,
	// ambiguous ones; in a correction, those who still waited.
	Without int `json:"withoutOriginal"`

	ProgramCPU float64 `json:"programCPUSeconds"`
	PushesCPU  float64 `json:"pushesCPUSeconds"`
	Load       string  `json:"load"`
}

// TestStopAtOnce kills and corrects alerts while they go out, with one process
// and with three, and compares what the desk says with what the push service
// got.
func TestStopAtOnce(t *testing.T) {
	t.Run("one", func(t *testing.T) {
		aside(t)
		b := newBars(t, "one")
		p := newProgram(t, nil, nil, b.settings()...)
		b.importTo(p)
		p.start()
		b.programs = []*program{p}
		b.measure(kill, correct)
	})
	t.Run("three", func(t *testing.T) {
		aside(t)
		b := newBars(t, "three")
		b.three = startThree(t, b.settings(), b.importTo)
		b.programs = b.three.programs
		if *stopDevices >= barDevices {
			b.three.durable()
		}
		b.measure(kill, frozen, correct)
	})
}

// aside lets the setups run beside each other where nothing is measured.
func aside(t *testing.T) {
	if *stopDevices < barDevices {
		t.Parallel()
	}
}

// bars are the runs of one setup.
type bars struct {
	t        *testing.T
	setup    string
	pushes   *pushes
	programs []*program
	three    *three // nil: one process
	rng      *rand.Rand
}

func newBars(t *testing.T, setup string) *bars {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return &bars{t: t, setup: setup, pushes: startPushes(t, *stopDevices), rng: rand.New(rand.NewPCG(seed, 1))}
}

func (b *bars) settings() []string { return append(b.pushes.settings(), "DATELINE_CANARY=off") }

func (b *bars) importTo(p *program) {
	b.t.Helper()
	began := time.Now()
	for _, file := range b.pushes.made.Files {
		if out, err := p.run("", "import", "devices", file); err != nil || !strings.Contains(out, " 0 rejected") {
			b.t.Fatalf("import: %v\n%s", err, out)
		}
	}
	b.t.Logf("%d devices imported in %.1f s", *stopDevices, time.Since(began).Seconds())
}

// measure makes the runs of each kind, as subtests.
func (b *bars) measure(kinds ...kind) {
	for _, p := range b.programs {
		p.patience, p.asking = 5*time.Minute, *stopLasts/100
	}
	outer := b.t
	for _, k := range kinds {
		outer.Run(string(k), func(t *testing.T) {
			b.t, b.pushes.t = t, t
			for _, p := range b.programs {
				p.t = t
			}
			var all []outcome
			for n := range *stopRuns {
				o := b.run(k, n)
				raw, err := json.Marshal(o)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%s", raw)
				all = append(all, o)
			}
			b.judge(k, all)
		})
	}
}

// run lets an alert go out, interferes at a random moment, and counts.
func (b *bars) run(k kind, n int) outcome {
	b.t.Helper()
	if b.three != nil {
		b.three.t = b.t
		b.three.shared(len(b.programs), time.Minute)
	}
	cpu := b.cpu()
	uri := fmt.Sprintf("https://news.example/%s/%d-%d", k, n, time.Now().UnixNano())
	b.pushes.rate(float64(*stopDevices) / stopLasts.Seconds())
	b.programs[0].story(uri, "A story to be stopped")
	a := b.programs[0].alert(uri, "released", func(a alertAnswer) bool { return a.State == "sending" })
	b.pushes.await(*stopDevices * (8 + b.rng.IntN(84)) / 100)
	press, answered, thawed := b.interfere(k, a.ID)
	desk := b.programs[0].alert(uri, "repaired", func(a alertAnswer) bool {
		return len(a.Repairs) == 1 && a.Repairs[0].State == "sent" && a.Counts.Pending == 0
	})
	o := compare(k, b.pushes.take(), desk, press, thawed)
	o.Setup, o.Run, o.Load = b.setup, n, load()
	o.Answered = milliseconds(answered.Sub(press))
	now := b.cpu()
	o.ProgramCPU, o.PushesCPU = now[0]-cpu[0], now[1]-cpu[1]
	b.check(k, o, desk)
	return o
}

// interfere presses the button, at the first process; of three the last may be
// frozen for a while. Only then the push service gives up its pace.
func (b *bars) interfere(k kind, id string) (press, answered, thawed time.Time) {
	b.t.Helper()
	step, body := "kill", any(map[string]any{"reason": "It was not so."})
	if k == correct {
		step, body = "correct", map[string]any{"texts": map[string]any{"en": map[string]string{"title": "Corrected", "body": "As it is"}}}
	}
	span := min(frozenFor, *stopLasts/2) // for what must not happen
	victim := b.programs[len(b.programs)-1]
	woken := make(chan time.Time, 1)
	if k == frozen {
		span = frozenFor
		victim.signal(syscall.SIGSTOP)
	}
	// Whatever the press waits for: it may be a lock that the frozen one holds.
	time.AfterFunc(span, func() {
		if woken <- time.Now(); k == frozen {
			_ = victim.cmd.Process.Signal(syscall.SIGCONT) // if it has ended, the run says so
		}
	})
	press = time.Now()
	if code := b.programs[0].call("POST", "/api/v1/alerts/"+id+"/"+step, body, nil); code != http.StatusOK {
		b.t.Fatalf("%s: %d", step, code)
	}
	answered = time.Now()
	if thawed = <-woken; k == frozen {
		<-time.After(time.Second) // the pace stays while it may emit its batch
	}
	b.pushes.rate(0)
	return press, answered, thawed
}

// compare counts what came in of the alert.
func compare(k kind, got []Message, desk alertAnswer, press, thawed time.Time) outcome {
	o := outcome{Kind: k, Accepted: desk.Counts.Accepted, Ambiguous: desk.Counts.Ambiguous}
	original, repaired := make(map[int32]int), make(map[int32]int)
	var first time.Time
	for _, m := range got { // in the order of time
		switch {
		case m.Alert != desk.ID:
		case m.Revision == 1:
			if first.IsZero() {
				first = m.At
			}
			original[m.Phone]++
			o.original(m, press, thawed)
			o.Crossed += min(1, len(repaired))
			o.Backwards += min(1, repaired[m.Phone])
		default:
			if len(repaired) == 0 {
				o.FirstRepair = milliseconds(m.At.Sub(press))
			}
			repaired[m.Phone]++
			o.AllRepaired = m.At.Sub(press).Seconds()
		}
	}
	o.Originals, o.Repairs = len(original), len(repaired)
	for phone, n := range original {
		o.Repeats += n - 1
		if repaired[phone] == 0 {
			o.Missed++
		}
	}
	for phone := range repaired {
		if original[phone] == 0 {
			o.Without++
		}
	}
	o.Lasts = press.Sub(first).Seconds() / float64(o.Out) * float64(*stopDevices)
	return o
}

// original counts one.
func (o *outcome) original(m Message, press, thawed time.Time) {
	after := m.At.Sub(press)
	if after <= 0 {
		o.Out++
		return
	}
	o.After++
	if after > stopWithin {
		o.Late++
	}
	woken := m.At.After(thawed)
	if woken {
		o.Thawed++
	}
	if !woken || o.Kind != frozen { // its batch has a bar of its own
		o.LastStarted = milliseconds(after)
	}
}

// check is what must hold in every run.
func (b *bars) check(k kind, o outcome, desk alertAnswer) {
	b.t.Helper()
	c, r := desk.Counts, desk.Repairs[0].Counts
	if sum := c.Held + c.Accepted + c.Gone + c.Failed + c.Ambiguous + c.Cancelled + c.Expired; sum != *stopDevices || c.Intended != *stopDevices {
		b.t.Errorf("the counts add up to %d: %+v", sum, c)
	}
	// Whoever has no accepted answer may have it or not: that is what ambiguous
	// means. Without any, the count on the desk is the count at the services.
	if o.Originals < c.Accepted || o.Originals > c.Accepted+c.Ambiguous {
		b.t.Errorf("%d devices got it; the desk says %d accepted, %d ambiguous", o.Originals, c.Accepted, c.Ambiguous)
	}
	if r.Accepted != o.Repairs || r.Ambiguous != 0 {
		b.t.Errorf("%d devices got the repair; the desk says %d accepted, %d ambiguous", o.Repairs, r.Accepted, r.Ambiguous)
	}
	want := c.Accepted + c.Ambiguous
	if k == correct {
		want = *stopDevices // the repairs, and the first alerts of those who waited
	}
	if o.Missed != 0 || o.Repairs != want || o.Backwards != 0 {
		b.t.Errorf("repairs went to %d devices, not to %d; %d who got the original have none; %d got the original after it", o.Repairs, want, o.Missed, o.Backwards)
	}
	if reached := c.Accepted + c.Ambiguous; reached+c.Cancelled != *stopDevices {
		b.t.Errorf("%d were reached and %d cancelled, of %d", reached, c.Cancelled, *stopDevices)
	}
	batch := 0
	if k == frozen {
		batch = inFlight
	}
	if o.Thawed > batch {
		b.t.Errorf("%d originals came in after the stop had long been known, at most %d may", o.Thawed, batch)
	}
	if o.Out < *stopDevices/20 || o.Out > *stopDevices*19/20 {
		b.t.Logf("run %d does not count: %d were out", o.Run, o.Out)
	}
}

// judge sums the runs up, and holds them against the bars when they are large
// enough to be meant.
func (b *bars) judge(k kind, all []outcome) {
	b.t.Helper()
	all = slices.DeleteFunc(all, func(o outcome) bool { return o.Out < *stopDevices/20 || o.Out > *stopDevices*19/20 })
	if len(all) == 0 {
		b.t.Fatal("no run counts")
	}
	last, first := column(all, func(o outcome) float64 { return o.LastStarted }), column(all, func(o outcome) float64 { return o.FirstRepair })
	lasts := column(all, func(o outcome) float64 { return o.Lasts })
	answered := column(all, func(o outcome) float64 { return o.Answered })
	thawed := column(all, func(o outcome) float64 { return float64(o.Thawed) })
	crossed := column(all, func(o outcome) float64 { return float64(o.Crossed) })
	b.t.Logf("%s, %s: %d runs of %d devices, the send would last %.1f s (p50)\n"+
		"  last send started after the press  p50 %7.1f ms  p99 %7.1f ms\n"+
		"  the press was answered after       p50 %7.1f ms  p99 %7.1f ms\n"+
		"  first repair after the press       p50 %7.1f ms  p99 %7.1f ms\n"+
		"  originals after the first repair   p50 %5.0f     max %5.0f\n"+
		"  after the frozen process woke      p50 %5.0f     max %5.0f", b.setup, k, len(all), *stopDevices, share(lasts, 0.5),
		share(last, 0.5), share(last, 0.99), share(answered, 0.5), share(answered, 0.99), share(first, 0.5), share(first, 0.99),
		share(crossed, 0.5), share(crossed, 1), share(thawed, 0.5), share(thawed, 1))
	if *stopDevices < barDevices {
		return // too small for a bar: a pause of the machine would weigh more than the program
	}
	if share(lasts, 0) < barLasts.Seconds() {
		b.t.Errorf("a send would have lasted %.1f s, the bar is for %s", share(lasts, 0), barLasts)
	}
	if p99 := share(last, 0.99); p99 > milliseconds(stopWithin) {
		b.t.Errorf("the last send started %.1f ms after the press (p99), the bar is %s", p99, stopWithin)
	}
	if p99 := share(first, 0.99); k == correct && p99 > milliseconds(overtakeIn) {
		b.t.Errorf("the first corrected push came %.1f ms after its release (p99), the bar is %s", p99, overtakeIn)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func column(all []outcome, of func(outcome) float64) []float64 {
	var out []float64
	for _, o := range all {
		out = append(out, of(o))
	}
	slices.Sort(out)
	return out
}

// share gives a quantile by nearest rank: of 20 runs, p99 is the worst.
func share(sorted []float64, q float64) float64 {
	rank := int(q*float64(len(sorted)) + 0.999999)
	return sorted[max(0, min(rank, len(sorted))-1)]
}

// cpu is the seconds of processor that the programs and the push service have
// used; zero where there is no /proc.
func (b *bars) cpu() [2]float64 {
	var used [2]float64
	for _, p := range b.programs {
		used[0] += cpuOf(p.cmd.Process.Pid)
	}
	used[1] = cpuOf(b.pushes.pid)
	return used
}

func cpuOf(pid int) float64 {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(raw), ") ") // proc_pid_stat(5): from the third field on
	fields := strings.Fields(rest)
	var ticks float64
	for _, i := range []int{11, 12} { // utime, stime; 100 a second
		n, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return ticks / 100
}

// load is how busy the machine was in the last minute.
func load() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(raw))[0]
}
