package bus

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Three nodes, stream R3 without being told; one node may go.
func TestCluster(t *testing.T) {
	t.Parallel()
	nodes, urls := startCluster(t, 3)
	b, err := Open(t.Context(), Config{URL: urls, Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	stream, err := b.js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().Config.Replicas; n != 3 {
		t.Fatalf("%d replicas", n)
	}
	got, ended := consume(t, b, nil)
	publish(t, b, "one")
	next(t, got)
	// The node we talk to goes: the worst one. (Asked once: we soon talk to
	// another, and two of three must stay.)
	ours := b.conn.ConnectedServerName()
	for _, n := range nodes {
		if n.Name() == ours {
			n.Shutdown()
			n.WaitForShutdown()
		}
	}
	eventually(t, "a story is accepted by the other two", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return b.PublishStory(ctx, Message{Body: []byte("two")}) == nil
	})
	for string(next(t, got).Body) != "two" {
	}
	none(t, ended)
}

func startCluster(t *testing.T, n int) (nodes []*server.Server, urls string) {
	t.Helper()
	var routes []*url.URL
	ports := freePorts(t, n)
	for _, p := range ports {
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", p)})
	}
	for i := range n {
		srv, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("node-%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT,
			Cluster: server.ClusterOpts{Name: "asia", Host: "127.0.0.1", Port: ports[i]}, Routes: routes,
			JetStream: true, StoreDir: t.TempDir(), JetStreamMaxStore: maxStore, NoSigs: true, NoLog: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		go srv.Start()
		t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
		nodes = append(nodes, srv)
	}
	var all []string
	for _, srv := range nodes {
		if !srv.ReadyForConnections(patience) {
			t.Fatal("a node did not start")
		}
		all = append(all, srv.ClientURL())
	}
	return nodes, strings.Join(all, ",")
}

// freePorts finds ports for the routes, which must be known beforehand.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // only when all are found, or one would be found twice
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

const publisherFolder = "DATELINE_TEST_PUBLISHER"

// TestMain can be the process that is killed: it publishes without end and
// tells each number that was acknowledged.
func TestMain(m *testing.M) {
	if dir := os.Getenv(publisherFolder); dir != "" {
		if err := publishWithoutEnd(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func publishWithoutEnd(dir string) error {
	ctx := context.Background()
	b, err := Open(ctx, Config{Dir: dir})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		if err := b.PublishStory(ctx, Message{Body: fmt.Appendf(nil, "%d", i)}); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

// C4: nothing that got its PubAck is lost when the process is killed.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	for round := range 3 {
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), publisherFolder+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		acked := 0
		for acked < 100*(round+1) && lines.Scan() {
			acked++
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // acknowledged before the kill as well
			acked++
		}
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // it was killed: always an error
		b := openIn(t, dir)
		got, _ := consume(t, b, nil)
		for i := range acked {
			if m := next(t, got); string(m.Body) != fmt.Sprint(i) {
				t.Fatalf("round %d: of %d acknowledged, number %d is %s", round, acked, i, m.Body)
			}
		}
		b.Close()
	}
}
