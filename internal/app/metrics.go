package app

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what an operator watches; docs/operating.md explains each.
type metrics struct {
	app      *App
	registry *prometheus.Registry
	requests *prometheus.HistogramVec

	sends, armed, keys, commits, fenced, services, devices, preferences, stories, digests, pauses, reports, lag, unacked *prometheus.Desc
}

func newMetrics(a *App) *metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("dateline_"+name, help, labels, nil)
	}
	m := &metrics{app: a, registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "dateline_http_request_seconds",
			Help: "Answered requests by route pattern and status.", Buckets: prometheus.DefBuckets}, []string{"route", "status"}),
		sends:       desc("push_answers_total", "Answers of push services since the start.", "outcome"),
		armed:       desc("push_armed_total", "Messages sealed with a key that was made before, since the start."),
		keys:        desc("push_keys", "Keys made ahead for the devices of the cells held here, by what they are for.", "slot"),
		commits:     desc("ledger_commits_total", "Ledger transactions since the start."),
		fenced:      desc("ledger_fenced_total", "Ledger writes refused because a cell had moved."),
		services:    desc("push_services", "Push services that throttle us, are down, or refuse our key.", "standing"),
		devices:     desc("devices", "Devices of the cells held here.", "state"),
		preferences: desc("preferences", "Distinct preferences of the cells held here."),
		stories:     desc("stories_total", "Story events handled since the start.", "result"),
		digests:     desc("digests", "Digest mails of the last 48 hours. Unknown: the process ended between the last byte and the server's answer.", "state"),
		pauses:      desc("digest_pauses", "Editions that wait for an editor, for all their readers or for a mailbox provider's."),
		reports:     desc("mail_reports", "What came back of digest mails in the last 48 hours.", "kind"),
		lag:         desc("stories_pending", "Story events acknowledged by NATS and not yet stored: what would be lost with NATS' files."),
		unacked:     desc("stories_unacked", "Story events being handled."),
	}
	m.registry.MustRegister(m, m.requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// observe is told of every answered request.
func (m *metrics) observe(pattern string, status int, took time.Duration) {
	m.requests.WithLabelValues(pattern, strconv.Itoa(status)).Observe(took.Seconds())
}

// Describe is part of prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.sends, m.armed, m.keys, m.commits, m.fenced, m.services, m.devices, m.preferences, m.stories, m.digests, m.pauses, m.reports, m.lag, m.unacked} {
		ch <- d
	}
}

// Collect is part of prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	f := m.app.dispatch.Figures()
	counter(m.sends, f.Accepted.Load(), "accepted")
	counter(m.sends, f.Gone.Load(), "gone")
	counter(m.sends, f.Failed.Load(), "refused")
	counter(m.sends, f.Retried.Load(), "retry")
	counter(m.sends, f.Ambiguous.Load(), "ambiguous")
	counter(m.armed, f.Armed.Load())
	alert, repair := m.app.dispatch.Armed()
	gauge(m.keys, float64(alert), "alert")
	gauge(m.keys, float64(repair), "repair")
	counter(m.commits, f.Commits.Load())
	counter(m.fenced, f.Fenced.Load())
	for standing, n := range m.app.dispatch.Standings() {
		gauge(m.services, float64(n), standing)
	}
	size := m.app.dispatch.Audience().Size()
	gauge(m.devices, float64(size.Active), "active")
	gauge(m.devices, float64(size.Gone), "gone")
	gauge(m.devices, float64(size.Left), "left")
	gauge(m.devices, float64(size.Quarantined), "quarantined")
	gauge(m.preferences, float64(size.Preferences))
	in := m.app.intake.Figures()
	counter(m.stories, in.Stored, "stored")
	counter(m.stories, in.Duplicates, "duplicate")
	counter(m.stories, in.Older, "older")
	counter(m.stories, in.Conflicts, "conflict")
	counter(m.stories, in.DeadLetters, "dead-letter")
	counter(m.stories, in.Retries, "put-off")
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if f, err := m.app.store.DigestFigures(ctx, time.Now().Add(-48*time.Hour)); err == nil {
		gauge(m.digests, float64(f.Due), "due")
		gauge(m.digests, float64(f.Sent), "sent")
		gauge(m.digests, float64(f.Deferred), "deferred")
		gauge(m.digests, float64(f.Empty), "empty")
		gauge(m.digests, float64(f.Failed), "failed")
		gauge(m.digests, float64(f.Unknown), "unknown")
	}
	if open, err := m.app.store.OpenPauses(ctx); err == nil {
		gauge(m.pauses, float64(len(open)))
	}
	if reports, err := m.app.store.Reports(ctx, time.Now().Add(-48*time.Hour)); err == nil {
		for kind, n := range reports {
			gauge(m.reports, float64(n), string(kind))
		}
	}
	if pending, unacked, err := m.app.bus.Lag(ctx); err == nil {
		gauge(m.lag, float64(pending))
		gauge(m.unacked, float64(unacked))
	}
}
