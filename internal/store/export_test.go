package store

import (
	"strconv"
	"strings"
)

// HomeCell is where a device with this endpoint would be born.
func HomeCell(s *Store, endpoint string) int { return homeCell(s.seal.endpointMAC(endpoint)) }

// StreamChunk is how many devices are read at once.
const StreamChunk = streamChunk

// AlertChangesQuery is what AlertChanges asks, with its values.
func AlertChangesQuery(after, limit int) string {
	q := strings.Replace(alertChanges, "?", strconv.Itoa(after), 1)
	return strings.Replace(q, "?", strconv.Itoa(limit), 1)
}
