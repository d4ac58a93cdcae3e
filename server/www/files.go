package www

import (
	_ "embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed welcome.html
var welcomePage []byte

// files returns what serves the folder, and the welcome page where it has no
// index.
func (p *Protocol) files() http.Handler {
	if p.root == nil {
		return http.HandlerFunc(welcome)
	}
	site := publicFS{p.root.FS()}
	server := http.FileServerFS(site)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			if _, err := fs.Stat(site, "index.html"); err != nil {
				welcome(w, r)
				return
			}
		}
		server.ServeHTTP(w, r)
	})
}

func welcome(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	lockDown(w.Header())
	_, _ = w.Write(welcomePage) // The client's loss.
}

// publicFS shows of a folder what everybody may see: regular files and folders
// that have an index, none with a hidden name on the way. Opening anything
// else, such as a pipe, could block a thread for good.
type publicFS struct{ fs.FS }

// Open implements fs.FS.
func (p publicFS) Open(name string) (fs.File, error) {
	if !p.isPublic(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return p.FS.Open(name)
}

func (p publicFS) isPublic(name string) bool {
	for i, element := range strings.Split(name, "/") {
		wellKnown := i == 0 && element == ".well-known" // RFC 8615
		if strings.HasPrefix(element, ".") && element != "." && !wellKnown {
			return false
		}
	}
	info, err := fs.Stat(p.FS, name)
	if err != nil {
		return false
	}
	if info.IsDir() {
		index, err := fs.Stat(p.FS, path.Join(name, "index.html"))
		return err == nil && index.Mode().IsRegular()
	}
	return info.Mode().IsRegular()
}
