package news

import (
	"crypto/sha256"
	"maps"
	"slices"
	"strings"
)

// Record is what the audit trail keeps of a step with an alert: why, which
// content by its hash and, where they are new, the words that reach readers and
// whom they go to. It is text in lines, so that the chain holds it as it is:
//
//	why
//	content HASH
//	to LEVEL AUDIENCE
//	LANGUAGE	TITLE	BODY
//
// The last two are left out where nothing is new.
type Record struct {
	Why, Hash, To string
	Words         map[string]Text
}

// newWords are the steps after which an alert says something else.
var newWords = []string{"draft", "edit", "correct", "kill"}

// RecordOf is the record of a step, named as the trail does, after it was taken.
// A release names what it sends: a retraction's words are not the alert's.
func RecordOf(step, why string, a *Alert, sent *Release) Record {
	r := Record{Why: strings.Join(strings.Fields(why), " "), Hash: a.Hash()}
	if !slices.Contains(newWords, step) {
		return r
	}
	if step == "kill" && sent == nil {
		return r // nobody had read of it
	}
	r.To, r.Words = a.Level.String()+" "+a.Audience, a.Texts
	if sent != nil {
		r.Words = sent.Texts
	}
	return r
}

// String writes the record.
func (r Record) String() string {
	lines := []string{r.Why, "content " + r.Hash}
	if len(r.Words) > 0 {
		lines = append(lines, "to "+r.To)
	}
	for _, l := range slices.Sorted(maps.Keys(r.Words)) {
		lines = append(lines, l+"\t"+CleanLine(r.Words[l].Title)+"\t"+CleanLine(r.Words[l].Body))
	}
	return strings.Join(lines, "\n")
}

// ReadRecord reads what String wrote; any other text is a reason.
func ReadRecord(detail string) Record {
	lines := strings.Split(detail, "\n")
	if len(lines) < 2 || !strings.HasPrefix(lines[1], "content ") || len(lines[1]) != len("content ")+sha256.Size*2 {
		return Record{Why: detail}
	}
	r := Record{Why: lines[0], Hash: strings.TrimPrefix(lines[1], "content ")}
	for _, line := range lines[2:] {
		if parts := strings.Split(line, "\t"); len(parts) == 3 {
			if r.Words == nil {
				r.Words = map[string]Text{}
			}
			r.Words[parts[0]] = Text{Title: parts[1], Body: parts[2]}
		} else if to, ok := strings.CutPrefix(line, "to "); ok {
			r.To = to
		}
	}
	return r
}
