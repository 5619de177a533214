package main

import (
	"path"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// checkName refuses a second object of a name in a folder (vSphere API reference: DuplicateName of CreateVM_Task).
func (r *rules) checkName(folder types.ManagedObjectReference, name string) types.BaseMethodFault {
	found, ok := r.registry.Get(folder).(*simulator.Folder)
	if !ok || name == "" {
		return nil
	}
	var twin mo.Entity
	r.journal.locked(found, func() { // as long as a VM is being made, its folder lists it without a name
		twin = r.registry.FindByName(name, found.ChildEntity)
	})
	if twin != nil {
		return &types.DuplicateName{Name: name, Object: twin.Reference()}
	}
	return nil
}

// checkNewName is checkName for an object that has a place already and may keep its name.
func (r *rules) checkNewName(ref types.ManagedObjectReference, name string) types.BaseMethodFault {
	entity, ok := r.registry.Get(ref).(mo.Entity)
	if !ok || entity.Entity().Parent == nil || entity.Entity().Name == name {
		return nil
	}
	return r.checkName(*entity.Entity().Parent, name)
}

func (r *rules) checkMoved(folder types.ManagedObjectReference, list []types.ManagedObjectReference) types.BaseMethodFault {
	for _, ref := range list {
		entity, ok := r.registry.Get(ref).(mo.Entity)
		if !ok || entity.Entity().Parent == nil || *entity.Entity().Parent == folder {
			continue
		}
		if fault := r.checkName(folder, entity.Entity().Name); fault != nil {
			return fault
		}
	}
	return nil
}

// folderOf is the folder that a vApp's new VMs go to.
func (r *rules) folderOf(ref types.ManagedObjectReference) types.ManagedObjectReference {
	if app, ok := r.registry.Get(ref).(*simulator.VirtualApp); ok && app.ParentFolder != nil {
		return *app.ParentFolder
	}
	return types.ManagedObjectReference{}
}

// registeredName is the name of a registered VM: if the call has none, that of the folder it lies in.
func registeredName(call *types.RegisterVM_Task) string {
	var file object.DatastorePath
	if call.Name != "" || !file.FromString(call.Path) {
		return call.Name
	}
	return path.Dir(file.Path)
}

// checkImages refuses a CD-ROM drive with an ISO image that isn't there. One in the VM's own folder may come later:
// vic-machine makes the VM first and then uploads beside it (facts/vic-machine.md); power on looks again.
func (r *rules) checkImages(changes []types.BaseVirtualDeviceConfigSpec, own string) types.BaseMethodFault {
	for index, change := range changes {
		device := change.GetVirtualDeviceConfigSpec()
		if device.Operation == types.VirtualDeviceConfigSpecOperationRemove {
			continue
		}
		fault := r.checkImage(device.Device, index)
		if missing, ok := fault.(*types.FileNotFound); ok && liesIn(missing.File, own) {
			continue
		}
		if fault != nil {
			return fault
		}
	}
	return nil
}

// liesIn says whether a file's folder on its datastore is of the given name.
func liesIn(file, folder string) bool {
	var at object.DatastorePath
	return folder != "" && at.FromString(file) && path.Dir(at.Path) == folder
}

// ownFolder is the folder of a VM's files.
func (r *rules) ownFolder(ref types.ManagedObjectReference) string {
	var at object.DatastorePath
	vm, ok := r.registry.Get(ref).(*simulator.VirtualMachine)
	if !ok || !at.FromString(vm.Config.Files.VmPathName) {
		return ""
	}
	return path.Dir(at.Path)
}

// checkNetworks refuses a card on a network that its datacenter doesn't have; the simulator crashes on it.
func (r *rules) checkNetworks(
	on types.ManagedObjectReference, changes []types.BaseVirtualDeviceConfigSpec,
) types.BaseMethodFault {
	for index, change := range changes {
		device := change.GetVirtualDeviceConfigSpec()
		if device.Operation == types.VirtualDeviceConfigSpecOperationRemove || device.Device == nil {
			continue
		}
		known := true
		switch backing := device.Device.GetVirtualDevice().Backing.(type) {
		case *types.VirtualEthernetCardNetworkBackingInfo:
			known = r.hasNetwork(on, backing.DeviceName)
		case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
			group := types.ManagedObjectReference{Type: "DistributedVirtualPortgroup", Value: backing.Port.PortgroupKey}
			known = r.registry.Get(group) != nil
		}
		if !known {
			fault := &types.InvalidDeviceSpec{DeviceIndex: int32(index)}
			fault.Property = "virtualDeviceSpec.device.backing"
			return fault
		}
	}
	return nil
}

// hasNetwork says whether an object's datacenter has a network; of an object that isn't there yet, any may be its own.
func (r *rules) hasNetwork(on types.ManagedObjectReference, name string) bool {
	var own types.ManagedObjectReference
	if entity, ok := r.registry.Get(on).(mo.Entity); ok {
		own = datacenterOf(r.registry, entity)
	}
	for _, entity := range r.registry.All("Datacenter") {
		center := entity.(*simulator.Datacenter)
		if own.Value == "" || center.Self == own {
			found := false
			r.journal.locked(center, func() { found = r.registry.FindByName(name, center.Network) != nil })
			if found {
				return true
			}
		}
	}
	return false
}

// checkVersion refuses a change of settings that have changed since the client read them (vSphere API reference:
// ConcurrentAccess of ReconfigVM_Task).
func (r *rules) checkVersion(ref types.ManagedObjectReference, spec *types.VirtualMachineConfigSpec) types.BaseMethodFault {
	vm, ok := r.registry.Get(ref).(*simulator.VirtualMachine)
	if !ok || spec.ChangeVersion == "" {
		return nil
	}
	var is string
	r.journal.locked(vm, func() { is = vm.Config.ChangeVersion })
	if is != spec.ChangeVersion {
		return new(types.ConcurrentAccess)
	}
	return nil
}

// checkImagesOf refuses to power on a VM whose drive wants an ISO image that is gone.
func (r *rules) checkImagesOf(ref types.ManagedObjectReference) types.BaseMethodFault {
	vm, ok := r.registry.Get(ref).(*simulator.VirtualMachine)
	if !ok {
		return nil
	}
	if there, known := r.holds(vm.Config.Files.VmPathName); known && !there {
		return &types.FileNotFound{FileFault: types.FileFault{File: vm.Config.Files.VmPathName}}
	}
	for index, device := range vm.Config.Hardware.Device {
		if connect := device.GetVirtualDevice().Connectable; connect == nil || !connect.StartConnected {
			continue
		}
		if fault := r.checkImage(device, index); fault != nil {
			return fault
		}
	}
	return nil
}

// checkImage answers FileNotFound for a file that isn't there, InvalidDeviceSpec for a datastore that isn't.
func (r *rules) checkImage(device types.BaseVirtualDevice, index int) types.BaseMethodFault {
	drive, ok := device.(*types.VirtualCdrom)
	if !ok {
		return nil
	}
	backing, ok := drive.Backing.(*types.VirtualCdromIsoBackingInfo)
	if !ok {
		return nil
	}
	there, known := r.holds(backing.FileName)
	switch {
	case !known:
		fault := &types.InvalidDeviceSpec{DeviceIndex: int32(index)}
		fault.Property = "virtualDeviceSpec.device.backing"
		return fault
	case !there:
		return &types.FileNotFound{FileFault: types.FileFault{File: backing.FileName}}
	}
	r.nameDatastore(backing)
	return nil
}

// nameDatastore fills in which datastore an image lies in, as a real vCenter does for a client that names the file only.
func (r *rules) nameDatastore(backing *types.VirtualCdromIsoBackingInfo) {
	if store, _ := r.datastoreOf(backing.FileName); store != nil && backing.Datastore == nil {
		ref := store.Self
		backing.Datastore = &ref
	}
}

// inheritSwapPlacement fills in what a real vCenter says of every VM; empty, it is a difference for ever.
func inheritSwapPlacement(object mo.Reference) {
	if vm, ok := object.(*simulator.VirtualMachine); ok && vm.Config != nil && vm.Config.SwapPlacement == "" {
		vm.Config.SwapPlacement = string(types.VirtualMachineConfigInfoSwapPlacementTypeInherit)
	}
}
