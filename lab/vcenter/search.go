package main

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// sought is what one call of a datastore browser looks for.
type sought struct {
	browser types.ManagedObjectReference
	path    string
	spec    types.HostDatastoreBrowserSearchSpec
	deep    bool
}

func newSought(browser types.ManagedObjectReference, path string, spec *types.HostDatastoreBrowserSearchSpec, deep bool) *sought {
	one := &sought{browser: browser, path: path, deep: deep}
	if spec != nil {
		one.spec = *spec
	}
	if one.spec.Details == nil {
		one.spec.Details = new(types.FileQueryFlags)
	}
	return one
}

func (f *files) SearchDatastoreTask(ctx *simulator.Context, req *types.SearchDatastore_Task) soap.HasFault {
	task := f.search(ctx, newSought(req.This, req.DatastorePath, req.SearchSpec, false))
	return &methods.SearchDatastore_TaskBody{Res: &types.SearchDatastore_TaskResponse{Returnval: task}}
}

func (f *files) SearchDatastoreSubFoldersTask(ctx *simulator.Context, req *types.SearchDatastoreSubFolders_Task) soap.HasFault {
	task := f.search(ctx, newSought(req.This, req.DatastorePath, req.SearchSpec, true))
	return &methods.SearchDatastoreSubFolders_TaskBody{Res: &types.SearchDatastoreSubFolders_TaskResponse{Returnval: task}}
}

func (f *files) search(ctx *simulator.Context, one *sought) types.ManagedObjectReference {
	entity := one.browser
	if store, _ := f.rules.datastoreOf(one.path); store != nil {
		entity = store.Self
	}
	return simulator.CreateTask(entity, "searchDatastore", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		at, fault := f.within(one)
		if fault != nil {
			return nil, fault
		}
		found, err := one.look(at, one.path)
		if err != nil {
			return nil, faultOf(err, at.name())
		}
		if one.deep {
			return types.ArrayOfHostDatastoreBrowserSearchResults{HostDatastoreBrowserSearchResults: found}, nil
		}
		return found[0], nil
	}).Run(ctx)
}

// within is the place that is looked at: it has to be on one of the browser's datastores.
func (f *files) within(one *sought) (*place, types.BaseMethodFault) {
	store, _ := f.rules.datastoreOf(one.path)
	if store == nil {
		return nil, &types.InvalidDatastore{Name: one.path}
	}
	var center *types.ManagedObjectReference
	if !f.registry.IsESX() {
		own := datacenterOf(f.registry, store)
		center = &own
	}
	if browser, ok := f.registry.Get(one.browser).(*simulator.HostDatastoreBrowser); ok &&
		!slices.Contains(browser.Datastore, store.Self) {
		return nil, &types.InvalidDatastore{Datastore: &store.Self, Name: store.Name}
	}
	return f.find(one.path, center)
}

// look gives what is found in a folder, called by a name, and if wanted in those inside.
func (s *sought) look(at *place, called string) ([]types.HostDatastoreBrowserSearchResults, error) {
	entries, err := os.ReadDir(at.local)
	if err != nil {
		return nil, err
	}
	ref := at.store.Self
	here := types.HostDatastoreBrowserSearchResults{Datastore: &ref, FolderPath: called}
	all := []types.HostDatastoreBrowserSearchResults{{}}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			continue // it has just gone
		}
		if s.matches(info) {
			here.File = append(here.File, s.describe(info))
		}
		if s.deep && info.IsDir() {
			inside := &place{at.store, path.Join(at.path, info.Name()), filepath.Join(at.local, info.Name())}
			if more, err := s.look(inside, inside.name()+"/"); err == nil {
				all = append(all, more...)
			}
		}
	}
	all[0] = here
	return all, nil
}

func (s *sought) matches(info os.FileInfo) bool {
	matched := len(s.spec.MatchPattern) == 0 || slices.ContainsFunc(s.spec.MatchPattern, func(pattern string) bool {
		name := info.Name()
		if s.spec.SearchCaseInsensitive != nil && *s.spec.SearchCaseInsensitive {
			pattern, name = strings.ToLower(pattern), strings.ToLower(name)
		}
		ok, _ := path.Match(pattern, name)
		return ok
	})
	return matched && (len(s.spec.Query) == 0 || slices.ContainsFunc(s.spec.Query, func(query types.BaseFileQuery) bool {
		return isOf(query, info)
	}))
}

// isOf says whether a file is of the kind that a query is for.
func isOf(query types.BaseFileQuery, info os.FileInfo) bool {
	ending := map[bool]string{false: path.Ext(info.Name())}[info.IsDir()]
	switch query.(type) {
	case *types.FolderFileQuery:
		return info.IsDir()
	case *types.FloppyImageFileQuery:
		return ending == ".flp" || ending == ".img"
	case *types.IsoImageFileQuery:
		return ending == ".iso"
	case *types.VmConfigFileQuery, *types.TemplateConfigFileQuery:
		return ending == ".vmx" || ending == ".vmtx"
	case *types.VmDiskFileQuery:
		return ending == ".vmdk" && !strings.HasSuffix(info.Name(), "-flat.vmdk")
	case *types.VmLogFileQuery:
		return ending == ".log"
	case *types.VmNvramFileQuery:
		return ending == ".nvram"
	case *types.VmSnapshotFileQuery:
		return ending == ".vmsn"
	}
	return true
}

// describe says of a file what the details ask for.
func (s *sought) describe(info os.FileInfo) types.BaseFileInfo {
	file := types.FileInfo{Path: info.Name()}
	if s.spec.Details.FileSize {
		file.FileSize = info.Size()
	}
	if s.spec.Details.Modification {
		modified := info.ModTime().UTC()
		file.Modification = &modified
	}
	if owner := s.spec.Details.FileOwner; owner != nil && *owner {
		file.Owner = "root"
	}
	if info.IsDir() {
		return &types.FolderFileInfo{FileInfo: file}
	}
	if !s.spec.Details.FileType {
		return &file
	}
	switch path.Ext(info.Name()) {
	case ".flp", ".img":
		return &types.FloppyImageFileInfo{FileInfo: file}
	case ".iso":
		return &types.IsoImageFileInfo{FileInfo: file}
	case ".log":
		return &types.VmLogFileInfo{FileInfo: file}
	case ".nvram":
		return &types.VmNvramFileInfo{FileInfo: file}
	case ".vmdk":
		return &types.VmDiskFileInfo{FileInfo: file}
	case ".vmsn":
		return &types.VmSnapshotFileInfo{FileInfo: file}
	case ".vmx":
		return &types.VmConfigFileInfo{FileInfo: file}
	}
	return &file
}

// addFiles makes them known to the registry.
func addFiles(r *rules) *files {
	own := &files{SearchIndex: mo.SearchIndex{Self: filesReference}, registry: r.registry, rules: r}
	r.registry.Put(own)
	return own
}
