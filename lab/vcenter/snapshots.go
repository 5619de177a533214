package main

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// wantedSnapshot is what a snapshot is to be; two methods make one.
type wantedSnapshot struct {
	name, description string
	memory, quiesce   bool
}

func (m *machines) CreateSnapshotTask(ctx *simulator.Context, req *types.CreateSnapshot_Task) soap.HasFault {
	task := m.takeSnapshot(ctx, req.This, wantedSnapshot{req.Name, req.Description, req.Memory, req.Quiesce})
	return &methods.CreateSnapshot_TaskBody{Res: &types.CreateSnapshot_TaskResponse{Returnval: task}}
}

func (m *machines) CreateSnapshotExTask(ctx *simulator.Context, req *types.CreateSnapshotEx_Task) soap.HasFault {
	task := m.takeSnapshot(ctx, req.This, wantedSnapshot{req.Name, req.Description, req.Memory, req.QuiesceSpec != nil})
	return &methods.CreateSnapshotEx_TaskBody{Res: &types.CreateSnapshotEx_TaskResponse{Returnval: task}}
}

func (m *machines) takeSnapshot(
	ctx *simulator.Context, ref types.ManagedObjectReference, wanted wantedSnapshot,
) types.ManagedObjectReference {
	vm := m.registry.Get(ref).(*simulator.VirtualMachine)
	return simulator.CreateTask(vm, "createSnapshot", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		if fault := m.rules.checkSpaceFor(vm.Config.Files.SnapshotDirectory); fault != nil {
			return nil, fault
		}
		return m.keep(ctx, vm, wanted)
	}).Run(ctx)
}

// keep makes a snapshot: the VM's settings with all devices, its .vmx with the secret setting, and its power state.
func (m *machines) keep(
	ctx *simulator.Context, vm *simulator.VirtualMachine, wanted wantedSnapshot,
) (types.AnyType, types.BaseMethodFault) {
	config, err := copyOf(*vm.Config)
	if err != nil {
		return nil, systemError(err)
	}
	info, err := snapshotsOf(vm)
	if err != nil {
		return nil, systemError(err)
	}
	snapshot := &simulator.VirtualMachineSnapshot{DataSets: map[string]*simulator.DataSet{}}
	snapshot.Vm, snapshot.Config = vm.Self, config
	node := types.VirtualMachineSnapshotTree{
		Vm: vm.Self, Name: wanted.name, Description: wanted.description, Id: highestId(info.RootSnapshotList) + 1,
		CreateTime: time.Now(), State: types.VirtualMachinePowerStatePoweredOff, Quiesced: wanted.quiesce,
		ReplaySupported: types.NewBool(false),
	}
	if wanted.memory {
		node.State = vm.Runtime.PowerState
	}
	file, err := m.writeSnapshotFile(vm, node.Id)
	if err != nil {
		return nil, systemError(err)
	}
	m.registry.Put(snapshot)
	node.Snapshot = snapshot.Self
	if parent := nodeOf(info.RootSnapshotList, info.CurrentSnapshot); parent != nil {
		parent.ChildSnapshotList = append(parent.ChildSnapshotList, node)
	} else {
		info.RootSnapshotList = append(info.RootSnapshotList, node)
	}
	info.CurrentSnapshot = &node.Snapshot
	vm.Layout.Snapshot = append(vm.Layout.Snapshot, types.VirtualMachineFileLayoutSnapshotLayout{
		Key: snapshot.Self, SnapshotFile: []string{file},
	})
	m.putSnapshots(ctx, vm, info)
	return snapshot.Self, nil
}

// writeSnapshotFile writes the .vmsn, which holds the .vmx of that moment, and says where it lies in the datastore.
func (m *machines) writeSnapshotFile(vm *simulator.VirtualMachine, id int32) (string, error) {
	var folder object.DatastorePath
	folder.FromString(vm.Config.Files.SnapshotDirectory)
	folder.Path = path.Join(folder.Path, fmt.Sprintf("%s-Snapshot%d.vmsn", vm.Name, id))
	name := folder.String()
	store, file := m.files.placeOf(&vm.VirtualMachine, name)
	if file == "" {
		return "", fmt.Errorf("there is no %s", name)
	}
	secret, _ := m.files.secretOf(vm.Self)
	return name, replaceFile(path.Dir(store), file, vmxText(&vm.VirtualMachine, secret))
}

func (m *machines) RevertToSnapshotTask(ctx *simulator.Context, req *types.RevertToSnapshot_Task) soap.HasFault {
	snapshot := m.registry.Get(req.This).(*simulator.VirtualMachineSnapshot)
	vm := m.registry.Get(snapshot.Vm).(*simulator.VirtualMachine)
	task := m.revertTask(ctx, vm, func() *simulator.VirtualMachineSnapshot { return snapshot }, req.SuppressPowerOn)
	return &methods.RevertToSnapshot_TaskBody{Res: &types.RevertToSnapshot_TaskResponse{Returnval: task}}
}

// RevertToCurrentSnapshotTask answers NotFound if there is none (vSphere API reference).
func (m *machines) RevertToCurrentSnapshotTask(
	ctx *simulator.Context, req *types.RevertToCurrentSnapshot_Task,
) soap.HasFault {
	vm := m.registry.Get(req.This).(*simulator.VirtualMachine)
	current := func() *simulator.VirtualMachineSnapshot {
		if vm.Snapshot == nil || vm.Snapshot.CurrentSnapshot == nil {
			return nil
		}
		snapshot, _ := m.registry.Get(*vm.Snapshot.CurrentSnapshot).(*simulator.VirtualMachineSnapshot)
		return snapshot
	}
	task := m.revertTask(ctx, vm, current, req.SuppressPowerOn)
	return &methods.RevertToCurrentSnapshot_TaskBody{Res: &types.RevertToCurrentSnapshot_TaskResponse{Returnval: task}}
}

func (m *machines) revertTask(
	ctx *simulator.Context, vm *simulator.VirtualMachine, to func() *simulator.VirtualMachineSnapshot, suppressPowerOn *bool,
) types.ManagedObjectReference {
	return simulator.CreateTask(vm, "revertToSnapshot", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		snapshot := to()
		if snapshot == nil {
			return nil, new(types.NotFound)
		}
		return nil, m.revert(ctx, vm, snapshot, suppressPowerOn != nil && *suppressPowerOn)
	}).Run(ctx)
}

// revert makes a VM what it was. One without memory in its snapshot is off afterwards, even if it ran.
func (m *machines) revert(
	ctx *simulator.Context, vm *simulator.VirtualMachine, snapshot *simulator.VirtualMachineSnapshot, suppressPowerOn bool,
) types.BaseMethodFault {
	info, err := snapshotsOf(vm)
	if err != nil {
		return systemError(err)
	}
	config, err := copyOf(snapshot.Config)
	if err != nil {
		return systemError(err)
	}
	node := nodeOf(info.RootSnapshotList, &snapshot.Self)
	if node == nil {
		return &types.ManagedObjectNotFound{Obj: snapshot.Self}
	}
	if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff {
		body := vm.PowerOffVMTask(ctx, &types.PowerOffVM_Task{This: vm.Self}).(*methods.PowerOffVM_TaskBody)
		if _, fault := ended(ctx, body.Res.Returnval); fault != nil {
			return fault
		}
	}
	m.files.setSecret(vm.Self, m.secretIn(vm, snapshot.Self))
	m.putConfig(ctx, vm, config)
	info.CurrentSnapshot = &snapshot.Self
	m.putSnapshots(ctx, vm, info)
	if node.State != types.VirtualMachinePowerStatePoweredOn || suppressPowerOn {
		return nil
	}
	body := vm.PowerOnVMTask(ctx, &types.PowerOnVM_Task{This: vm.Self}).(*methods.PowerOnVM_TaskBody)
	_, fault := ended(ctx, body.Res.Returnval)
	return fault
}

// secretIn is the secret setting that a snapshot kept.
func (m *machines) secretIn(vm *simulator.VirtualMachine, snapshot types.ManagedObjectReference) string {
	for _, layout := range vm.Layout.Snapshot {
		if layout.Key != snapshot {
			continue
		}
		for _, name := range layout.SnapshotFile {
			_, file := m.files.placeOf(&vm.VirtualMachine, name)
			if text, err := os.ReadFile(file); err == nil && path.Ext(name) == ".vmsn" {
				return parseVmx(text)[secretKey]
			}
		}
	}
	return ""
}

// putConfig gives a VM other settings, and all that is derived from them; its name and its place stay.
func (m *machines) putConfig(ctx *simulator.Context, vm *simulator.VirtualMachine, config types.VirtualMachineConfigInfo) {
	config.Name, config.Files, config.Modified = vm.Config.Name, vm.Config.Files, time.Now()
	config.ChangeVersion = strconv.FormatInt(config.Modified.UnixNano(), 10)
	summary := vm.Summary.Config
	summary.MemorySizeMB, summary.NumCpu = config.Hardware.MemoryMB, config.Hardware.NumCPU
	summary.GuestId, summary.GuestFullName = config.GuestId, config.GuestFullName
	summary.Uuid, summary.InstanceUuid, summary.HwVersion = config.Uuid, config.InstanceUuid, config.Version
	summary.Annotation, summary.NumEthernetCards, summary.NumVirtualDisks = config.Annotation, 0, 0
	var networks []types.ManagedObjectReference
	var cards []types.GuestNicInfo
	for _, device := range config.Hardware.Device {
		switch one := device.(type) {
		case *types.VirtualDisk:
			summary.NumVirtualDisks++
		case types.BaseVirtualEthernetCard:
			summary.NumEthernetCards++
			card := one.GetVirtualEthernetCard()
			network, name := networkOf(card)
			if network != nil && !slices.Contains(networks, *network) {
				networks = append(networks, *network)
			}
			cards = append(cards, types.GuestNicInfo{
				Network: name, MacAddress: card.MacAddress, Connected: true, DeviceConfigId: card.Key,
			})
		}
	}
	ctx.Update(vm, []types.PropertyChange{
		{Name: "config", Val: config},
		{Name: "config.extraConfig", Val: config.ExtraConfig},
		{Name: "config.hardware.device", Val: config.Hardware.Device},
		{Name: "summary.config", Val: summary},
		{Name: "network", Val: networks},
		{Name: "guest.net", Val: cards},
	})
}

// networkOf is the network of a card, and its name where the card knows it.
func networkOf(card *types.VirtualEthernetCard) (*types.ManagedObjectReference, string) {
	switch backing := card.Backing.(type) {
	case *types.VirtualEthernetCardNetworkBackingInfo:
		return backing.Network, backing.DeviceName
	case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
		return &types.ManagedObjectReference{Type: "DistributedVirtualPortgroup", Value: backing.Port.PortgroupKey}, ""
	}
	return nil, ""
}

func (m *machines) RemoveSnapshotTask(ctx *simulator.Context, req *types.RemoveSnapshot_Task) soap.HasFault {
	snapshot := m.registry.Get(req.This).(*simulator.VirtualMachineSnapshot)
	vm := m.registry.Get(snapshot.Vm).(*simulator.VirtualMachine)
	task := simulator.CreateTask(vm, "removeSnapshot", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		info, err := snapshotsOf(vm)
		if err != nil {
			return nil, systemError(err)
		}
		var gone []types.ManagedObjectReference
		parent := parentOf(info.RootSnapshotList, snapshot.Self)
		info.RootSnapshotList, gone = without(info.RootSnapshotList, snapshot.Self, req.RemoveChildren)
		if info.CurrentSnapshot != nil && slices.Contains(gone, *info.CurrentSnapshot) {
			info.CurrentSnapshot = parent
		}
		m.forget(ctx, vm, info, gone)
		return nil, nil
	})
	return &methods.RemoveSnapshot_TaskBody{Res: &types.RemoveSnapshot_TaskResponse{Returnval: task.Run(ctx)}}
}

func (m *machines) RemoveAllSnapshotsTask(ctx *simulator.Context, req *types.RemoveAllSnapshots_Task) soap.HasFault {
	vm := m.registry.Get(req.This).(*simulator.VirtualMachine)
	task := simulator.CreateTask(vm, "removeAllSnapshots", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		if vm.Snapshot != nil {
			m.forget(ctx, vm, types.VirtualMachineSnapshotInfo{}, allIn(vm.Snapshot.RootSnapshotList))
		}
		return nil, nil
	})
	return &methods.RemoveAllSnapshots_TaskBody{Res: &types.RemoveAllSnapshots_TaskResponse{Returnval: task.Run(ctx)}}
}

func (m *machines) RenameSnapshot(ctx *simulator.Context, req *types.RenameSnapshot) soap.HasFault {
	snapshot := m.registry.Get(req.This).(*simulator.VirtualMachineSnapshot)
	vm := m.registry.Get(snapshot.Vm).(*simulator.VirtualMachine)
	ctx.WithLock(vm, func() {
		info, err := snapshotsOf(vm)
		node := nodeOf(info.RootSnapshotList, &snapshot.Self)
		if err != nil || node == nil {
			return
		}
		if req.Name != "" {
			node.Name = req.Name
		}
		if req.Description != "" {
			node.Description = req.Description
		}
		m.putSnapshots(ctx, vm, info)
	})
	return &methods.RenameSnapshotBody{Res: new(types.RenameSnapshotResponse)}
}

// forget drops snapshots with their files.
func (m *machines) forget(
	ctx *simulator.Context, vm *simulator.VirtualMachine, left types.VirtualMachineSnapshotInfo, gone []types.ManagedObjectReference,
) {
	vm.Layout.Snapshot = slices.DeleteFunc(
		slices.Clone(vm.Layout.Snapshot), func(layout types.VirtualMachineFileLayoutSnapshotLayout) bool {
			if !slices.Contains(gone, layout.Key) {
				return false
			}
			for _, name := range layout.SnapshotFile {
				if _, file := m.files.placeOf(&vm.VirtualMachine, name); path.Ext(file) == ".vmsn" {
					_ = os.Remove(file)
				}
			}
			return true
		})
	m.putSnapshots(ctx, vm, left)
	for _, ref := range gone {
		m.registry.Remove(ctx, ref)
	}
}

// putSnapshots gives a VM its list of snapshots, and each of these its children.
func (m *machines) putSnapshots(ctx *simulator.Context, vm *simulator.VirtualMachine, info types.VirtualMachineSnapshotInfo) {
	var roots []types.ManagedObjectReference
	for _, node := range info.RootSnapshotList {
		roots = append(roots, node.Snapshot)
	}
	changes := []types.PropertyChange{{Name: "snapshot"}, {Name: "rootSnapshot"}}
	if roots != nil {
		changes = []types.PropertyChange{{Name: "snapshot", Val: info}, {Name: "rootSnapshot", Val: roots}}
	}
	ctx.Update(vm, changes)
	m.putChildren(ctx, info.RootSnapshotList)
	_ = vm.RefreshStorageInfo(ctx, nil)
	keys := map[string]int32{}
	for _, file := range vm.LayoutEx.File {
		keys[file.Name] = file.Key
	}
	vm.LayoutEx.Snapshot = nil
	for _, layout := range vm.Layout.Snapshot {
		one := types.VirtualMachineFileLayoutExSnapshotLayout{Key: layout.Key, DataKey: -1, MemoryKey: -1, Disk: vm.LayoutEx.Disk}
		if len(layout.SnapshotFile) > 0 {
			one.DataKey = keys[layout.SnapshotFile[0]]
		}
		vm.LayoutEx.Snapshot = append(vm.LayoutEx.Snapshot, one)
	}
}

func (m *machines) putChildren(ctx *simulator.Context, tree []types.VirtualMachineSnapshotTree) {
	for _, node := range tree {
		if snapshot, ok := m.registry.Get(node.Snapshot).(*simulator.VirtualMachineSnapshot); ok {
			var children []types.ManagedObjectReference
			for _, child := range node.ChildSnapshotList {
				children = append(children, child.Snapshot)
			}
			ctx.WithLock(snapshot, func() { snapshot.ChildSnapshot = children })
		}
		m.putChildren(ctx, node.ChildSnapshotList)
	}
}

// snapshotsOf is a copy of a VM's list of snapshots.
func snapshotsOf(vm *simulator.VirtualMachine) (types.VirtualMachineSnapshotInfo, error) {
	if vm.Snapshot == nil {
		return types.VirtualMachineSnapshotInfo{}, nil
	}
	return copyOf(*vm.Snapshot)
}

func nodeOf(
	tree []types.VirtualMachineSnapshotTree, ref *types.ManagedObjectReference,
) *types.VirtualMachineSnapshotTree {
	for i := range tree {
		if ref != nil && tree[i].Snapshot == *ref {
			return &tree[i]
		}
		if found := nodeOf(tree[i].ChildSnapshotList, ref); found != nil {
			return found
		}
	}
	return nil
}

func parentOf(
	tree []types.VirtualMachineSnapshotTree, ref types.ManagedObjectReference,
) *types.ManagedObjectReference {
	for i := range tree {
		for _, child := range tree[i].ChildSnapshotList {
			if child.Snapshot == ref {
				return &tree[i].Snapshot
			}
		}
		if found := parentOf(tree[i].ChildSnapshotList, ref); found != nil {
			return found
		}
	}
	return nil
}

// without is a tree without a snapshot, and which ones are gone. Its children take its place, or go with it.
func without(
	tree []types.VirtualMachineSnapshotTree, ref types.ManagedObjectReference, children bool,
) (left []types.VirtualMachineSnapshotTree, gone []types.ManagedObjectReference) {
	for _, node := range tree {
		if node.Snapshot != ref {
			var more []types.ManagedObjectReference
			node.ChildSnapshotList, more = without(node.ChildSnapshotList, ref, children)
			left, gone = append(left, node), append(gone, more...)
			continue
		}
		gone = append(gone, ref)
		if children {
			gone = append(gone, allIn(node.ChildSnapshotList)...)
		} else {
			left = append(left, node.ChildSnapshotList...)
		}
	}
	return left, gone
}

func allIn(tree []types.VirtualMachineSnapshotTree) []types.ManagedObjectReference {
	var all []types.ManagedObjectReference
	for _, node := range tree {
		all = append(append(all, node.Snapshot), allIn(node.ChildSnapshotList)...)
	}
	return all
}

func highestId(tree []types.VirtualMachineSnapshotTree) int32 {
	var highest int32
	for _, node := range tree {
		highest = max(highest, node.Id, highestId(node.ChildSnapshotList))
	}
	return highest
}
