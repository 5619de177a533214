package main

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// keepPlace leaves a VM where its files are: no real vSphere moves them by new settings, but the simulator believes a
// path like "[LocalDS_0]", which vic-machine sends, to be the VM's new place.
func keepPlace(spec *types.VirtualMachineConfigSpec) {
	if spec.Files != nil {
		files := *spec.Files
		files.VmPathName = ""
		spec.Files = &files
	}
}

// joinApp tells a VM that was made in a vApp of it.
func joinApp(ctx *simulator.Context, registry *simulator.Registry, vm *simulator.VirtualMachine) {
	if vm.ResourcePool == nil {
		return
	}
	if app, ok := registry.Get(*vm.ResourcePool).(*simulator.VirtualApp); ok {
		ctx.Update(vm, []types.PropertyChange{{Name: "parentVApp", Val: app.Self}})
	}
}

func (m *machines) PowerOnVAppTask(ctx *simulator.Context, req *types.PowerOnVApp_Task) soap.HasFault {
	task := m.powerApp(ctx, req.This, "powerOnVApp", types.VirtualAppVAppStateStarted, m.powerOn)
	return &methods.PowerOnVApp_TaskBody{Res: &types.PowerOnVApp_TaskResponse{Returnval: task}}
}

func (m *machines) PowerOffVAppTask(ctx *simulator.Context, req *types.PowerOffVApp_Task) soap.HasFault {
	task := m.powerApp(ctx, req.This, "powerOffVApp", types.VirtualAppVAppStateStopped, m.powerOff)
	return &methods.PowerOffVApp_TaskBody{Res: &types.PowerOffVApp_TaskResponse{Returnval: task}}
}

// powerApp brings a vApp, with all VMs in it, into another state; InvalidState if it is in that one.
func (m *machines) powerApp(
	ctx *simulator.Context, ref types.ManagedObjectReference, name string, state types.VirtualAppVAppState,
	each func(*simulator.Context, *simulator.VirtualMachine) types.BaseMethodFault,
) types.ManagedObjectReference {
	app := m.registry.Get(ref).(*simulator.VirtualApp)
	return simulator.CreateTask(app, name, func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		summary := *app.Summary.(*types.VirtualAppSummary)
		if summary.VAppState == state {
			return nil, new(types.InvalidState)
		}
		for _, ref := range app.Vm {
			if vm, ok := m.registry.Get(ref).(*simulator.VirtualMachine); ok {
				if fault := each(ctx, vm); fault != nil {
					return nil, fault
				}
			}
		}
		summary.VAppState = state
		app.Summary = &summary
		return nil, nil
	}).Run(ctx)
}

func (m *machines) powerOn(ctx *simulator.Context, vm *simulator.VirtualMachine) types.BaseMethodFault {
	if vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn {
		return nil
	}
	body := vm.PowerOnVMTask(ctx, &types.PowerOnVM_Task{This: vm.Self}).(*methods.PowerOnVM_TaskBody)
	_, fault := ended(ctx, body.Res.Returnval)
	return fault
}

func (m *machines) powerOff(ctx *simulator.Context, vm *simulator.VirtualMachine) types.BaseMethodFault {
	if vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOff {
		return nil
	}
	body := vm.PowerOffVMTask(ctx, &types.PowerOffVM_Task{This: vm.Self}).(*methods.PowerOffVM_TaskBody)
	_, fault := ended(ctx, body.Res.Returnval)
	return fault
}

// DestroyTask destroys pools, vApps and folders of VMs.
func (m *machines) DestroyTask(ctx *simulator.Context, req *types.Destroy_Task) soap.HasFault {
	object := m.registry.Get(req.This)
	task := simulator.CreateTask(object, "destroy", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		switch one := object.(type) {
		case *simulator.ResourcePool:
			return nil, m.destroyPool(ctx, one)
		case *simulator.VirtualApp:
			return nil, m.destroyApp(ctx, one)
		case *simulator.Folder:
			return nil, m.destroyFolder(ctx, one)
		}
		return nil, new(types.NotSupported)
	})
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: task.Run(ctx)}}
}

// destroyApp destroys a vApp with all that is in it; nothing of it may run (vSphere API reference: Destroy_Task).
func (m *machines) destroyApp(ctx *simulator.Context, app *simulator.VirtualApp) types.BaseMethodFault {
	if m.runs(app.Vm) {
		return new(types.InvalidState)
	}
	for _, ref := range slices.Clone(app.ResourcePool.ResourcePool) {
		if fault := m.destroyInside(ctx, ref); fault != nil {
			return fault
		}
	}
	for _, ref := range slices.Clone(app.Vm) {
		if fault := m.destroyInside(ctx, ref); fault != nil {
			return fault
		}
	}
	if parent := poolOf(m.registry.Get(*app.Parent)); parent != nil {
		ctx.WithLock(parent.Self, func() { simulator.RemoveReference(&parent.ResourcePool, app.Self) })
	}
	m.registry.Remove(ctx, app.Self)
	return nil
}

// destroyFolder destroys a folder of VMs with all that is in it.
func (m *machines) destroyFolder(ctx *simulator.Context, folder *simulator.Folder) types.BaseMethodFault {
	parent, ok := m.registry.Get(*folder.Parent).(*simulator.Folder)
	if !ok {
		return new(types.NotSupported) // a datacenter's own
	}
	if m.runs(folder.ChildEntity) {
		return &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOff, ExistingState: types.VirtualMachinePowerStatePoweredOn,
		}
	}
	for _, ref := range slices.Clone(folder.ChildEntity) {
		if fault := m.destroyInside(ctx, ref); fault != nil {
			return fault
		}
	}
	ctx.WithLock(parent, func() {
		simulator.RemoveReference(&parent.ChildEntity, folder.Self)
		ctx.Update(parent, []types.PropertyChange{{Name: "childEntity", Val: parent.ChildEntity}})
	})
	m.registry.Remove(ctx, folder.Self)
	return nil
}

// runs says whether one of the VMs is on, or one in the folders, pools and vApps.
func (m *machines) runs(list []types.ManagedObjectReference) bool {
	return slices.ContainsFunc(list, func(ref types.ManagedObjectReference) bool {
		switch one := m.registry.Get(ref).(type) {
		case *simulator.VirtualMachine:
			return one.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
		case *simulator.Folder:
			return m.runs(one.ChildEntity)
		case *simulator.ResourcePool:
			return m.runs(one.Vm) || m.runs(one.ResourcePool.ResourcePool)
		case *simulator.VirtualApp:
			return m.runs(one.Vm) || m.runs(one.ResourcePool.ResourcePool)
		}
		return false
	})
}

// destroyInside destroys an object as a part of destroying what it is in.
func (m *machines) destroyInside(ctx *simulator.Context, ref types.ManagedObjectReference) (fault types.BaseMethodFault) {
	if vm, ok := m.registry.Get(ref).(*simulator.VirtualMachine); ok {
		ctx.WithLock(vm, func() {
			body := vm.DestroyTask(ctx, &types.Destroy_Task{This: ref}).(*methods.Destroy_TaskBody)
			_, fault = ended(ctx, body.Res.Returnval)
		})
		return fault
	}
	body := m.DestroyTask(ctx, &types.Destroy_Task{This: ref}).(*methods.Destroy_TaskBody)
	_, fault = ended(ctx, body.Res.Returnval)
	return fault
}
