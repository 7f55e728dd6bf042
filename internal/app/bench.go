package app

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// BenchReport is what a bench measured, as its JSON has it.
type BenchReport struct {
	What     string     `json:"what"`
	At       time.Time  `json:"at"`
	Version  string     `json:"version"`
	Machine  string     `json:"machine"`
	Services string     `json:"services"` // who was on the other side
	Rows     []BenchRow `json:"rows"`
	Ratios   []Ratio    `json:"ratios"`
}

// BenchRow is one thing that was measured, once.
type BenchRow struct {
	Name    string        `json:"name"`
	Items   int           `json:"items"`
	CPU     time.Duration `json:"cpuNanoseconds"` // of this process alone, user and system
	Wall    time.Duration `json:"wallNanoseconds"`
	P50     time.Duration `json:"p50Nanoseconds,omitempty"` // since the release
	P90     time.Duration `json:"p90Nanoseconds,omitempty"`
	P99     time.Duration `json:"p99Nanoseconds,omitempty"`
	Allocs  uint64        `json:"allocations"`
	Bytes   int64         `json:"wireBytes,omitempty"` // of TLS records that the services read
	Memory  int64         `json:"rssBytes"`
	Remarks string        `json:"remarks,omitempty"`
}

// Ratio compares two rows of one run.
type Ratio struct {
	Of      string  `json:"of"`
	To      string  `json:"to"`
	CPU     float64 `json:"cpu"`  // of `to` per item, over that of `of`
	Wall    float64 `json:"wall"` // likewise
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
	wall := func(x BenchRow) float64 { return float64(x.Wall) / float64(max(1, x.Items)) }
	r.Ratios = append(r.Ratios, Ratio{Of: of.Name, To: to.Name, CPU: to.perItem() / of.perItem(), Wall: wall(to) / wall(of), Remarks: remarks})
}

// write prints the table, and the JSON into a file where one is named.
func (r *BenchReport) write(out io.Writer, file string) error {
	fmt.Fprintf(out, "\n%s, %s\n%s; %s\n\n", r.What, r.Version, r.Machine, r.Services)
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\titems\tCPU µs each\tCPU s\twall s\tper s\tp50 ms\tp90 ms\tp99 ms\tallocations each\twire bytes each\tRSS MB\t")
	for _, x := range r.Rows {
		n := float64(max(1, x.Items))
		fmt.Fprintf(table, "%s\t%d\t%.2f\t%.2f\t%.2f\t%.0f\t%s\t%s\t%s\t%.1f\t%.0f\t%d\t\n", x.Name, x.Items, x.perItem(), x.CPU.Seconds(), x.Wall.Seconds(),
			n/x.Wall.Seconds(), millis(x.P50), millis(x.P90), millis(x.P99), float64(x.Allocs)/n, float64(x.Bytes)/n, x.Memory>>20)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, x := range r.Rows {
		if x.Remarks != "" {
			fmt.Fprintf(out, "%s: %s\n", x.Name, x.Remarks)
		}
	}
	for _, x := range r.Ratios {
		fmt.Fprintf(out, "%s costs %.1f times less CPU and takes %.1f times less wall time each than %s %s\n", x.Of, x.CPU, x.Wall, x.To, x.Remarks)
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

func millis(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", float64(d.Microseconds())/1000)
}
