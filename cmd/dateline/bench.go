package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"dateline/internal/app"
	"dateline/internal/news"
	"dateline/internal/simulate"
)

// benchCommand is `dateline bench`.
type benchCommand struct {
	Push     benchPushCommand     `cmd:"" help:"One alert to many devices: with keys made ahead, its repair, and without; beside a webpush-go pool."`
	Services benchServicesCommand `cmd:"" hidden:"" help:"The simulated services of a bench; started by it."`
}

func (benchCommand) Help() string {
	return "Everything runs in a folder of its own that is removed afterwards, against simulated services in a separate process on loopback; " +
		"DATABASE_URL, NATS_URL and SMTP_URL are ignored. CPU time is of the sender alone. Machines are noisy: compare ratios and CPU time, " +
		"not wall time of two runs. What real services allow is another matter: docs/performance.md."
}

type benchPushCommand struct {
	Devices  int           `help:"Devices." default:"100000"`
	Baseline int           `help:"Messages of each measurement of the baseline." default:"10000"`
	Rounds   int           `help:"How often everything is measured." default:"3"`
	Services int           `help:"Push services." default:"2"`
	RTT      time.Duration `help:"The services' delay before each answer." default:"0s"`
	Streams  int           `help:"Requests at once that a service takes on each connection." default:"1000"`
	JSON     string        `help:"Write the figures to this file, too." placeholder:"FILE"`
	Profile  string        `help:"Write a CPU profile of the first armed alert to this file." placeholder:"FILE"`
}

func (c benchPushCommand) Run(s *surroundings) error {
	var problems news.Problems
	for flag, n := range map[string]int{"--devices": c.Devices, "--baseline": c.Baseline, "--rounds": c.Rounds, "--services": c.Services, "--streams": c.Streams} {
		if n < 1 || n > 100_000_000 {
			problems.Add(flag, "must be 1 or more")
		}
	}
	if c.RTT < 0 {
		problems.Add("--rtt", "must be 0 or more")
	}
	if err := problems.Err(); err != nil {
		return err
	}
	return app.BenchPush{Devices: c.Devices, Baseline: c.Baseline, Rounds: c.Rounds, Services: c.Services, RTT: c.RTT, Streams: c.Streams,
		JSON: c.JSON, Profile: c.Profile, Out: os.Stdout}.Run(s.ctx)
}

type benchServicesCommand struct {
	Sinks string `arg:"" help:"What they are like (JSON)."`
}

func (c benchServicesCommand) Run(*surroundings) error {
	var sinks []simulate.SinkOptions
	if err := json.Unmarshal([]byte(c.Sinks), &sinks); err != nil {
		return fmt.Errorf("the services' description: %w", err)
	}
	return app.BenchServices(sinks, os.Stdin, os.Stdout)
}
