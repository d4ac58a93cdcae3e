package connlog

import (
	"path/filepath"
	"strings"
	"time"
)

// A rotated file is named after the log and the moment of its rotation, so
// that names sort as the files do: connections.log becomes
// connections-20261123T142148.123456Z.log.
const stampLayout = "20060102T150405.000000Z"

func splitName(path string) (base, ext string) {
	ext = filepath.Ext(path)
	if ext == filepath.Base(path) { // a dot file has no extension
		ext = ""
	}
	return strings.TrimSuffix(path, ext), ext
}

func rotatedName(path string, stamp time.Time) string {
	base, ext := splitName(path)
	return base + "-" + stamp.UTC().Format(stampLayout) + ext
}

// rotatedAt is the inverse of rotatedName, for a name in the log's folder,
// compressed or not. ok is false for any other name.
func rotatedAt(path, name string) (stamp time.Time, compressed, ok bool) {
	base, ext := splitName(filepath.Base(path))
	rest, ok := strings.CutPrefix(name, base+"-")
	if !ok {
		return stamp, false, false
	}
	for _, suffix := range []string{".zst", ".gz"} {
		if cut, found := strings.CutSuffix(rest, suffix); found {
			rest, compressed = cut, true
		}
	}
	rest, ok = strings.CutSuffix(rest, ext)
	if !ok {
		return stamp, false, false
	}
	stamp, err := time.Parse(stampLayout, rest)
	return stamp, compressed, err == nil
}
