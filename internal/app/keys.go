package app

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"dateline/internal/news"
	"dateline/internal/push"
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

func keyFiles() []keyFile {
	return []keyFile{
		{"DATELINE_VAPID_KEY", "vapid.key", freshVAPID},
		{"DATELINE_LINK_KEY", "link.key", fresh32},
		{"DATELINE_SEAL_KEY", "seal.key", fresh32},
		{"DATELINE_ADMIN_KEY", "admin.key", fresh32},
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
	if _, err := rand.Read(raw); err != nil {
		return "", err
	}
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
// data folder, else makes a fresh one there (0600). Every fault is reported.
func LoadKeys(c *Config) (Keys, error) {
	set := map[string]string{"DATELINE_VAPID_KEY": c.VAPIDKey, "DATELINE_LINK_KEY": c.LinkKey,
		"DATELINE_SEAL_KEY": c.SealKey, "DATELINE_ADMIN_KEY": c.AdminKey}
	var problems news.Problems
	for _, k := range keyFiles() {
		if set[k.variable] != "" {
			continue
		}
		v, err := keyFromFile(filepath.Join(c.Data, k.file), k.fresh)
		problems.Take(k.variable, err)
		set[k.variable] = v
	}
	if err := problems.Err(); err != nil {
		return Keys{}, err
	}
	var keys Keys
	var err error
	keys.Admin = set["DATELINE_ADMIN_KEY"]
	keys.VAPID, err = push.ParseVAPIDKey(set["DATELINE_VAPID_KEY"])
	problems.Take("DATELINE_VAPID_KEY", err)
	keys.Link, err = bytes32(set["DATELINE_LINK_KEY"])
	problems.Take("DATELINE_LINK_KEY", err)
	keys.Seal, err = bytes32(set["DATELINE_SEAL_KEY"])
	problems.Take("DATELINE_SEAL_KEY", err)
	if len(keys.Admin) < 16 {
		problems.Add("DATELINE_ADMIN_KEY", "must have 16 characters or more")
	}
	return keys, problems.Err()
}

// keyFromFile reads a key or makes it. A file that is there but can't be read
// is a fault: a fresh key in its place would cut off every reader.
func keyFromFile(path string, fresh func() (string, error)) (string, error) {
	raw, err := os.ReadFile(filepath.Clean(path))
	switch {
	case err == nil && len(strings.TrimSpace(string(raw))) == 0:
		return "", fmt.Errorf("%s is empty; restore it from the backup, or remove it to start with new keys", path)
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
	if err := os.WriteFile(path, []byte(v+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("the key file can't be written: %w", err)
	}
	return v, nil
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
