package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"dateline/internal/app"
	"dateline/internal/news"
)

// commandLine is every command with its flags; the help texts are the manual.
type commandLine struct {
	Data string `help:"Data folder (DATELINE_DATA; ./data)." placeholder:"DIR"`

	Serve   serveCommand   `cmd:"" help:"Run: pages, API, intake, dispatch, digests."`
	Demo    demoCommand    `cmd:"" help:"Show everything at work, with simulated phones and mailboxes; needs no set-up."`
	Publish publishCommand `cmd:"" help:"Publish stories to NATS."`
	Drill   drillCommand   `cmd:"" help:"Rehearse an alert from story to retraction with simulated phones, and report; it reaches nobody."`
	Bench   benchCommand   `cmd:"" help:"Measure this machine against simulated services, beside a baseline in the same run."`
	Doctor  doctorCommand  `cmd:"" help:"Check configuration, keys, database, NATS, mail and DNS, and say what to mend."`
	Alert   alertCommand   `cmd:"" help:"List, hold, resume, cancel or kill alerts, also when the site does not answer."`
	Editor  editorCommand  `cmd:"" help:"The newsroom's people."`
	Apikey  apikeyCommand  `cmd:"" help:"Keys with which editors use the API."`
	Import  importCommand  `cmd:"" help:"Import devices or readers."`
	Export  exportCommand  `cmd:"" help:"Export the audit trail."`
	Keys    keysCommand    `cmd:"" help:"Print a fresh set of keys as environment lines."`
	Migrate migrateCommand `cmd:"" help:"Bring the database's schema up to date."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// surroundings is what a command gets beside its own flags.
type surroundings struct {
	ctx context.Context //nolint:containedctx // kong hands values, not contexts
	cli *commandLine
}

// config reads the environment, with the flags given on the command line over
// it.
func (s *surroundings) config(flags map[string]string) (app.Config, error) {
	return app.Load(func(name string) string {
		if v := flags[name]; v != "" {
			return v
		}
		if name == "DATELINE_DATA" && s.cli.Data != "" {
			return s.cli.Data
		}
		return os.Getenv(name)
	})
}

func about() string {
	return "Breaking-news alerts by Web Push and a daily digest by mail, for a newsroom that covers all of Asia.\n\n" +
		"Try it:  dateline demo"
}

// help adds the settings to the manual of serve and doctor.
func help(options kong.HelpOptions, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	if node := ctx.Selected(); node == nil || node.Name != "serve" && node.Name != "doctor" {
		return nil
	}
	out := ctx.Stdout
	fmt.Fprint(out, "\nSettings (environment; secrets also as NAME_FILE):\n")
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, v := range app.Variables() {
		fmt.Fprintf(table, "  %s\t%s (default: %s)\n", v.Name, v.What, v.Default)
	}
	return table.Flush()
}

type serveCommand struct {
	Listen    string `help:"Listen address of pages and API (DATELINE_LISTEN)." placeholder:"HOST:PORT"`
	OpsListen string `help:"Listen address of metrics (DATELINE_OPS_LISTEN)." placeholder:"HOST:PORT"`
	BaseURL   string `help:"What readers see (DATELINE_BASE_URL)." name:"base-url" placeholder:"URL"`
	Roles     string `help:"What this process does (DATELINE_ROLES); several processes need Postgres." placeholder:"LIST"`
}

func (serveCommand) Help() string {
	return "Without any configuration it uses SQLite and an embedded NATS in the data folder and keeps mails in an outbox " +
		"inside the program. SIGTERM drains within 10 s; a second one ends it at once."
}

func (c serveCommand) Run(s *surroundings) error {
	cfg, err := s.config(map[string]string{"DATELINE_LISTEN": c.Listen, "DATELINE_OPS_LISTEN": c.OpsListen,
		"DATELINE_BASE_URL": c.BaseURL, "DATELINE_ROLES": c.Roles})
	if err != nil {
		return err
	}
	return app.Serve(s.ctx, cfg, os.Stderr)
}

type demoCommand struct {
	Once    bool   `help:"Exit after the account: 0 when everybody who should have got the alert did, and nobody else."`
	Devices int    `help:"Simulated phones." default:"10000"`
	Readers int    `help:"Simulated digest readers." default:"500"`
	Listen  string `help:"Listen address (127.0.0.1:8080; with --once a free port)." placeholder:"HOST:PORT"`
}

func (demoCommand) Help() string {
	return "Starts everything inside this one process: embedded NATS, SQLite, an outbox, simulated push services and phones. " +
		"It loads a newsroom day, publishes it, releases one breaking story and runs the digests that fall due, then stays up. " +
		"It ignores DATABASE_URL, NATS_URL and SMTP_URL, has a folder and keys of its own (--data, default ./demo-data), " +
		"and reaches nobody but a browser that you subscribe on its page."
}

func (c demoCommand) Run(s *surroundings) error {
	return app.Demo(s.ctx, app.DemoOptions{Once: c.Once, Devices: c.Devices, Readers: c.Readers, Listen: c.Listen,
		Folder: s.cli.Data, Out: os.Stdout})
}

type publishCommand struct {
	Files   []string `arg:"" optional:"" help:"Story files (JSON, one story or a list); - for standard input." name:"file"`
	Example bool     `help:"Print a story of this moment, ready to be published, and publish nothing."`
}

func (publishCommand) Help() string {
	return "Every file is checked first; with a fault in any of them nothing is published. Stories go to NATS_URL, or to the " +
		"embedded NATS of the dateline that runs on the data folder. Fields that no story has, and stories too old to raise an " +
		"alert by themselves, are warned of and published. To begin with: `dateline publish --example > story.json`. The schema is at /schema/story.json of a running dateline."
}

func (c publishCommand) Run(s *surroundings) error {
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	switch {
	case c.Example && len(c.Files) > 0:
		return news.Invalid("--example", "prints a story and publishes none: leave the files away")
	case c.Example:
		body, err := app.ExampleStory(time.Now(), cfg.StoryHosts)
		if err != nil {
			return err
		}
		_, err = os.Stdout.Write(body)
		return err
	case len(c.Files) == 0:
		return news.Invalid("FILE", "is required: a story, or - for standard input; `dateline publish --example` prints one")
	}
	return app.Publish(s.ctx, &cfg, c.Files, os.Stdin, os.Stdout, os.Stderr)
}

type drillCommand struct {
	Devices int  `help:"Simulated phones, 10 to 50,000." default:"2000"`
	JSON    bool `name:"json" help:"Print the report as JSON, and nothing else on standard output."`
}

func (drillCommand) Help() string {
	return "A scripted rehearsal in this process: a story comes in, an alert is written, submitted, approved by a second editor, " +
		"released, undone in its countdown, released again, held in the middle and resumed, corrected and killed; a second " +
		"one is released alone, undone, reviewed and cancelled. Then the report: " +
		"when each step happened, how soon it took effect, and whether the counts of the desk are those of the simulated push " +
		"services. The exit code is 0 when everything worked. It never touches the data folder, the database, NATS or readers: " +
		"it has a database and keys of its own in a temporary folder, which is removed, and connects to its own simulated " +
		"push services only. A drill for people is started on the desk, under Drill."
}

func (c drillCommand) Run(s *surroundings) error {
	return app.Drill(s.ctx, app.DrillRun{Devices: c.Devices, JSON: c.JSON, Out: os.Stdout, Progress: app.NewProgress(os.Stderr, "rehearsing")})
}

type doctorCommand struct{}

func (doctorCommand) Help() string {
	return "It runs the checks of a start and those that need the network, and changes nothing. Lines that begin with MEND are " +
		"faults (the exit code is then 1), notes are worth a look: something is at its default, or not there yet."
}

func (doctorCommand) Run(s *surroundings) error {
	cfg, err := s.config(nil)
	return app.Doctor(s.ctx, cfg, err, os.Stdout)
}

type alertCommand struct {
	List   alertListCommand   `cmd:"" help:"The newest alerts: id, state, level, accepted of intended devices, story, title."`
	Show   alertShowCommand   `cmd:"" help:"One alert and its counts."`
	Hold   alertHoldCommand   `cmd:"" help:"Stop sends from starting; reversible."`
	Resume alertResumeCommand `cmd:"" help:"Undo a hold. An alert held during its countdown waits to be released again."`
	Cancel alertCancelCommand `cmd:"" help:"End an alert; what went out stays."`
	Kill   alertKillCommand   `cmd:"" help:"End an alert and retract it from everybody who was sent it."`
}

func (alertCommand) Help() string {
	return "It works on the database, with the rights of the system, whether or not a dateline serves it; every dispatcher " +
		"sees the step within half a second. The audit trail keeps the reason, the user of this shell and the name given " +
		"with --by. `dateline alert list` names the IDs."
}

type alertListCommand struct{}

func (alertListCommand) Run(s *surroundings) error {
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	return app.ListAlerts(s.ctx, &cfg, os.Stdout)
}

type alertShowCommand struct {
	ID string `arg:"" help:"Alert."`
}

func (c alertShowCommand) Run(s *surroundings) error {
	return s.press(app.AlertPress{Step: app.AlertShow, ID: c.ID})
}

// spokesman is who has a step taken.
type spokesman struct {
	By string `help:"Who says so, for the record, beside the user of this shell." placeholder:"NAME"`
}

type alertHoldCommand struct {
	ID     string `arg:"" help:"Alert."`
	Reason string `help:"Why, for the record; the desk shows it." placeholder:"TEXT"`
	spokesman
}

func (c alertHoldCommand) Run(s *surroundings) error {
	return s.press(app.AlertPress{Step: app.AlertHold, ID: c.ID, Reason: c.Reason, By: c.By})
}

type alertResumeCommand struct {
	ID string `arg:"" help:"Alert."`
	spokesman
}

func (c alertResumeCommand) Run(s *surroundings) error {
	return s.press(app.AlertPress{Step: app.AlertResume, ID: c.ID, By: c.By})
}

type alertCancelCommand struct {
	ID     string `arg:"" help:"Alert."`
	Reason string `help:"Why, for the record; the desk shows it." placeholder:"TEXT"`
	spokesman
}

func (c alertCancelCommand) Run(s *surroundings) error {
	return s.press(app.AlertPress{Step: app.AlertCancel, ID: c.ID, Reason: c.Reason, By: c.By})
}

type alertKillCommand struct {
	ID     string `arg:"" help:"Alert."`
	Reason string `help:"Why, for the record; required. Readers do not see it: the retraction's text is fixed, in each reader's language." placeholder:"TEXT"`
	spokesman
}

func (c alertKillCommand) Run(s *surroundings) error {
	return s.press(app.AlertPress{Step: app.AlertKill, ID: c.ID, Reason: c.Reason, By: c.By})
}

func (s *surroundings) press(p app.AlertPress) error {
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	return app.StepAlert(s.ctx, &cfg, p, os.Stdout)
}

type editorCommand struct {
	Add    editorAddCommand    `cmd:"" help:"Add a person, or give one another role or a new invitation to the desk."`
	List   editorListCommand   `cmd:"" help:"Who is in the newsroom, who has joined, and when each signed in last."`
	Remove editorRemoveCommand `cmd:"" help:"Take a person out: her keys and sessions end at once."`
}

type editorListCommand struct{}

func (editorListCommand) Run(s *surroundings) error {
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	return app.ListEditors(s.ctx, &cfg, os.Stdout)
}

type editorRemoveCommand struct {
	Name string `arg:"" help:"Name."`
}

func (c editorRemoveCommand) Run(s *surroundings) error {
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	return app.RemoveEditor(s.ctx, &cfg, c.Name, os.Stdout)
}

type editorAddCommand struct {
	Name string `arg:"" help:"Name."`
	Role string `help:"reporter (sends stories, drafts), editor (and approves others', releases, holds, kills, corrects, runs digests), chief (the same)." placeholder:"reporter|editor|chief" enum:"reporter,editor,chief" required:""`
}

func (c editorAddCommand) Run(s *surroundings) error {
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	return app.AddEditor(s.ctx, &cfg, c.Name, news.Role(c.Role), os.Stdout)
}

type apikeyCommand struct {
	Add    apikeyAddCommand    `cmd:"" help:"Make a key; it is printed alone on the last line, this once."`
	List   apikeyListCommand   `cmd:"" help:"The keys that work: id, editor, scopes, end."`
	Revoke apikeyRevokeCommand `cmd:"" help:"End a key at once."`
}

type apikeyListCommand struct{}

func (apikeyListCommand) Run(s *surroundings) error {
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	return app.ListAPIKeys(s.ctx, &cfg, os.Stdout)
}

type apikeyRevokeCommand struct {
	ID string `arg:"" help:"Key, by the id that list shows."`
}

func (c apikeyRevokeCommand) Run(s *surroundings) error {
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	return app.RevokeAPIKey(s.ctx, &cfg, c.ID, os.Stdout)
}

type apikeyAddCommand struct {
	Editor string   `help:"Whose key." required:"" placeholder:"NAME"`
	Scopes []string `help:"What it may do: ${scopes}." required:"" placeholder:"a,b"`
	For    span     `help:"How long it lasts, such as 12h or 90d. Default: until it is revoked; a key that can approve or release: 24h, and never longer." placeholder:"DURATION"`
}

// span is a time that may be given in days.
type span time.Duration

// UnmarshalText is how the flag parser reads it.
func (s *span) UnmarshalText(text []byte) error {
	d, err := app.ParseSpan(string(text))
	*s = span(d)
	return err
}

func (c apikeyAddCommand) Run(s *surroundings) error {
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	return app.AddAPIKey(s.ctx, &cfg, c.Editor, c.Scopes, time.Duration(c.For), os.Stdout)
}

type importCommand struct {
	Devices importDevicesCommand `cmd:"" help:"Push subscriptions: one body of POST /api/v1/subscriptions a line. Rejected lines are named, the others stored; it may run beside serve."`
	Readers importReadersCommand `cmd:"" help:"Confirmed digest readers: one body of POST /api/v1/digests a line, with confirmedAt (and requestedAt, source, textVersion)."`
}

type importDevicesCommand struct {
	File string `arg:"" help:"JSON lines; - for standard input."`
}

func (c importDevicesCommand) Run(s *surroundings) error {
	return s.importing(c.File, "devices", app.Import.Devices)
}

type importReadersCommand struct {
	File string `arg:"" help:"JSON lines; - for standard input."`
}

func (c importReadersCommand) Run(s *surroundings) error {
	return s.importing(c.File, "readers", app.Import.Readers)
}

func (s *surroundings) importing(file, what string, do func(app.Import, context.Context) (app.ImportResult, error)) error {
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	progress := app.NewProgress(os.Stderr, "importing "+what)
	result, err := do(app.Import{Config: &cfg, File: file, Stdin: os.Stdin, Out: os.Stdout, Progress: progress}, s.ctx)
	progress.Done()
	if err == nil || result.Lines > 0 {
		fmt.Fprintf(os.Stdout, "%d lines: %d stored, %d rejected\n", result.Lines, result.Stored, result.Rejected)
	}
	if err == nil && result.Stored == 0 && result.Rejected > 0 {
		return errors.New("every line was rejected; nothing is stored")
	}
	return err
}

type exportCommand struct {
	Audit exportAuditCommand `cmd:"" help:"The audit trail: who did what, as JSON lines on standard output, oldest first."`
}

type exportAuditCommand struct{}

func (exportAuditCommand) Help() string {
	return "Each line has seq, at, by, action, subject, detail and hash; the hash is over the line and the hash of the line " +
		"before. The chain is checked on the way: where it is broken the export ends with an error that names the line. " +
		"It may run beside serve."
}

func (exportAuditCommand) Run(s *surroundings) error {
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	return app.ExportAudit(s.ctx, &cfg, os.Stdout)
}

type keysCommand struct{}

func (keysCommand) Help() string {
	return "For a deployment with DATABASE_URL, where every process needs the same keys: `(umask 077; dateline keys > keys.env)`, once, and " +
		"`set -a; . ./keys.env; set +a` before each start. Keep a copy apart from the database: without the seal key its " +
		"addresses can't be read, without the VAPID key every device has to subscribe again. Nothing is stored by this command."
}

func (keysCommand) Run(*surroundings) error {
	lines, err := app.FreshKeys()
	if err != nil {
		return err
	}
	_, err = io.WriteString(os.Stdout, lines)
	return err
}

type migrateCommand struct{}

func (migrateCommand) Help() string {
	return "`dateline serve` does the same at its start. By itself it is for an upgrade in steps: the version before this one " +
		"works on the new schema, too. Back up first."
}

func (migrateCommand) Run(s *surroundings) error {
	cfg, err := s.config(nil)
	if err != nil {
		return err
	}
	return app.Migrate(s.ctx, &cfg, os.Stdout)
}

type versionCommand struct{}

func (versionCommand) Run(*surroundings) error {
	_, err := fmt.Fprintln(os.Stdout, strings.TrimSpace("dateline "+app.Version()))
	return err
}
