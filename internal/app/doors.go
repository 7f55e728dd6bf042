package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"dateline/internal/web"
)

// openDoors listens before anything runs: a port that is taken is a fault of
// the start, and ":0" has its number when the base URL is made.
func (a *App) openDoors(context.Context) error {
	var err error
	listen := func(name, flag, addr string) net.Listener { // flag "": the variable alone
		if addr == "" || err != nil {
			return nil
		}
		var l net.Listener
		if l, err = net.Listen("tcp", addr); err != nil {
			err = fmt.Errorf("%w: is there another program on the port? %s chooses another", err, a.otherPort(name, flag, addr))
			return nil
		}
		a.onClose(name, func() error {
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				return err
			}
			return nil
		})
		return l
	}
	a.public = listen("DATELINE_LISTEN", "--listen", a.cfg.Listen)
	a.ops = listen("DATELINE_OPS_LISTEN", "--ops-listen", a.cfg.OpsListen)
	if a.cfg.Has(RoleDesk) {
		a.deskDoor = listen("DATELINE_DESK_LISTEN", "", a.cfg.DeskListen)
	}
	return err
}

// otherPort is how to ask for the port beside one that is taken.
func (a *App) otherPort(name, flag, addr string) string {
	if host, port, err := net.SplitHostPort(addr); err == nil {
		if n, err := strconv.Atoi(port); err == nil {
			beside := n + 1
			if beside > 65535 {
				beside = n - 1
			}
			addr = net.JoinHostPort(host, strconv.Itoa(beside))
		}
	}
	switch {
	case flag == "":
		return name + "=" + addr
	case a.cfg.demo:
		return flag + " " + addr
	}
	return fmt.Sprintf("%s %s (or %s)", flag, addr, name)
}

// publicRoutes is what the public listener answers. With a desk listener the
// desk's doors are there and not here.
func (a *App) publicRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", a.floor.API("", a.healthz))
	mux.Handle("GET /readyz", a.floor.API("", a.readyz))
	if a.cfg.Has(RoleSite) {
		a.site.Routes(mux)
	}
	if a.cfg.Has(RoleIntake) {
		a.intake.Routes(mux)
	}
	if a.cfg.Has(RoleDesk) && a.deskDoor == nil {
		a.desk.Routes(mux)
		a.pages.Routes(mux)
		drillDoors{a.drills, a}.routes(mux)
		if !a.cfg.Has(RoleSite) { // which serves them otherwise
			mux.Handle("GET /static/", a.floor.Static())
			a.site.Icons(mux)
		}
	}
	if a.cfg.Has(RoleDigest) {
		a.digest.Routes(mux)
	}
	if a.showcase != nil {
		a.showcase(mux)
	}
	return a.floor.Handler(mux)
}

func (a *App) deskRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", a.deskFloor.API("", a.healthz))
	a.desk.Routes(mux)
	a.pages.Routes(mux)
	drillDoors{a.drills, a}.routes(mux)
	mux.Handle("GET /static/", a.deskFloor.Static())
	a.site.Icons(mux)
	return a.deskFloor.Handler(mux)
}

func (a *App) opsRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metrics.handler())
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// healthz says that the process answers.
func (a *App) healthz(w http.ResponseWriter, _ *http.Request) error {
	return web.WriteJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz says that the process can do its work: the database answers, stories
// can flow, the devices are loaded.
func (a *App) readyz(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	problems := map[string]string{}
	if err := a.store.Ping(ctx); err != nil {
		problems["database"] = "does not answer"
	}
	if err := a.bus.Healthy(); err != nil {
		problems["nats"] = "not connected"
	}
	if a.cfg.Has(RoleDispatch) {
		select {
		case <-a.dispatch.Ready():
		default:
			problems["dispatch"] = "no cells yet: devices are being loaded, or other processes hold them"
		}
	}
	if len(problems) > 0 {
		return web.WriteJSON(w, http.StatusServiceUnavailable, map[string]any{"status": "not ready", "problems": problems})
	}
	return web.WriteJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

// serve runs the listeners under the group. When ctx ends they stop taking
// requests and let the ones they have finish.
func (a *App) serve(ctx context.Context, group *errgroup.Group) {
	start := func(l net.Listener, h http.Handler) {
		if l == nil {
			return
		}
		server := web.NewServer(h)
		group.Go(func() error {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("listener %s: %w", l.Addr(), err)
			}
			return nil
		})
		group.Go(func() error {
			<-ctx.Done()
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), StopWithin/2)
			defer cancel()
			if server.Shutdown(stop) != nil {
				// It was asked to stop and stops: a client that does not let go is no
				// fault of the process.
				a.log.Warn("requests were cut off at the stop", "component", "app", "listener", l.Addr().String())
				return server.Close()
			}
			return nil
		})
	}
	start(a.public, a.publicRoutes())
	start(a.ops, a.opsRoutes())
	start(a.deskDoor, a.deskRoutes())
}
