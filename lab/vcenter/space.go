package main

import (
	"fmt"
	"slices"
	"sync"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// fullDatastores are those that a test has declared to be full: nothing more goes onto them.
type fullDatastores struct {
	mu    sync.Mutex
	names []string

	setting sync.Mutex
	free    map[string]int64 // what the datastores said before
}

// set declares which datastores are full, and lets them say so.
func (f *fullDatastores) set(registry *simulator.Registry, names []string, locked func(*simulator.Datastore, func())) {
	f.setting.Lock()
	defer f.setting.Unlock()
	f.declare(names)
	if f.free == nil {
		f.free = map[string]int64{}
	}
	for _, entity := range registry.All("Datastore") {
		store := entity.(*simulator.Datastore)
		before, was := f.free[store.Name]
		is := slices.Contains(names, store.Name)
		locked(store, func() {
			switch {
			case is && !was:
				f.free[store.Name] = store.Summary.FreeSpace
				store.Summary.FreeSpace = 0
			case was && !is:
				delete(f.free, store.Name)
				store.Summary.FreeSpace = before
			}
			store.Info.GetDatastoreInfo().FreeSpace = store.Summary.FreeSpace
		})
	}
}

func (f *fullDatastores) declare(names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names = names
}

func (f *fullDatastores) has(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.names, name)
}

// checkSpaceFor refuses something new on a datastore that is full; the path is one like "[LocalDS_0] iso".
func (r *rules) checkSpaceFor(name string) types.BaseMethodFault {
	var file object.DatastorePath
	if !file.FromString(name) || !r.full.has(file.Datastore) {
		return nil
	}
	return &types.NoDiskSpace{FileFault: types.FileFault{File: name}, Datastore: file.Datastore}
}

// checkSpaceOf is checkSpaceFor a VM that is powered on: it needs a swap file.
func (r *rules) checkSpaceOf(ref types.ManagedObjectReference) types.BaseMethodFault {
	if vm, ok := r.registry.Get(ref).(*simulator.VirtualMachine); ok && vm.Config != nil {
		return r.checkSpaceFor(vm.Config.Files.VmPathName)
	}
	return nil
}

// checkSpaceForDisks is checkSpaceFor new disks.
func (r *rules) checkSpaceForDisks(
	on types.ManagedObjectReference, changes []types.BaseVirtualDeviceConfigSpec,
) types.BaseMethodFault {
	for _, change := range changes {
		device := change.GetVirtualDeviceConfigSpec()
		backing, ok := device.Device.GetVirtualDevice().Backing.(types.BaseVirtualDeviceFileBackingInfo)
		if !ok || device.FileOperation != types.VirtualDeviceConfigSpecFileOperationCreate {
			continue
		}
		fault := r.checkSpaceFor(backing.GetVirtualDeviceFileBackingInfo().FileName)
		if backing.GetVirtualDeviceFileBackingInfo().FileName == "" {
			fault = r.checkSpaceOf(on)
		}
		if fault != nil {
			return fault
		}
	}
	return nil
}

// checkNewMachine refuses a VM whose files have no place, or whose devices are on what isn't there.
func (r *rules) checkNewMachine(spec *types.VirtualMachineConfigSpec) types.BaseMethodFault {
	var none types.ManagedObjectReference
	fault := first(r.checkImages(spec.DeviceChange, spec.Name), r.checkNetworks(none, spec.DeviceChange))
	if fault != nil || spec.Files == nil {
		return fault
	}
	if store, _ := r.datastoreOf(spec.Files.VmPathName); store == nil && spec.Files.VmPathName != "" {
		return &types.InvalidDatastorePath{
			InvalidDatastore: types.InvalidDatastore{Name: spec.Files.VmPathName}, DatastorePath: spec.Files.VmPathName,
		}
	}
	return first(r.checkSpaceFor(spec.Files.VmPathName), r.checkSpaceForDisks(none, spec.DeviceChange))
}

func systemError(err error) types.BaseMethodFault {
	return &types.SystemError{Reason: fmt.Sprint(err)}
}
