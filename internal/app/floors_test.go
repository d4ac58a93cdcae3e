package app_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// listed is what go list says of one package of this module.
type listed struct {
	ImportPath  string
	Dir         string
	GoFiles     []string
	Imports     []string
	TestImports []string
}

// packages returns every package of this module.
func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports,TestImports", "overstay/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// mayImport gives, for each part of the tree, the parts it may import. A part
// is a path below the module and all below it.
var mayImport = map[string][]string{
	"connlog":            {},
	"connlog/bulk":       {"connlog", "internal/pile"},
	"connlog/formats":    {"connlog"},
	"banlist":            {},
	"server":             {"connlog"},
	"detector":           {"connlog", "detector/loss"},
	"detector/loss":      {},
	"detector/cause":     {"connlog", "detector/loss"},
	"detector/occupancy": {"connlog", "internal/pile"},
	"internal/traffic":   {"connlog"},
	"internal/app":       {"connlog", "connlog/bulk", "connlog/formats", "banlist", "server", "detector", "detector/loss", "detector/cause", "detector/occupancy", "internal/guard"},
	"internal/guard":     {"connlog"},
	"internal/page":      {},
	"internal/pile":      {},
	"internal/bench":     {"connlog/formats"},
	"internal/crowd":     {"internal/traffic"},
	"internal/score":     {"connlog", "detector", "detector/loss", "detector/cause", "internal/traffic"},
	"internal/soak":      {"server", "internal/app"},
	"cmd/overstay":       {"connlog", "connlog/bulk", "connlog/formats", "banlist", "server", "detector", "detector/loss", "detector/cause", "detector/occupancy", "internal/traffic", "internal/guard", "internal/page", "internal/app"},
}

// part returns the part of the tree that the package at an import path is in.
func part(importPath string) string {
	rel := strings.TrimPrefix(importPath, "overstay/")
	for ; rel != "." && rel != "overstay"; rel = path.Dir(rel) {
		if _, ok := mayImport[rel]; ok {
			return rel
		}
	}
	return ""
}

func TestImportsPointDown(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		from := part(p.ImportPath)
		if from == "" {
			t.Errorf("%s is on no floor: give it one here", p.ImportPath)
			continue
		}
		seen[from] = true
		for _, imported := range p.Imports {
			if !strings.HasPrefix(imported, "overstay/") {
				continue
			}
			to := part(imported)
			if to != from && !slices.Contains(mayImport[from], to) {
				t.Errorf("%s imports %s: %s may import only %v", p.ImportPath, imported, from, mayImport[from])
			}
		}
	}
	for from := range mayImport {
		if !seen[from] {
			t.Errorf("there is no %s any more", from)
		}
	}
}

// TestOnlyMainEndsTheProcess keeps exits and panics out of the packages, but
// for the one by which net/http lets a handler give up an answer.
func TestOnlyMainEndsTheProcess(t *testing.T) {
	ending := map[string][]string{
		"os": {"Exit"}, "log": {"Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln"},
	}
	eachFile(t, func(p listed, name string, file *ast.File) {
		if file.Name.Name == "main" {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch f := call.Fun.(type) {
			case *ast.Ident:
				if f.Name == "panic" && types.ExprString(call.Args[0]) != "http.ErrAbortHandler" {
					t.Errorf("%s/%s panics", p.ImportPath, name)
				}
			case *ast.SelectorExpr:
				if pkg, ok := f.X.(*ast.Ident); ok && slices.Contains(ending[pkg.Name], f.Sel.Name) {
					t.Errorf("%s/%s calls %s.%s", p.ImportPath, name, pkg.Name, f.Sel.Name)
				}
			}
			return true
		})
	})
}

// TestEachPackageHasItsGuide wants one package comment, in one file, that is
// more than a line.
func TestEachPackageHasItsGuide(t *testing.T) {
	comments := map[string][]string{}
	lines := map[string]int{}
	eachFile(t, func(p listed, name string, file *ast.File) {
		if file.Doc != nil {
			comments[p.ImportPath] = append(comments[p.ImportPath], name)
			lines[p.ImportPath] = strings.Count(file.Doc.Text(), "\n")
		}
	})
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		if got := comments[p.ImportPath]; len(got) != 1 {
			t.Errorf("%s has its package comment in %d files: %v", p.ImportPath, len(got), got)
		}
		if lines[p.ImportPath] < 3 {
			t.Errorf("%s: a package comment of %d lines is no guide", p.ImportPath, lines[p.ImportPath])
		}
	}
}

// eachFile parses every file of the module that is not a test.
func eachFile(t *testing.T, visit func(p listed, name string, file *ast.File)) {
	t.Helper()
	fset := token.NewFileSet()
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(fset, path.Join(p.Dir, name), nil, parser.ParseComments)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			visit(p, name, file)
		}
	}
}
