// Command dateline turns published stories into breaking-news alerts on
// readers' phones and a daily digest in their mailboxes.
//
// `dateline --help` and `dateline COMMAND --help` are its manual.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"dateline/internal/app"
	"dateline/internal/news"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

// run parses the command line, runs the command and gives the exit code: 0
// done, 1 failed, 2 the command line or the configuration is wrong.
func run(args []string) int {
	var cli commandLine
	parser, err := kong.New(&cli, kong.Name("dateline"), kong.Description(about()),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.Help(help), kong.Vars{"scopes": strings.Join(news.Scopes(), ", ")})
	if err != nil {
		fmt.Fprintln(os.Stderr, "dateline:", err)
		return 2
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "dateline: %v; `%s --help` is the manual\n", err, spoken(err))
		return 2
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan int, 1)
	go func() { done <- work(ctx, command, &cli) }()
	select {
	case code := <-done:
		return code
	case <-signals:
		stop() // an orderly stop
	}
	select {
	case code := <-done:
		return code
	case <-signals:
		fmt.Fprintln(os.Stderr, "dateline: stopped at once")
	case <-time.After(app.StopWithin): // every part has its own, shorter bound; this one holds if one breaks it
		fmt.Fprintf(os.Stderr, "dateline: still not stopped after %s; stopped at once\n", app.StopWithin)
	}
	return 1
}

// spoken is as much of the command line as was understood.
func spoken(err error) string {
	var fault *kong.ParseError
	if errors.As(err, &fault) && fault.Context != nil {
		if node := fault.Context.Selected(); node != nil {
			return node.FullPath()
		}
	}
	return "dateline"
}

// work runs the command and gives its exit code.
func work(ctx context.Context, command *kong.Context, cli *commandLine) int {
	if err := command.Run(&surroundings{ctx: ctx, cli: cli}); err != nil {
		return report(err)
	}
	return 0
}

// report says what went wrong, one line per fault.
func report(err error) int {
	var invalid *news.InvalidError
	if errors.As(err, &invalid) && len(invalid.Problems) > 1 {
		// What a command says before its faults: "nothing was published: ".
		what, found := strings.CutSuffix(err.Error(), invalid.Error())
		if !found {
			what = ""
		}
		fmt.Fprintf(os.Stderr, "dateline: %s%d things need mending:\n", app.Plain(what), len(invalid.Problems))
		for _, p := range invalid.Problems {
			fmt.Fprintf(os.Stderr, "  %s: %s\n", p.Path, app.Plain(p.Message))
		}
		return 2
	}
	fmt.Fprintln(os.Stderr, "dateline:", app.Plain(err.Error()))
	if errors.Is(err, news.ErrInvalid) {
		return 2
	}
	return 1
}
