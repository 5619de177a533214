package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// files are a file manager and all datastore browsers, as a real vCenter has them: calls are sent here by rules.redirect.
// The simulator's follow "..", name paths of this machine in faults, and delete what a running VM has open.
type files struct {
	mo.SearchIndex
	unlocked
	registry *simulator.Registry
	rules    *rules
}

var filesReference = types.ManagedObjectReference{Type: "LabRules", Value: "files"}

// place is where a path of a datastore leads to.
type place struct {
	store *simulator.Datastore
	path  string // in the datastore, without a slash at either end
	local string
}

// name is the place as vSphere writes it.
func (p *place) name() string {
	return (&object.DatastorePath{Datastore: p.store.Name, Path: p.path}).String()
}

// find gives the place of a path like "[LocalDS_0] iso"; a vCenter has to be told the datacenter.
func (f *files) find(name string, center *types.ManagedObjectReference) (*place, types.BaseMethodFault) {
	var file object.DatastorePath
	if !file.FromString(name) || slices.Contains(strings.Split(file.Path, "/"), "..") {
		return nil, &types.InvalidDatastorePath{DatastorePath: name}
	}
	if center == nil && !f.registry.IsESX() {
		return nil, &types.InvalidArgument{InvalidProperty: "datacenter"}
	}
	store, _ := f.rules.datastoreOf(name)
	if store == nil || center != nil && datacenterOf(f.registry, store) != *center {
		return nil, &types.InvalidDatastore{Name: file.Datastore}
	}
	inside := strings.Trim(path.Clean("/"+file.Path), "/")
	return &place{store, inside, filepath.Join(store.Summary.Url, inside)}, nil
}

// faultOf is the fault for what an operating system says of a place.
func faultOf(err error, name string) types.BaseMethodFault {
	file := types.FileFault{File: name}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return &types.FileNotFound{FileFault: file}
	case errors.Is(err, fs.ErrExist):
		return &types.FileAlreadyExists{FileFault: file}
	}
	return &types.CannotAccessFile{FileFault: file}
}

// MakeDirectory answers FileAlreadyExists for a folder that is there, with or without the parents being made.
func (f *files) MakeDirectory(req *types.MakeDirectory) soap.HasFault {
	if fault := f.makeDirectory(req); fault != nil {
		return &methods.MakeDirectoryBody{Fault_: explained(fault)}
	}
	return &methods.MakeDirectoryBody{Res: new(types.MakeDirectoryResponse)}
}

func (f *files) makeDirectory(req *types.MakeDirectory) types.BaseMethodFault {
	to, fault := f.find(req.Name, req.Datacenter)
	if fault != nil {
		return fault
	}
	if _, err := os.Stat(to.local); err == nil {
		return &types.FileAlreadyExists{FileFault: types.FileFault{File: to.name()}}
	}
	if fault := f.rules.checkSpaceFor(to.name()); fault != nil {
		return fault
	}
	if req.CreateParentDirectories != nil && *req.CreateParentDirectories {
		return faultOf(os.MkdirAll(to.local, 0o700), to.name())
	}
	return faultOf(os.Mkdir(to.local, 0o700), to.name())
}

func (f *files) task(ctx *simulator.Context, on types.ManagedObjectReference, name string, do func() types.BaseMethodFault,
) types.ManagedObjectReference {
	return simulator.CreateTask(on, name, func(*simulator.Task) (types.AnyType, types.BaseMethodFault) { return nil, do() }).Run(ctx)
}

// DeleteDatastoreFileTask deletes a file or a folder, but nothing that a running VM has open.
func (f *files) DeleteDatastoreFileTask(ctx *simulator.Context, req *types.DeleteDatastoreFile_Task) soap.HasFault {
	open := f.open(ctx)
	task := f.task(ctx, req.This, "deleteDatastoreFile", func() types.BaseMethodFault {
		from, fault := f.find(req.Name, req.Datacenter)
		if fault != nil {
			return fault
		}
		return from.delete(open)
	})
	return &methods.DeleteDatastoreFile_TaskBody{Res: &types.DeleteDatastoreFile_TaskResponse{Returnval: task}}
}

// delete takes away all but the open files.
func (p *place) delete(open []string) types.BaseMethodFault {
	if p.path == "" {
		return &types.InvalidDatastorePath{DatastorePath: p.name()}
	}
	if _, err := os.Lstat(p.local); err != nil {
		return faultOf(err, p.name())
	}
	if open = p.among(open); len(open) == 0 {
		return faultOf(os.RemoveAll(p.local), p.name())
	}
	var folders []string
	_ = filepath.WalkDir(p.local, func(local string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
		case entry.IsDir():
			folders = append(folders, local)
		case !slices.Contains(open, local):
			_ = os.Remove(local)
		}
		return nil
	})
	for _, folder := range slices.Backward(folders) {
		_ = os.Remove(folder) // it stays if something is in it
	}
	inside, _ := filepath.Rel(p.store.Summary.Url, open[0])
	kept := &place{store: p.store, path: filepath.ToSlash(inside)}
	return &types.FileLocked{FileFault: types.FileFault{File: kept.name()}}
}

// among are those of the files that are at a place or in it.
func (p *place) among(files []string) []string {
	return slices.DeleteFunc(slices.Clone(files), func(local string) bool {
		return local != p.local && !strings.HasPrefix(local, p.local+"/")
	})
}

// open are the files that VMs which run have open: their own ones, and the images in their drives. It locks one VM after
// the other, so nothing may be locked yet.
func (f *files) open(ctx *simulator.Context) []string {
	var open []string
	for _, entity := range f.registry.All("VirtualMachine") {
		vm := entity.(*simulator.VirtualMachine)
		var names []string
		ctx.WithLock(vm, func() {
			if f.registry.Get(vm.Self) != nil { // with a VM goes its lock
				names = openFiles(vm)
			}
		})
		for _, name := range names {
			if store, inside := f.rules.datastoreOf(name); store != nil {
				local := filepath.Join(store.Summary.Url, inside)
				if _, err := os.Stat(local); err == nil {
					open = append(open, local)
				}
			}
		}
	}
	slices.Sort(open)
	return open
}

func openFiles(vm *simulator.VirtualMachine) []string {
	if vm.Config == nil || vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		return nil
	}
	vmx := vm.Config.Files.VmPathName
	names := []string{vmx, strings.TrimSuffix(vmx, ".vmx") + ".nvram", path.Join(vm.Config.Files.LogDirectory, "vmware.log")}
	for _, device := range vm.Config.Hardware.Device {
		connect := device.GetVirtualDevice().Connectable
		backing, ok := device.GetVirtualDevice().Backing.(types.BaseVirtualDeviceFileBackingInfo)
		if !ok || connect != nil && !connect.Connected {
			continue
		}
		name := backing.GetVirtualDeviceFileBackingInfo().FileName
		names = append(names, name)
		if _, disk := device.(*types.VirtualDisk); disk {
			names = append(names, strings.TrimSuffix(name, ".vmdk")+"-flat.vmdk")
		}
	}
	return names
}

// MoveDatastoreFileTask moves a file or a folder; without a datacenter to move to, it stays in the one it is in.
func (f *files) MoveDatastoreFileTask(ctx *simulator.Context, req *types.MoveDatastoreFile_Task) soap.HasFault {
	open := f.open(ctx)
	task := f.task(ctx, req.This, "moveDatastoreFile", func() types.BaseMethodFault {
		from, to, fault := f.both(req.SourceName, req.SourceDatacenter, req.DestinationName, req.DestinationDatacenter, req.Force)
		if fault != nil {
			return fault
		}
		if len(from.among(open)) > 0 {
			return &types.FileLocked{FileFault: types.FileFault{File: from.name()}}
		}
		if from.store != to.store {
			if fault := f.rules.checkSpaceFor(to.name()); fault != nil {
				return fault
			}
		}
		return faultOf(os.Rename(from.local, to.local), to.name())
	})
	return &methods.MoveDatastoreFile_TaskBody{Res: &types.MoveDatastoreFile_TaskResponse{Returnval: task}}
}

func (f *files) CopyDatastoreFileTask(ctx *simulator.Context, req *types.CopyDatastoreFile_Task) soap.HasFault {
	task := f.task(ctx, req.This, "copyDatastoreFile", func() types.BaseMethodFault {
		from, to, fault := f.both(req.SourceName, req.SourceDatacenter, req.DestinationName, req.DestinationDatacenter, req.Force)
		if fault != nil {
			return fault
		}
		if fault := f.rules.checkSpaceFor(to.name()); fault != nil {
			return fault
		}
		return faultOf(copyAll(from.local, to.local), to.name())
	})
	return &methods.CopyDatastoreFile_TaskBody{Res: &types.CopyDatastoreFile_TaskResponse{Returnval: task}}
}

// both are the places that a file goes from and to: the one has to be there, the other one not.
func (f *files) both(
	source string, sourceCenter *types.ManagedObjectReference, target string, targetCenter *types.ManagedObjectReference, force *bool,
) (from, to *place, fault types.BaseMethodFault) {
	if targetCenter == nil {
		targetCenter = sourceCenter
	}
	if from, fault = f.find(source, sourceCenter); fault != nil {
		return nil, nil, fault
	}
	if to, fault = f.find(target, targetCenter); fault != nil {
		return nil, nil, fault
	}
	if _, err := os.Stat(from.local); err != nil {
		return nil, nil, faultOf(err, from.name())
	}
	if _, err := os.Stat(filepath.Dir(to.local)); err != nil {
		return nil, nil, faultOf(err, to.name())
	}
	if _, err := os.Stat(to.local); err == nil && (force == nil || !*force) {
		return nil, nil, &types.FileAlreadyExists{FileFault: types.FileFault{File: to.name()}}
	}
	return from, to, nil
}

func copyAll(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(to, os.DirFS(from))
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return errors.Join(err, in.Close())
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, in.Close(), out.Close())
}
