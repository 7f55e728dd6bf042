//go:build !race

package digest

const crowdReaders = fullCrowd
