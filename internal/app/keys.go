package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"dateline/internal/news"
	"dateline/internal/push"
	"dateline/internal/store"
)

// Keys are the secrets of a deployment, ready to use.
type Keys struct {
	VAPID push.VAPID
	Link  []byte // 32
	Seal  []byte // 32
	Admin string
}

// keyFile is one secret: its variable, its file in the data folder, how a fresh
// one is made.
type keyFile struct {
	variable string
	file     string
	fresh    func() (string, error)
}

// adminKey is the one key that no stored data depend on.
const (
	adminKey  = "DATELINE_ADMIN_KEY"
	adminFile = "admin.key"
)

func keyFiles() []keyFile {
	return []keyFile{
		{"DATELINE_VAPID_KEY", vapidFile, freshVAPID},
		{"DATELINE_LINK_KEY", "link.key", fresh32},
		{"DATELINE_SEAL_KEY", "seal.key", fresh32},
		{adminKey, adminFile, fresh32},
	}
}

func freshVAPID() (string, error) {
	key, err := push.NewVAPIDKey()
	if err != nil {
		return "", err
	}
	return key.Secret(), nil
}

func fresh32() (string, error) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

// FreshKeys is a new set, as lines for an environment file.
func FreshKeys() (string, error) {
	var b strings.Builder
	for _, k := range keyFiles() {
		v, err := k.fresh()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s=%s\n", k.variable, v)
	}
	return b.String(), nil
}

// LoadKeys takes each key from the configuration, else from its file in the
// data folder, else makes a fresh one there (0600); beside a database only the
// admin key, since its data were sealed and signed with the others. Every fault
// is reported.
func LoadKeys(c *Config) (Keys, error) {
	set := c.keyTexts()
	var problems news.Problems
	// Looked at before the keys are: a first start beside us makes keys first.
	setUp := c.hasData()
	for _, k := range keyFiles() {
		if set[k.variable] != "" {
			continue
		}
		fresh := k.fresh
		if setUp && k.variable != adminKey {
			fresh = func() (string, error) { return "", errNoKey }
		}
		v, err := keyFromFile(filepath.Join(c.Data, k.file), fresh)
		if errors.Is(err, errNoKey) {
			err = c.keyMissing(k)
		}
		problems.Take(k.variable, err)
		set[k.variable] = v
	}
	if err := problems.Err(); err != nil {
		return Keys{}, err
	}
	keys, problems := parseKeys(set)
	return keys, problems.Err()
}

const vapidFile = "vapid.key"

// makesVAPIDKey reports whether LoadKeys will make a new one.
func (c *Config) makesVAPIDKey() bool {
	if c.VAPIDKey != "" || c.hasData() {
		return false
	}
	_, err := os.Stat(filepath.Join(c.Data, vapidFile))
	return errors.Is(err, os.ErrNotExist)
}

// errNoKey: the file is absent or empty, and no fresh key may take its place.
var errNoKey = errors.New("no key")

// hasData reports whether the data folder has a database with something in it.
func (c *Config) hasData() bool {
	if !c.embedded() {
		return false
	}
	info, err := os.Stat(filepath.Join(c.Data, databaseFile))
	return err == nil && info.Size() > 0
}

// keyMissing says of a key that the folder's database was set up with where it
// can be had.
func (c *Config) keyMissing(k keyFile) error {
	return fmt.Errorf("%s is missing; the database in %s was set up with it: restore it from the backup", k.file, c.Data)
}

// keyTexts are the keys of the configuration by their variables; "" : not set.
func (c *Config) keyTexts() map[string]string {
	return map[string]string{"DATELINE_VAPID_KEY": c.VAPIDKey, "DATELINE_LINK_KEY": c.LinkKey,
		"DATELINE_SEAL_KEY": c.SealKey, "DATELINE_ADMIN_KEY": c.AdminKey}
}

// parseKeys reads those keys that are there; whether all are is the caller's
// to know.
func parseKeys(texts map[string]string) (keys Keys, problems news.Problems) {
	parse := func(variable string, into func(text string) error) {
		if text := texts[variable]; text != "" {
			problems.Take(variable, into(text))
		}
	}
	parse("DATELINE_VAPID_KEY", func(text string) (err error) { keys.VAPID, err = push.ParseVAPIDKey(text); return err })
	parse("DATELINE_LINK_KEY", func(text string) (err error) { keys.Link, err = bytes32(text); return err })
	parse("DATELINE_SEAL_KEY", func(text string) (err error) { keys.Seal, err = bytes32(text); return err })
	parse("DATELINE_ADMIN_KEY", func(text string) error {
		keys.Admin = text
		if len(text) < 16 {
			return errors.New("must have 16 characters or more")
		}
		return nil
	})
	return keys, problems
}

// keyFromFile reads a key or makes it. A file that is there but can't be read
// is a fault: a fresh key in its place would cut off every reader.
func keyFromFile(path string, fresh func() (string, error)) (string, error) {
	raw, err := os.ReadFile(filepath.Clean(path))
	switch {
	case err == nil && len(strings.TrimSpace(string(raw))) == 0:
		return "", fmt.Errorf("%s is empty; restore it from the backup", path)
	case err == nil:
		return strings.TrimSpace(string(raw)), nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("the key file can't be read: %w", err)
	}
	v, err := fresh()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("the data folder can't be made: %w", err)
	}
	made, err := createWhole(path, v+"\n")
	switch {
	case err != nil:
		return "", fmt.Errorf("the key file can't be written: %w", err)
	case !made: // another command was faster: its key is the one
		return keyFromFile(path, fresh)
	}
	return v, nil
}

// createWhole makes a file with a content, for its owner alone, unless there
// is one. It is there whole or not at all, and on the disk before anything is
// sealed with what it holds: a key that is lost takes every reader with it.
func createWhole(path, content string) (made bool, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // 0600
	if err != nil {
		return false, err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already after the rename
	_, err = f.WriteString(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return false, err
	}
	switch err := os.Link(f.Name(), path); {
	case err == nil:
		return true, syncFolder(filepath.Dir(path))
	case errors.Is(err, fs.ErrExist):
		return false, nil
	}
	// A file system without hard links: the rename is as whole, and only two
	// first starts at the same moment could tell the difference.
	return true, errors.Join(os.Rename(f.Name(), path), syncFolder(filepath.Dir(path)))
}

// syncFolder puts a new name on the disk. Windows knows no such thing.
func syncFolder(folder string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(filepath.Clean(folder))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func bytes32(text string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil || len(raw) != 32 {
		return nil, errors.New("must be 32 bytes in base64url without padding; `dateline keys` prints a fresh one")
	}
	return raw, nil
}

// fingerprints names the keys that the stored data depend on without giving
// them away. The admin key may change at will.
func (k Keys) fingerprints() map[string]string {
	of := func(name string, key []byte) string {
		sum := sha256.Sum256(append([]byte("dateline fingerprint "+name+" "), key...))
		return hex.EncodeToString(sum[:8])
	}
	return map[string]string{
		"DATELINE_VAPID_KEY": of("vapid", []byte(k.VAPID.Secret())),
		"DATELINE_LINK_KEY":  of("link", k.Link),
		"DATELINE_SEAL_KEY":  of("seal", k.Seal),
	}
}

// strange explains keys that are not the database's. Where one came from the
// environment and the folder's own file fits, the way out is to unset it.
func (c *Config) strange(ctx context.Context, s *store.Store, keys Keys, err error) error {
	var invalid *news.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	var problems news.Problems
	for _, p := range invalid.Problems {
		for _, k := range keyFiles() {
			if k.variable == p.Path && c.keyTexts()[k.variable] != "" && c.fileFits(ctx, s, keys, k) {
				p.Message = fmt.Sprintf("is not the key this database is used with; unset %s: the folder's %s fits", k.variable, k.file)
			}
		}
		problems = append(problems, p)
	}
	return fmt.Errorf("the keys do not belong to this database; bring those it was set up with: %w", problems.Err())
}

// fileFits reports whether the key in the folder's file is the database's.
func (c *Config) fileFits(ctx context.Context, s *store.Store, keys Keys, k keyFile) bool {
	text, err := keyFromFile(filepath.Join(c.Data, k.file), func() (string, error) { return "", errNoKey })
	if err != nil {
		return false
	}
	own, problems := parseKeys(map[string]string{k.variable: text})
	if problems.Err() != nil {
		return false
	}
	prints := keys.fingerprints()
	prints[k.variable] = own.fingerprints()[k.variable]
	var invalid *news.InvalidError
	err = s.CompareFingerprints(ctx, prints)
	return err == nil || errors.As(err, &invalid) &&
		!slices.ContainsFunc(invalid.Problems, func(p news.Problem) bool { return p.Path == k.variable })
}
