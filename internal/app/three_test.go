//go:build unix

package app_test

import (
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"dateline/internal/news"
	"dateline/internal/store/storetest"
)

// three are processes on one Postgres and one cluster of three NATS nodes, each
// with its third of the cells.
type three struct {
	t        *testing.T
	programs []*program
	database *sql.DB
}

// startThree starts them; before runs when there is a database, and nobody on
// it.
func startThree(t *testing.T, settings []string, before func(*program)) *three {
	t.Helper()
	address := storetest.Postgres(t)
	database, err := sql.Open("postgres", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = database.Close() })
	shared := append(append([]string{"NATS_URL=" + natsCluster(t)}, withPostgres(t, address)...), settings...)
	h := &three{t: t, database: database}
	for range 3 {
		h.programs = append(h.programs, newProgram(t, nil, nil, shared...))
	}
	before(h.programs[0])
	for _, p := range h.programs {
		p.start()
	}
	h.shared(3, 30*time.Second)
	return h
}

// shared waits until so many processes hold all cells in equal parts, and says how
// long that took.
func (h *three) shared(processes int, within time.Duration) time.Duration {
	h.t.Helper()
	began := time.Now()
	most := (news.Cells + processes - 1) / processes
	h.until(fmt.Sprintf("%d processes share the cells", processes), within, fmt.Sprintf(`SELECT coalesce(sum(n), 0) + 1000 * count(*) FROM
		(SELECT count(*) AS n FROM cell_leases WHERE holder <> '' AND lease_until > now() GROUP BY holder HAVING count(*) <= %d) AS parts`, most),
		news.Cells+1000*processes)
	return time.Since(began)
}

// exec gives how many rows it was about.
func (h *three) exec(query string, args ...any) int64 {
	h.t.Helper()
	result, err := h.database.ExecContext(h.t.Context(), query, args...)
	if err != nil {
		h.t.Fatal(err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// until waits for a count.
func (h *three) until(what string, within time.Duration, query string, want int) {
	h.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(within); ; <-tick.C {
		var n int
		if err := h.database.QueryRowContext(h.t.Context(), query).Scan(&n); err != nil {
			h.t.Fatal(err)
		}
		if n == want {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("%s: %d after %s, not %d\n%s", what, n, within, want, h.programs[0].stderr)
		}
	}
}

// durable makes the shared Postgres keep what it says: tests run it without.
func (h *three) durable() {
	h.t.Helper()
	for _, set := range []string{"fsync = on", "full_page_writes = on", "autovacuum = on"} {
		h.exec("ALTER SYSTEM SET " + set)
	}
	h.exec("SELECT pg_reload_conf()")
}

// signal sends the process one.
func (p *program) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// natsCluster is three nodes, each with JetStream, and gives their URLs.
func natsCluster(t *testing.T) string {
	t.Helper()
	var ports []int
	var routes []*url.URL
	for range 3 {
		_, port, err := net.SplitHostPort(freePort(t))
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if _, err := fmt.Sscan(port, &n); err != nil {
			t.Fatal(err)
		}
		ports = append(ports, n)
		routes = append(routes, &url.URL{Scheme: "nats", Host: "127.0.0.1:" + port})
	}
	var nodes []*server.Server
	var urls []string
	for i, port := range ports {
		node, err := server.NewServer(&server.Options{ServerName: fmt.Sprintf("node-%d", i), Host: "127.0.0.1",
			Port: server.RANDOM_PORT, Cluster: server.ClusterOpts{Name: "asia", Host: "127.0.0.1", Port: port}, Routes: routes,
			JetStream: true, StoreDir: t.TempDir(), JetStreamMaxStore: 4 << 30, NoSigs: true, NoLog: true})
		if err != nil {
			t.Fatal(err)
		}
		go node.Start()
		t.Cleanup(func() { node.Shutdown(); node.WaitForShutdown() })
		nodes = append(nodes, node)
	}
	for _, node := range nodes {
		if !node.ReadyForConnections(30 * time.Second) {
			t.Fatal("a NATS node did not start")
		}
		urls = append(urls, node.ClientURL())
	}
	return strings.Join(urls, ",")
}
