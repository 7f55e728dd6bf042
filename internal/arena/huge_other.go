//go:build unix && !linux

package arena

func declineHugePages([]byte) {}
