package main

import (
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

const folderPath = "/folder/"

// serve answers plain HTTPS on a datastore's files: GET and HEAD with ranges, listings of folders, PUT, DELETE.
func (f *files) serve(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, folderPath) {
			next.ServeHTTP(w, r)
			return
		}
		at, status := f.locate(r.URL)
		if status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
		info, err := os.Stat(at.local)
		isFolder := err == nil && info.IsDir()
		switch {
		case r.Method == http.MethodDelete:
			f.remove(w, at)
		case r.Method == http.MethodPut || r.Method == http.MethodPost:
			f.upload(w, r, at, isFolder, err == nil)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case isFolder:
			list(w, at)
		case err != nil:
			w.WriteHeader(http.StatusNotFound)
		default:
			download(w, r, at, info)
		}
	})
}

// locate finds what an address names; without a datacenter or a datastore, it must be the only one.
func (f *files) locate(address *url.URL) (*place, int) {
	inside := strings.Trim(strings.TrimPrefix(address.Path, folderPath), "/")
	if strings.Contains(address.Path, "..") {
		return nil, http.StatusBadRequest
	}
	center, name := strings.Trim(address.Query().Get("dcPath"), "/"), address.Query().Get("dsName")
	var found []*simulator.Datastore
	for _, entity := range f.registry.All("Datastore") {
		store := entity.(*simulator.Datastore)
		if (name == "" || store.Name == name) && (center == "" || f.isIn(store, center)) {
			found = append(found, store)
		}
	}
	if len(found) != 1 {
		return nil, http.StatusNotFound
	}
	return &place{found[0], inside, filepath.Join(found[0].Summary.Url, filepath.FromSlash(inside))}, http.StatusOK
}

// isIn says whether a datastore is in the datacenter of a path, as it is written in addresses.
func (f *files) isIn(store *simulator.Datastore, center string) bool {
	own, ok := f.registry.Get(datacenterOf(f.registry, store)).(*simulator.Datacenter)
	return ok && own.Name == path.Base(center)
}

// list answers with a folder's files as links.
func list(w http.ResponseWriter, at *place) {
	entries, err := os.ReadDir(at.local)
	if err != nil {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, "<html><title>Index of %s</title><body><ul>\n", html.EscapeString(at.name()))
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() {
			name += "/"
		}
		link := url.URL{Path: folderPath + path.Join(at.path, entry.Name()), RawQuery: "dsName=" + url.QueryEscape(at.store.Name)}
		_, _ = fmt.Fprintf(w, "<li><a href=\"%s\">%s</a></li>\n", html.EscapeString(link.String()), html.EscapeString(name))
	}
	_, _ = fmt.Fprint(w, "</ul></body></html>\n")
}

func download(w http.ResponseWriter, r *http.Request, at *place, info fs.FileInfo) {
	file, err := os.Open(at.local)
	if err != nil {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	defer func() { _ = file.Close() }()
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/octet-stream")
	}
	http.ServeContent(w, r, info.Name(), info.ModTime(), file)
}

// upload takes a file; POST refuses one that is there, and a datastore that is full anything.
func (f *files) upload(w http.ResponseWriter, r *http.Request, at *place, isFolder, exists bool) {
	switch {
	case f.rules.full.has(at.store.Name):
		w.WriteHeader(http.StatusInsufficientStorage)
		return
	case isFolder || at.path == "" || exists && r.Method == http.MethodPost:
		w.WriteHeader(http.StatusConflict)
		return
	}
	if err := take(r.Body, at.local); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusOK)
}

func take(body io.Reader, local string) error {
	if err := os.MkdirAll(filepath.Dir(local), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(local, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, body)
	return errors.Join(err, file.Close())
}

func (f *files) remove(w http.ResponseWriter, at *place) {
	switch at.delete(f.open(&simulator.Context{Map: f.registry})).(type) {
	case nil:
		w.WriteHeader(http.StatusNoContent)
	case *types.FileNotFound:
		w.WriteHeader(http.StatusNotFound)
	case *types.FileLocked:
		w.WriteHeader(http.StatusConflict)
	default:
		w.WriteHeader(http.StatusForbidden)
	}
}
