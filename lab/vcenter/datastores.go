package main

import (
	"os"
	"path/filepath"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
)

// holds says whether a datastore has a file, like "[LocalDS_0] iso/photon.iso", and whether there is such a datastore.
func (r *rules) holds(path string) (there, known bool) {
	var file object.DatastorePath
	if !file.FromString(path) {
		return false, false
	}
	for _, entity := range r.registry.All("Datastore") {
		if store := entity.(*simulator.Datastore); store.Name == file.Datastore {
			_, err := os.Stat(filepath.Join(store.Summary.Url, file.Path))
			return err == nil, true
		}
	}
	return false, false
}
