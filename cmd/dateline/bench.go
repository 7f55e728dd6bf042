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
	Match    benchMatchCommand    `cmd:"" help:"Who gets an alert: planned in memory, beside a plain loop and SQL."`
	Digest   benchDigestCommand   `cmd:"" help:"Digest mails, unsigned and signed; beside go-mail with templates run for each reader."`
	Intake   benchIntakeCommand   `cmd:"" help:"Stories over NATS and HTTP until they are stored; beside NATS alone."`
	Signup   benchSignupCommand   `cmd:"" help:"Readers subscribe, change and leave over HTTP; beside the database alone."`
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
	Hold     time.Duration `help:"DATELINE_HOLD for the alert that is sent with a countdown, a flash: it lasts twice as long." default:"10s"`
	Pairs    int           `help:"Pairs of alerts with --outage." default:"7"`
	JSON     string        `help:"Write the figures to this file, too." placeholder:"FILE"`
	Profile  string        `help:"Write a CPU profile of the first armed alert to this file." placeholder:"FILE"`
}

func (benchPushCommand) Help() string {
	return "Publishes a breaking story and measures from its release until every device's message is accepted and written down; a flash that an editor releases, with countdown and canary, from the end of the countdown. " +
		"The baseline, a pool of webpush-go over the standard library's client, is measured in between. " +
		"--outage measures until 99 % of the devices of each healthy service are accepted, and gives the median ratio of the pairs; " +
		"--baseline, --rounds, --hold and --services are not used then."
}

func (c benchPushCommand) Run(s *surroundings) error {
	return benched(s, app.BenchPush{Bench: app.Bench{JSON: c.JSON, Out: os.Stdout}, Devices: c.Devices, Baseline: c.Baseline, Rounds: c.Rounds,
		Services: c.Services, RTT: c.RTT, Streams: c.Streams, Hold: c.Hold, Profile: c.Profile, Outage: c.Outage, Pairs: c.Pairs}.Run(s.ctx))
}

type benchMatchCommand struct {
	Devices     int    `help:"Devices in memory." default:"1000000"`
	Preferences int    `help:"Different preferences among them, at most." default:"200000"`
	Baseline    int    `help:"Devices of the plain loop, at most." default:"1000000"`
	Rounds      int    `help:"How often every story is planned each way." default:"5"`
	Postgres    string `help:"URL of a scratch database for the SQL plans; without one they are not run." placeholder:"URL"`
	JSON        string `help:"Write the figures to this file, too." placeholder:"FILE"`
}

func (benchMatchCommand) Help() string {
	return "Plans a story of a rare country, a common one, a continent and the world for devices in 38 time zones, half of them with quiet hours, " +
		"on one core, each time with a new matcher as each alert has one. A device takes about 0.4 KB in memory, one of the plain loop about 0.9 KB. " +
		"All ways must plan the same devices, or the measurement is invalid.\n\n" + scratch
}

// scratch is how to get a database for --postgres.
const scratch = "--postgres makes a schema of its own in the database and drops it at the end. To get a scratch database: `createdb scratch`, " +
	"then --postgres 'postgres:///scratch?host=/var/run/postgresql'; or " +
	"`docker run --rm -e POSTGRES_PASSWORD=x -p 5433:5432 postgres:17`, then --postgres 'postgres://postgres:x@localhost:5433/postgres?sslmode=disable'."

func (c benchMatchCommand) Run(s *surroundings) error {
	return benched(s, app.BenchMatch{Bench: app.Bench{JSON: c.JSON, Out: os.Stdout}, Devices: c.Devices, Preferences: c.Preferences,
		Baseline: c.Baseline, Rounds: c.Rounds, Postgres: c.Postgres}.Run(s.ctx))
}

type benchDigestCommand struct {
	Mails       int    `help:"Mails of each kind in a round." default:"2000"`
	Rounds      int    `help:"How often every kind has its turn." default:"5"`
	Connections int    `help:"Connections to the mail server." default:"4"`
	Stories     int    `help:"Stories in a mail; 20 make one of about 55 KB." default:"20"`
	JSON        string `help:"Write the figures to this file, too." placeholder:"FILE"`
}

func (benchDigestCommand) Help() string {
	return "Sends a digest to many readers: rendered once and printed for each, unsigned and with DKIM (RSA-2048); and, as the baseline, by go-mail with the " +
		"templates run for each reader, unsigned and signed by go-msgauth. The kinds take turns, over connections that last. " +
		"The mail server is often what limits the wall time: compare CPU time."
}

func (c benchDigestCommand) Run(s *surroundings) error {
	return benched(s, app.BenchDigest{Bench: app.Bench{JSON: c.JSON, Out: os.Stdout}, Mails: c.Mails, Rounds: c.Rounds,
		Connections: c.Connections, Stories: c.Stories}.Run(s.ctx))
}

type benchIntakeCommand struct {
	Stories    int    `help:"Stories of each measurement." default:"2000"`
	Publishers int    `help:"Publishers at once, beside a measurement with one." default:"16"`
	Rounds     int    `help:"How often everything is measured." default:"3"`
	Notices    bool   `help:"Stories of now, each of which raises a notice that is released, too; otherwise they are too old to."`
	JSON       string `help:"Write the figures to this file, too." placeholder:"FILE"`
}

func (benchIntakeCommand) Help() string {
	return "Publishes stories of about 1.5 KB, each publisher waiting for one answer before its next story: to a NATS server inside this process that nobody reads " +
		"(the baseline), to the program's NATS until each is stored, and to POST /api/v1/stories. NATS flushes to disk before each PubAck (SyncAlways). " +
		"CPU time is of the program with its NATS and SQLite; the publishers are in another process. The times of the NATS rows are from PubAck to stored."
}

func (c benchIntakeCommand) Run(s *surroundings) error {
	return benched(s, app.BenchIntake{Bench: app.Bench{JSON: c.JSON, Out: os.Stdout}, Stories: c.Stories, Publishers: c.Publishers, Rounds: c.Rounds,
		Notices: c.Notices}.Run(s.ctx))
}

type benchSignupCommand struct {
	Devices  int           `help:"Devices there already." default:"10000"`
	Rate     int           `help:"Requests a second." default:"200"`
	Lasts    time.Duration `help:"How long each kind of request goes on in a round." default:"10s"`
	Rounds   int           `help:"How often everything is measured." default:"3"`
	Postgres string        `help:"URL of a scratch database to use instead of SQLite." placeholder:"URL"`
	JSON     string        `help:"Write the figures to this file, too." placeholder:"FILE"`
}

func (benchSignupCommand) Help() string {
	return "Subscribes, changes and leaves at a pace; times count from when a request was due, not from when it was sent. The baseline writes the same rows " +
		"in a transaction of its own into copies of the tables in the same database, without HTTP, checks and sealing. " +
		"CPU time is of the program; the clients are in another process, and so is Postgres.\n\n" + scratch
}

func (c benchSignupCommand) Run(s *surroundings) error {
	return benched(s, app.BenchSignup{Bench: app.Bench{JSON: c.JSON, Out: os.Stdout}, Devices: c.Devices, Rate: c.Rate, Lasts: c.Lasts,
		Rounds: c.Rounds, Postgres: c.Postgres}.Run(s.ctx))
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
