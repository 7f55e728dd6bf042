package desk

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
)

// Progress is how far a release has come in the cells of this process, by push
// service (scheme and host) and by place (code); "" is another.
type Progress struct {
	Cells            int // of the release, that were counted
	Services, Places map[string]news.Counts
}

// Add takes in what another process counted over its own cells.
func (p *Progress) Add(o Progress) {
	p.Cells += o.Cells
	p.Services, p.Places = addedCounts(p.Services, o.Services), addedCounts(p.Places, o.Places)
}

// addedCounts is a with b's; neither is changed.
func addedCounts(a, b map[string]news.Counts) map[string]news.Counts {
	sum := make(map[string]news.Counts, len(a)+len(b))
	for _, m := range []map[string]news.Counts{a, b} {
		for k, n := range m {
			all := sum[k]
			all.Add(n)
			sum[k] = all
		}
	}
	return sum
}

// Watcher counts how far a release has come.
type Watcher func(ctx context.Context, releaseID string) (Progress, error)

const (
	// chartFresh is how long a count by service and place serves all open pages:
	// one looks at every device of the release.
	chartFresh = time.Second
	// finalFresh is the same for a release of which nothing is on its way.
	finalFresh = 10 * time.Minute
	// chartSlices are the bars of the chart; tableSlices of them make a row of
	// its table.
	chartSlices = 60
	tableSlices = 6
	chartLines  = 8 // services, places; the rest is one line
	// receiptSample is how many messages of an alert at most ask for a receipt
	// (DESIGN 9).
	receiptSample = 20_000
)

// chartView is the block "chart": how an alert went, or goes.
type chartView struct {
	Says                   string // in a sentence: what the picture shows
	Bars                   []barView
	Line                   string // how much of all had been accepted, as an SVG path
	Marks                  []markView
	Top, End               string // what the axes end at
	Rows                   []chartRow
	Later                  int // accepted when their readers' nights were over
	Services, Places       []partView
	Denominators           []string
	Here, Cells, Elsewhere int // cells
	Counted                bool
}

// barView is one slice of the time, in a box of 60 by 100; markView is the time
// to a share of all.
type barView struct{ X, Y, Height string }

type markView struct {
	Share, Within string
	X, Y          string
}

type chartRow struct{ From, To, Rate, Total string }

// partView is one push service or place: what became of its devices, and the
// same as parts of 100.
type partView struct {
	Name                            string
	Reachable, Accepted             int
	Lost, Waiting                   int // gone, failed, expired or cancelled; pending, held or in doubt
	Percent                         int
	AcceptedTo, LostFrom, LostWidth string
}

// chartOf draws a release, nil when nothing was released.
func chartOf(v View, here *Progress) *chartView {
	if v.First == nil {
		return nil
	}
	c := &chartView{Cells: news.Cells, Denominators: denominators(v.First.Figures.Counts, v.Unmeasured)}
	c.curve(&v.First.Release, v.First.Figures)
	if here != nil {
		c.Counted, c.Here, c.Elsewhere = true, here.Cells, news.Cells-here.Cells
		c.Services = parts(here.Services, serviceName)
		c.Places = parts(here.Places, func(code string) string {
			if code == "" {
				return "other places"
			}
			return region.Name(code, "en")
		})
	}
	return c
}

// curve is the picture of the time: bars are what was accepted a second, the
// line is what had been. It ends some way after 99 % of what did not wait for
// the morning.
func (c *chartView) curve(r *news.Release, f news.ReleaseFigures) {
	early, later := f.Timing.Until(r.Deadline.Sub(r.ReleasedAt))
	c.Later = later
	if len(early.Buckets) == 0 {
		c.Says = "Nothing was accepted yet."
		return
	}
	end := max(time.Second, time.Duration(1.2*float64(early.Quantile(0.99))))
	slice := end / chartSlices
	accepted, _ := early.Spread(slice, chartSlices)
	total := 0.0
	for _, n := range early.Buckets {
		total += float64(n)
	}
	most := slices.Max(accepted)
	var line strings.Builder
	line.WriteString("M0 100")
	sum := 0.0
	for i, n := range accepted {
		if height := 100 * n / most; height > 0 {
			c.Bars = append(c.Bars, barView{strconv.Itoa(i), decimal(100 - height), decimal(height)})
		}
		sum += n
		fmt.Fprintf(&line, "L%d %s", i+1, decimal(100-100*sum/total))
		c.row(i, slice, accepted, sum)
	}
	c.Line, c.Top, c.End = line.String(), perSecond(most, slice), since(end)
	var within []string
	for _, share := range []float64{0.5, 0.9, 0.99} {
		at := early.Quantile(share)
		m := markView{Share: strconv.Itoa(int(math.Round(share*100))) + " %", Within: since(at),
			X: decimal(float64(at) / float64(slice)), Y: decimal(100 - 100*share)}
		c.Marks = append(c.Marks, m)
		within = append(within, m.Share+" within "+m.Within)
	}
	c.Says = "Accepted: " + strings.Join(within, ", ") + "; at most " + c.Top + " a second."
}

// row adds the table's row that ends with slice i.
func (c *chartView) row(i int, slice time.Duration, accepted []float64, sum float64) {
	if (i+1)%tableSlices != 0 {
		return
	}
	begin, n := i+1-tableSlices, 0.0
	for _, k := range accepted[begin : i+1] {
		n += k
	}
	c.Rows = append(c.Rows, chartRow{From: since(time.Duration(begin) * slice), To: since(time.Duration(i+1) * slice),
		Rate: perSecond(n, tableSlices*slice), Total: strconv.FormatFloat(math.Round(sum), 'f', 0, 64)})
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }

func perSecond(n float64, in time.Duration) string {
	rate := n / in.Seconds()
	if rate < 10 {
		return strconv.FormatFloat(rate, 'f', 1, 64)
	}
	return strconv.FormatFloat(rate, 'f', 0, 64)
}

// since is a time after the release.
func since(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s"
	case d < 2*time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 0, 64) + " s"
	}
	return strconv.FormatFloat(d.Minutes(), 'f', 1, 64) + " min"
}

// denominators spell out what the counts are shares of.
func denominators(c news.Counts, unmeasured bool) []string {
	share := func(n, of int) string {
		if of == 0 {
			return "0 %"
		}
		return strconv.FormatFloat(100*float64(n)/float64(of), 'f', 1, 64) + " %"
	}
	out := []string{
		fmt.Sprintf("Intended: %d devices matched. Accepted by their push services: %d, %s of these.", c.Intended, c.Accepted, share(c.Accepted, c.Intended)),
		fmt.Sprintf("Reachable: %d of them, without %d in quarantine. Accepted: %s of these.", c.Reachable, c.Intended-c.Reachable, share(c.Accepted, c.Reachable)),
	}
	if unmeasured {
		return append(out, "Reported: not measured; this site asks no device whether it showed anything.")
	}
	asked := c.Accepted
	about := ""
	if c.Reachable > receiptSample {
		asked, about = int(math.Round(receiptSample*float64(c.Accepted)/float64(c.Reachable))), "about "
	}
	return append(out, fmt.Sprintf("Reported: %d devices say that they showed it, of %s%d that were asked: %s. An estimate: not every browser reports.",
		c.Shown, about, asked, share(c.Shown, asked)))
}

// serviceName is whose push service an endpoint's host is.
func serviceName(site string) string {
	_, host, _ := strings.Cut(site, "://")
	switch name := strings.ToLower(host); {
	case name == "":
		return "other services"
	case name == "fcm.googleapis.com", name == "jmt17.google.com":
		return "Google (Chrome, Android)"
	case strings.HasSuffix(name, ".push.services.mozilla.com"):
		return "Mozilla (Firefox)"
	case strings.HasSuffix(name, ".push.apple.com"):
		return "Apple (Safari, iOS)"
	case strings.HasSuffix(name, ".notify.windows.com"):
		return "Microsoft (Edge, Windows)"
	}
	return host
}

// parts lists the largest shares by name; those of one name are one.
func parts(counts map[string]news.Counts, name func(string) string) []partView {
	byName := map[string]news.Counts{}
	for key, c := range counts {
		sum := byName[name(key)]
		sum.Add(c)
		byName[name(key)] = sum
	}
	names := slices.SortedFunc(maps.Keys(byName), func(a, b string) int {
		return cmp.Or(byName[b].Reachable-byName[a].Reachable, cmp.Compare(a, b))
	})
	var rest news.Counts
	var out []partView
	for i, n := range names {
		if i < chartLines {
			out = append(out, partOf(n, byName[n]))
		} else {
			rest.Add(byName[n])
		}
	}
	if more := len(names) - chartLines; more > 0 {
		out = append(out, partOf(fmt.Sprintf("%d more", more), rest))
	}
	return out
}

func partOf(name string, c news.Counts) partView {
	p := partView{Name: name, Reachable: c.Reachable, Accepted: c.Accepted, Lost: c.Gone + c.Failed + c.Expired + c.Cancelled,
		Waiting: c.Pending + c.Held + c.Ambiguous}
	of := 100 / float64(max(1, c.Reachable))
	p.Percent = 100 * c.Accepted / max(1, c.Reachable) // not through of: 97 of 97 would be 99 %
	p.AcceptedTo, p.LostFrom, p.LostWidth = decimal(float64(c.Accepted)*of), decimal(float64(c.Accepted)*of), decimal(float64(p.Lost)*of)
	return p
}
