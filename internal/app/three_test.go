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

	"dateline/internal/store/storetest"
)

// three are processes on one Postgres and one cluster of three NATS nodes, each
// with its third of the cells.
type three struct {
	t        *testing.T
	programs []*program
	holders  []string
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
		h.join(p)
	}
	h.spread()
	return h
}

// join starts one, and lets it have a cell, by which its name is known. The
// others are frozen meanwhile, or they would take it.
func (h *three) join(p *program) {
	h.t.Helper()
	others := h.programs[:len(h.holders)]
	for _, other := range others {
		other.signal(syscall.SIGSTOP)
	}
	h.exec(`UPDATE cell_leases SET holder = '', lease_until = NULL WHERE cell = $1`, len(h.holders))
	// Frozen they renew nothing, and on a busy machine a start outlasts a lease.
	h.exec(`UPDATE cell_leases SET lease_until = now() + interval '1 minute' WHERE holder <> '' AND cell <> $1`, len(h.holders))
	p.start()
	h.until("a process holds a cell", `SELECT count(DISTINCT holder) FROM cell_leases WHERE holder <> ''`, len(h.holders)+1)
	for _, other := range others {
		other.signal(syscall.SIGCONT)
	}
	h.holders = nil
	rows, err := h.database.QueryContext(h.t.Context(), `SELECT DISTINCT holder FROM cell_leases WHERE holder <> ''`)
	if err != nil {
		h.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var holder string
		if err := rows.Scan(&holder); err != nil {
			h.t.Fatal(err)
		}
		h.holders = append(h.holders, holder)
	}
	if err := rows.Err(); err != nil {
		h.t.Fatal(err)
	}
}

// spread gives each its third, where a frozen one has lost cells to the others
// too, and returns when all have learnt it.
func (h *three) spread() {
	h.t.Helper()
	var before time.Time
	if err := h.database.QueryRowContext(h.t.Context(), `SELECT now() + interval '6 seconds'`).Scan(&before); err != nil {
		h.t.Fatal(err)
	}
	moved := h.exec(`UPDATE cell_leases SET holder = ($1::text[])[cell % 3 + 1], fence = fence + 1
		WHERE holder <> ($1::text[])[cell % 3 + 1]`, "{"+strings.Join(h.holders, ",")+"}")
	if moved == 0 {
		return
	}
	h.until("every lease is renewed", `SELECT count(*) FROM cell_leases WHERE lease_until > '`+before.Format(time.RFC3339Nano)+`'`, 256)
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
func (h *three) until(what, query string, want int) {
	h.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		var n int
		if err := h.database.QueryRowContext(h.t.Context(), query).Scan(&n); err != nil {
			h.t.Fatal(err)
		}
		if n == want {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("%s: %d after 30 s, not %d\n%s", what, n, want, h.programs[0].stderr)
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
