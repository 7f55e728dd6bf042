// Package templates holds the pages and mails of the house, embedded: one
// folder per part, each with its own static files. It holds no code but this.
package templates

import "embed"

// FS holds site/, desk/, email/ and so on, whichever there are.
//
//go:embed */*.* */static/*
var FS embed.FS
