package news

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCanarySize(t *testing.T) {
	for planned, want := range map[int]int{0: 0, 1_999: 0, 2_000: 20, 5_050: 50, 19_999: 199, 20_000: 200, 1_000_000: 200} {
		if got := CanarySize(planned); got != want {
			t.Errorf("of %d devices %d go first, want %d", planned, got, want)
		}
	}
}

// The canary is exactly the devices with the lowest hashes of the whole plan,
// those held for the morning left out, however the rows come.
func TestCanaryDevices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rows []*LedgerRow
		type device struct {
			hash   uint64
			cell   int
			number uint32
		}
		var all []device
		seed := canarySeed("release")
		for cell := range rapid.IntRange(1, 40).Draw(t, "cells") {
			row := NewLedgerRow("release", cell)
			for n := range uint32(rapid.IntRange(0, 160).Draw(t, "devices")) {
				row.Planned.Add(n)
				if n%7 == 3 {
					row.Held.Add(n)
					continue
				}
				all = append(all, device{canaryHash(seed, cell, n), cell, n})
			}
			rows = append(rows, row)
		}
		slices.SortFunc(all, func(x, y device) int { return cmp.Compare(x.hash, y.hash) })
		want := all[:CanarySize(len(all))]
		got, n := CanaryDevices("release", rapid.Permutation(rows).Draw(t, "order")), 0
		for _, members := range got {
			n += int(members.GetCardinality())
		}
		if n != len(want) {
			t.Fatalf("%d devices, want %d of %d", n, len(want), len(all))
		}
		for _, d := range want {
			if got[d.cell] == nil || !got[d.cell].Contains(d.number) {
				t.Fatalf("device %d of cell %d is missing", d.number, d.cell)
			}
		}
	})
}

// Another alert begins with other readers.
func TestCanariesDiffer(t *testing.T) {
	row := NewLedgerRow("", 3)
	row.Planned.AddRange(0, 20_000)
	one, two := CanaryDevices("one", []*LedgerRow{row})[3], CanaryDevices("two", []*LedgerRow{row})[3]
	if both := one.AndCardinality(two); both > 20 {
		t.Errorf("%d of 200 are the same", both)
	}
}

func TestJudgeCanary(t *testing.T) {
	const fcm, mozilla = "https://fcm.googleapis.com", "https://updates.push.services.mozilla.com"
	tally := func(size, accepted, gone, refused, troubled int) CanaryTally {
		return CanaryTally{Size: size, Accepted: accepted, Gone: gone, Refused: refused, Troubled: troubled}
	}
	for _, c := range []struct {
		name     string
		rows     int
		planned  int
		services map[string]CanaryTally
		after    time.Duration
		want     Phase
		why      string
	}{
		{name: "not all cells are planned", rows: 255, planned: 90_000, after: time.Second, want: PhaseCanary},
		{name: "nor will be soon", rows: 255, planned: 90_000, after: 3 * time.Second, want: PhaseAll, why: "longer than it may wait"},
		{name: "few devices", rows: Cells, planned: 1_999, want: PhaseAll},
		{name: "chosen, none answered", rows: Cells, planned: 20_000, want: PhaseCanary},
		{name: "some answered", rows: Cells, planned: 20_000, services: map[string]CanaryTally{fcm: tally(200, 199, 0, 0, 0)}, want: PhaseCanary},
		{name: "all accepted", rows: Cells, planned: 20_000, services: map[string]CanaryTally{fcm: tally(200, 200, 0, 0, 0)}, want: PhaseAll, why: "200 of 200"},
		{name: "the gone are no failures", rows: Cells, planned: 20_000, services: map[string]CanaryTally{fcm: tally(200, 100, 100, 0, 0)}, want: PhaseAll, why: "100 of 200"},
		{name: "five in a hundred", rows: Cells, planned: 20_000, services: map[string]CanaryTally{fcm: tally(200, 190, 0, 10, 0)}, want: PhaseAll},
		{name: "one more", rows: Cells, planned: 20_000, services: map[string]CanaryTally{fcm: tally(200, 189, 0, 11, 0)}, want: PhasePaused, why: "11 of the first 200"},
		{name: "enough refusals at once", rows: Cells, planned: 20_000, services: map[string]CanaryTally{fcm: tally(200, 3, 0, 11, 0)}, want: PhasePaused},
		{name: "troubles may pass", rows: Cells, planned: 20_000, services: map[string]CanaryTally{fcm: tally(200, 3, 0, 0, 100)}, want: PhaseCanary},
		{name: "and did not", rows: Cells, planned: 20_000, services: map[string]CanaryTally{fcm: tally(200, 3, 0, 0, 100)}, after: 3 * time.Second, want: PhasePaused},
		{name: "everywhere", rows: Cells, planned: 20_000, services: map[string]CanaryTally{fcm: tally(150, 0, 0, 0, 150), mozilla: tally(50, 0, 0, 0, 50)}, want: PhasePaused, why: "200 of the first 200"},
		{name: "at one service alone", rows: Cells, planned: 20_000, services: map[string]CanaryTally{fcm: tally(150, 150, 0, 0, 0), mozilla: tally(50, 0, 0, 0, 50)}, want: PhaseAll},
		{name: "refusals at one service alone", rows: Cells, planned: 20_000, services: map[string]CanaryTally{fcm: tally(150, 150, 0, 0, 0), mozilla: tally(50, 0, 0, 50, 0)}, want: PhasePaused},
		{name: "silence", rows: Cells, planned: 20_000, services: map[string]CanaryTally{fcm: tally(200, 0, 0, 0, 0)}, after: 3 * time.Second, want: PhaseAll, why: "0 of 200"},
		{name: "nearly all in time", rows: Cells, planned: 20_000, services: map[string]CanaryTally{fcm: tally(200, 180, 0, 0, 0)}, after: 3 * time.Second, want: PhaseAll, why: "180 of 200"},
	} {
		got, why := JudgeCanary(&CanaryFigures{Rows: c.rows, Planned: c.planned, Tallies: c.services}, c.after)
		if got != c.want || !strings.Contains(why, c.why) {
			t.Errorf("%s: %s %q, want %s %q", c.name, got, why, c.want, c.why)
		}
	}
}

// A canary that went badly holds the alert; whoever resumes it sends to all.
func TestMoveCanary(t *testing.T) {
	for _, c := range []struct {
		state     AlertState
		to        Phase
		want      AlertState
		freeze    bool
		forbidden bool
	}{
		{state: AlertSending, to: PhaseAll, want: AlertSending},
		{state: AlertSending, to: PhasePaused, want: AlertHeld, freeze: true},
		{state: AlertHeld, to: PhaseAll, forbidden: true},
		{state: AlertHeld, to: PhasePaused, forbidden: true},
		{state: AlertCancelled, to: PhaseAll, forbidden: true},
		{state: AlertKilled, to: PhasePaused, forbidden: true},
		{state: AlertSent, to: PhaseAll, forbidden: true},
	} {
		a := Alert{State: c.state, HeldFrom: AlertSending}
		action, err := MoveCanary(&a, c.to, "why")
		switch {
		case c.forbidden != (err != nil):
			t.Errorf("%s to %s: %v", c.state, c.to, err)
		case !c.forbidden && (a.State != c.want || action.Freeze != c.freeze || action.Phase != c.to || action.Audit != "canary"):
			t.Errorf("%s to %s: %s, %+v", c.state, c.to, a.State, action)
		}
	}
	a := Alert{State: AlertSending}
	if _, err := MoveCanary(&a, PhasePaused, "too many"); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(&a, Person{Name: "ana"}); err != nil || a.State != AlertSending || a.Reason != "" {
		t.Errorf("resumed: %s %q %v", a.State, a.Reason, err)
	}
}

func BenchmarkCanaryDevices(b *testing.B) {
	rows := make([]*LedgerRow, Cells)
	for i := range rows {
		rows[i] = NewLedgerRow("release", i)
		rows[i].Planned.AddRange(0, 1_000_000/Cells)
	}
	for b.Loop() {
		if n := len(CanaryDevices(fmt.Sprint(b.N), rows)); n == 0 {
			b.Fatal("nobody")
		}
	}
}
