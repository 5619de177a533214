package main

import (
	"os"
	"path/filepath"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
)

// holds says whether a datastore has a file, like "[LocalDS_0] iso/photon.iso", and whether there is such a datastore.
func (r *rules) holds(path string) (there, known bool) {
	store, inside := r.datastoreOf(path)
	if store == nil {
		return false, false
	}
	_, err := os.Stat(filepath.Join(store.Summary.Url, inside))
	return err == nil, true
}

// datastoreOf finds the datastore of a path like "[LocalDS_0] iso/photon.iso", and the path in it.
func (r *rules) datastoreOf(path string) (*simulator.Datastore, string) {
	var file object.DatastorePath
	if !file.FromString(path) {
		return nil, ""
	}
	for _, entity := range r.registry.All("Datastore") {
		if store := entity.(*simulator.Datastore); store.Name == file.Datastore {
			return store, file.Path
		}
	}
	return nil, ""
}
