package h2

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain: a connection that has ended leaves no goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
