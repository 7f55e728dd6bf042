package push

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain: a closed sender leaves no goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
