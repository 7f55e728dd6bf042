package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"dateline/internal/app"
)

// benchCommand is `dateline bench`.
type benchCommand struct {
	Push     benchPushCommand     `cmd:"" help:"One alert to many devices: with keys made ahead, its repair, and without; beside a webpush-go pool. With --outage: while two of four services are down."`
	Services benchServicesCommand `cmd:"" hidden:"" help:"The simulated services of a bench; started by it."`
}

func (benchCommand) Help() string {
	return "Everything runs in a folder of its own that is removed afterwards, against simulated services in a separate process on loopback; " +
		"DATABASE_URL, NATS_URL and SMTP_URL are ignored. CPU time is of the sender alone. Machines are noisy: compare ratios and CPU time, " +
		"not wall time of two runs. It ends with an error when a measurement is invalid: when one item was not accepted. " +
		"What every row means, and what real services allow: docs/performance.md."
}

// benched tells an interruption from a fault.
func benched(s *surroundings, err error) error {
	if err != nil && s.ctx.Err() != nil {
		return errors.New("interrupted; the folder and the simulated services are gone")
	}
	return err
}

type benchPushCommand struct {
	Devices  int           `help:"Devices." default:"100000"`
	Baseline int           `help:"Messages of each measurement of the baseline." default:"10000"`
	Rounds   int           `help:"How often everything is measured." default:"3"`
	Services int           `help:"Push services." default:"2"`
	RTT      time.Duration `help:"The services' delay before each answer." default:"0s"`
	Streams  int           `help:"Requests at once that a service takes on each connection." default:"1000"`
	Outage   bool          `help:"Measure alerts while one of four services hangs and another answers 429, beside alerts while all are well."`
	Pairs    int           `help:"Pairs of alerts with --outage." default:"7"`
	JSON     string        `help:"Write the figures to this file, too." placeholder:"FILE"`
	Profile  string        `help:"Write a CPU profile of the first armed alert to this file." placeholder:"FILE"`
}

func (benchPushCommand) Help() string {
	return "Publishes a breaking story and measures from the publication until every device's message is accepted and written down. " +
		"The baseline, a pool of webpush-go over the standard library's client, is measured in between. " +
		"--outage measures until 99 % of the devices of each healthy service are accepted, and gives the median ratio of the pairs; " +
		"--baseline, --rounds and --services are not used then."
}

func (c benchPushCommand) Run(s *surroundings) error {
	return benched(s, app.BenchPush{Bench: app.Bench{JSON: c.JSON, Out: os.Stdout}, Devices: c.Devices, Baseline: c.Baseline, Rounds: c.Rounds,
		Services: c.Services, RTT: c.RTT, Streams: c.Streams, Profile: c.Profile, Outage: c.Outage, Pairs: c.Pairs}.Run(s.ctx))
}

type benchServicesCommand struct {
	Plan string `arg:"" help:"What they are like (JSON)."`
}

func (c benchServicesCommand) Run(*surroundings) error {
	var plan app.BenchPlan
	if err := json.Unmarshal([]byte(c.Plan), &plan); err != nil {
		return fmt.Errorf("the services' description: %w", err)
	}
	return app.BenchServices(plan, os.Stdin, os.Stdout)
}
