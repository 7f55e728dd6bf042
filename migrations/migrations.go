// Package migrations holds the schema of both engines as numbered files, and
// nothing else. Each number exists for both; a test of package store holds
// the two live schemas against each other.
package migrations

import "embed"

// FS holds sqlite/*.sql and postgres/*.sql.
//
//go:embed sqlite/*.sql postgres/*.sql
var FS embed.FS
