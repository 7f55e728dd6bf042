package store

// HomeCell is where a device with this endpoint would be born.
func HomeCell(s *Store, endpoint string) int { return homeCell(s.seal.endpointMAC(endpoint)) }

// StreamChunk is how many devices are read at once.
const StreamChunk = streamChunk
