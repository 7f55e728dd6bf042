package app

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// BenchReport is what a bench measured, as its JSON has it.
type BenchReport struct {
	What     string            `json:"what"`
	At       time.Time         `json:"at"`
	Version  string            `json:"version"`
	Machine  string            `json:"machine"`
	Services string            `json:"services"` // who was on the other side
	Sizes    map[string]string `json:"sizes"`    // by the flag that sets them
	Rows     []BenchRow        `json:"rows"`
	Ratios   []Ratio           `json:"ratios"`
	NotRun   []string          `json:"notRun,omitempty"` // and why
}

// BenchRow is one thing that was measured, once.
type BenchRow struct {
	Name     string        `json:"name"`
	Baseline bool          `json:"baseline,omitempty"` // how one would first write it, or what the machine does without us
	Items    int           `json:"items"`
	CPU      time.Duration `json:"cpuNanoseconds,omitempty"` // of this process alone, user and system; 0: not known
	Wall     time.Duration `json:"wallNanoseconds"`
	P50      time.Duration `json:"p50Nanoseconds,omitempty"`
	P90      time.Duration `json:"p90Nanoseconds,omitempty"`
	P99      time.Duration `json:"p99Nanoseconds,omitempty"`
	Max      time.Duration `json:"maxNanoseconds,omitempty"`
	Allocs   uint64        `json:"allocations,omitempty"`
	Bytes    int64         `json:"wireBytes,omitempty"` // of TLS records that the services read
	Memory   int64         `json:"rssBytes"`
	Remarks  string        `json:"remarks,omitempty"`
}

// times fills in how long each item took.
func (r *BenchRow) times(took []time.Duration) {
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	at := func(percent int) time.Duration { return took[min(len(took)-1, len(took)*percent/100)] }
	r.P50, r.P90, r.P99, r.Max = at(50), at(90), at(99), took[len(took)-1]
}

// Ratio compares two rows of one run.
type Ratio struct {
	Of      string  `json:"of"`
	To      string  `json:"to"`
	CPU     float64 `json:"cpu,omitempty"`  // of `to` per item, over that of `of`; 0: not compared
	Wall    float64 `json:"wall,omitempty"` // likewise
	Remarks string  `json:"remarks,omitempty"`
}

// perItem is the CPU time of one, in microseconds.
func (r BenchRow) perItem() float64 { return micros(r.CPU) / float64(max(1, r.Items)) }

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// meter measures this process from its making on.
type meter struct {
	cpu    time.Duration
	at     time.Time
	allocs uint64
}

func startMeter() meter {
	return meter{cpu: ownCPU(), at: time.Now(), allocs: allocations()}
}

// row ends the measurement.
func (m meter) row(name string, items int) BenchRow {
	return BenchRow{Name: name, Items: items, CPU: ownCPU() - m.cpu, Wall: time.Since(m.at), Allocs: allocations() - m.allocs, Memory: ownMemory()}
}

// ownCPU is the processor time of this process so far.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func allocations() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// ownMemory is the resident set of this process in bytes, 0 where the system does
// not say.
func ownMemory() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}

// machine names what was measured on.
func machine() string {
	model := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				model = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
				break
			}
		}
	}
	return fmt.Sprintf("%d processors (%s), %s %s", runtime.GOMAXPROCS(0), model, runtime.GOOS, runtime.Version())
}

// compare adds the ratio of a row to the baseline that was measured next to it.
func (r *BenchReport) compare(of, to BenchRow, remarks string) {
	over := func(to, of float64) float64 {
		if of <= 0 {
			return 0
		}
		return to / of
	}
	wall := func(x BenchRow) float64 { return float64(x.Wall) / float64(max(1, x.Items)) }
	r.Ratios = append(r.Ratios, Ratio{Of: of.Name, To: to.Name, CPU: over(to.perItem(), of.perItem()), Wall: over(wall(to), wall(of)), Remarks: remarks})
}

// benchColumn is one of the table; a column that no row has anything in is left out.
type benchColumn struct {
	head string
	cell func(x BenchRow, items float64) string
}

func benchColumns() []benchColumn {
	number := func(format string, of func(x BenchRow, n float64) float64) func(BenchRow, float64) string {
		return func(x BenchRow, n float64) string {
			if v := of(x, n); v > 0 {
				return fmt.Sprintf(format, v)
			}
			return ""
		}
	}
	return []benchColumn{
		{"items", func(x BenchRow, _ float64) string { return strconv.Itoa(x.Items) }},
		{"CPU µs each", number("%.4g", func(x BenchRow, _ float64) float64 { return x.perItem() })},
		{"CPU s", number("%.3g", func(x BenchRow, _ float64) float64 { return x.CPU.Seconds() })},
		{"wall s", number("%.4g", func(x BenchRow, _ float64) float64 { return x.Wall.Seconds() })},
		{"per s", number("%.0f", func(x BenchRow, n float64) float64 { return n / x.Wall.Seconds() })},
		{"p50 ms", func(x BenchRow, _ float64) string { return millis(x.P50) }},
		{"p90 ms", func(x BenchRow, _ float64) string { return millis(x.P90) }},
		{"p99 ms", func(x BenchRow, _ float64) string { return millis(x.P99) }},
		{"max ms", func(x BenchRow, _ float64) string { return millis(x.Max) }},
		{"allocations each", number("%.1f", func(x BenchRow, n float64) float64 { return float64(x.Allocs) / n })},
		{"wire bytes each", number("%.0f", func(x BenchRow, n float64) float64 { return float64(x.Bytes) / n })},
		{"RSS MB", func(x BenchRow, _ float64) string { return strconv.FormatInt(x.Memory>>20, 10) }},
	}
}

// middle are the rows, of those with one name the one in the middle; and how many
// there are of one name, at most.
func (r *BenchReport) middle() (rows []BenchRow, most int) {
	byName := map[string][]BenchRow{}
	var names []string
	for _, x := range r.Rows {
		if byName[x.Name] == nil {
			names = append(names, x.Name)
		}
		byName[x.Name] = append(byName[x.Name], x)
	}
	for _, name := range names {
		same := byName[name]
		slices.SortFunc(same, func(a, b BenchRow) int { return cmp.Or(cmp.Compare(a.CPU, b.CPU), cmp.Compare(a.Wall, b.Wall)) })
		rows, most = append(rows, same[len(same)/2]), max(most, len(same))
	}
	return rows, most
}

// table is the rows, right-aligned; baselines stand in brackets.
func table(out io.Writer, rows []BenchRow) error {
	lines := make([]string, len(rows)+1)
	for i, x := range rows {
		lines[i+1] = x.Name + "\t"
		if x.Baseline {
			lines[i+1] = "(" + x.Name + ")\t"
		}
	}
	lines[0] = "\t"
	for _, c := range benchColumns() {
		cells, used := []string{c.head}, false
		for _, x := range rows {
			text := c.cell(x, float64(max(1, x.Items)))
			used = used || text != ""
			cells = append(cells, text)
		}
		for i := range lines {
			if used {
				lines[i] += cells[i] + "\t"
			}
		}
	}
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	for _, line := range lines {
		fmt.Fprintln(table, line)
	}
	return table.Flush()
}

// write prints the table, and the JSON into a file where one is named.
func (r *BenchReport) write(out io.Writer, file string) error {
	var sizes []string
	for _, name := range slices.Sorted(maps.Keys(r.Sizes)) {
		sizes = append(sizes, name+" "+r.Sizes[name])
	}
	fmt.Fprintf(out, "\n%s, %s, %s\n%s\n%s\n%s\n\n", r.What, r.Version, r.At.Format(time.DateTime), r.Machine, r.Services, strings.Join(sizes, ", "))
	rows, rounds := r.middle()
	if err := table(out, rows); err != nil {
		return err
	}
	if rounds > 1 {
		fmt.Fprintf(out, "of up to %d measurements of each the one in the middle, by CPU time (by wall time where that alone is known); ratios are with the baseline measured beside; --json has all\n", rounds)
	}
	for _, x := range rows {
		if x.Remarks != "" {
			fmt.Fprintf(out, "%s: %s\n", x.Name, x.Remarks)
		}
	}
	for _, x := range r.medians() {
		fmt.Fprintln(out, x)
	}
	for _, x := range r.NotRun {
		fmt.Fprintln(out, "NOT RUN:", x)
	}
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644) //nolint:gosec // figures, for everybody to read
}

// medians are the ratios, those of several rounds as one.
func (r *BenchReport) medians() (all []Ratio) {
	for _, x := range r.Ratios {
		same := func(y Ratio) bool { return y.Of == x.Of && y.To == x.To }
		if slices.ContainsFunc(all, same) {
			continue
		}
		var cpu, wall []float64
		remarks := x.Remarks
		for _, y := range r.Ratios {
			if same(y) {
				cpu, wall = append(cpu, y.CPU), append(wall, y.Wall)
			}
		}
		slices.Sort(cpu)
		slices.Sort(wall)
		n := len(cpu)
		if x.CPU, x.Wall = cpu[n/2], wall[n/2]; n > 1 {
			x.Remarks = fmt.Sprintf("median of %d", n)
			for _, of := range []struct {
				what   string
				values []float64
			}{{"CPU", cpu}, {"wall", wall}} {
				if of.values[n-1] > 0 {
					x.Remarks += fmt.Sprintf(", %s %.2f to %.2f", of.what, of.values[0], of.values[n-1])
				}
			}
			if remarks != "" {
				x.Remarks += "; " + remarks
			}
		}
		all = append(all, x)
	}
	return all
}

func (x Ratio) String() string {
	var parts []string
	if x.CPU > 0 {
		parts = append(parts, fmt.Sprintf("%.2f times the CPU time", x.CPU))
	}
	if x.Wall > 0 {
		parts = append(parts, fmt.Sprintf("%.2f times the wall time", x.Wall))
	}
	text := fmt.Sprintf("%s takes, each, %s of %s", x.To, strings.Join(parts, " and "), x.Of)
	if x.Remarks != "" {
		text += ": " + x.Remarks
	}
	return text
}

func millis(d time.Duration) string {
	switch ms := float64(d.Nanoseconds()) / 1e6; {
	case d == 0:
		return ""
	case ms < 10:
		return fmt.Sprintf("%.2f", ms)
	default:
		return fmt.Sprintf("%.0f", ms)
	}
}
