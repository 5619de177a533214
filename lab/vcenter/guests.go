package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// guestWanted is the body of POST /vms: what VMware Tools report of a VM from now on.
type guestWanted struct {
	Name  *string     `json:"name"`
	Guest *guestState `json:"guest"`
}

type guestState struct {
	Tools    string `json:"tools"` // toolsRunning or toolsNot
	HostName string `json:"hostName"`
	IP       string `json:"ip"`
}

const (
	toolsRunning = "running"
	toolsNot     = "not"
)

// toolsVersion is one of VMware Tools as an appliance of Photon OS brings it.
const toolsVersion = "12352"

func (w *guestWanted) check() error {
	switch {
	case w.Name == nil:
		return errors.New("name is needed: the VM's")
	case w.Guest == nil:
		return errors.New("guest is needed: what the VM's tools report")
	case w.Guest.Tools != toolsRunning && w.Guest.Tools != toolsNot:
		return fmt.Errorf("guest.tools is %q: it is %q or %q", w.Guest.Tools, toolsRunning, toolsNot)
	case w.Guest.Tools == toolsNot && (w.Guest.HostName != "" || w.Guest.IP != ""):
		return errors.New("without tools there is neither hostName nor ip")
	case w.Guest.IP != "" && net.ParseIP(w.Guest.IP) == nil:
		return fmt.Errorf("guest.ip is %q: it is an address", w.Guest.IP)
	}
	return nil
}

// setGuest lets a VM that is on report what is wanted.
func (r *rules) setGuest(wanted guestWanted) error {
	if err := wanted.check(); err != nil {
		return err
	}
	vm, err := r.machineNamed(*wanted.Name)
	if err != nil {
		return err
	}
	ctx := &simulator.Context{Context: context.Background(), Map: r.registry}
	ctx.WithLock(vm, func() {
		if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
			err = fmt.Errorf("%s is %s: no tools run in it", vm.Name, vm.Runtime.PowerState)
			return
		}
		ctx.Update(&vm.VirtualMachine, guestChanges(&vm.VirtualMachine, *wanted.Guest))
	})
	r.journal.note(true)
	return err
}

func (r *rules) machineNamed(name string) (*simulator.VirtualMachine, error) {
	var found []*simulator.VirtualMachine
	for _, entity := range r.registry.All("VirtualMachine") {
		vm := entity.(*simulator.VirtualMachine)
		r.journal.locked(vm, func() {
			if vm.Name == name {
				found = append(found, vm)
			}
		})
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("there are %d VMs %q", len(found), name)
	}
	return found[0], nil
}

// guestChanges are those of a VM whose tools begin or end to report.
func guestChanges(vm *mo.VirtualMachine, state guestState) []types.PropertyChange {
	guest, summary := types.GuestInfo{}, types.VirtualMachineGuestSummary{}
	if vm.Guest != nil {
		guest = *vm.Guest
	}
	if vm.Summary.Guest != nil {
		summary = *vm.Summary.Guest
	}
	guest.HostName, guest.IpAddress = state.HostName, state.IP
	guest.Net = nil
	if vm.Guest != nil {
		guest.Net = append(guest.Net, vm.Guest.Net...)
	}
	for i := range guest.Net {
		guest.Net[i].IpAddress, guest.Net[i].IpConfig = nil, nil
	}
	heartbeat := types.ManagedEntityStatusGray
	if state.Tools == toolsRunning {
		heartbeat = types.ManagedEntityStatusGreen
		guest.ToolsStatus = types.VirtualMachineToolsStatusToolsOk
		guest.ToolsRunningStatus = string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
		guest.ToolsVersion, guest.GuestState = toolsVersion, string(types.VirtualMachineGuestStateRunning)
		guest.ToolsVersionStatus = string(types.VirtualMachineToolsVersionStatusGuestToolsUnmanaged)
		guest.ToolsVersionStatus2 = guest.ToolsVersionStatus
		guest.GuestOperationsReady = types.NewBool(true)
		guest.GuestId, guest.GuestFamily = vm.Config.GuestId, string(types.VirtualMachineGuestOsFamilyLinuxGuest)
		guest.GuestFullName = vm.Config.GuestFullName
		if len(guest.Net) > 0 && state.IP != "" {
			guest.Net[0].IpAddress, guest.Net[0].Connected = []string{state.IP}, true
		}
	} else {
		guest.ToolsRunningStatus = string(types.VirtualMachineToolsRunningStatusGuestToolsNotRunning)
		guest.GuestState, guest.GuestOperationsReady = string(types.VirtualMachineGuestStateNotRunning), types.NewBool(false)
		if guest.ToolsStatus != types.VirtualMachineToolsStatusToolsNotInstalled {
			guest.ToolsStatus = types.VirtualMachineToolsStatusToolsNotRunning
		}
	}
	summary.HostName, summary.IpAddress = guest.HostName, guest.IpAddress
	summary.ToolsStatus, summary.ToolsRunningStatus = guest.ToolsStatus, guest.ToolsRunningStatus
	summary.ToolsVersionStatus, summary.ToolsVersionStatus2 = guest.ToolsVersionStatus, guest.ToolsVersionStatus2
	summary.GuestId, summary.GuestFullName = guest.GuestId, guest.GuestFullName
	return []types.PropertyChange{
		{Name: "guest", Val: guest}, {Name: "guest.toolsRunningStatus", Val: guest.ToolsRunningStatus},
		{Name: "guest.ipAddress", Val: guest.IpAddress}, {Name: "guest.hostName", Val: guest.HostName},
		{Name: "guest.net", Val: guest.Net}, {Name: "summary.guest", Val: summary}, {Name: "guestHeartbeatStatus", Val: heartbeat},
	}
}

// powerChanged lets a VM whose power changed say what follows from it: the guest begins without tools, and when it began.
func powerChanged(ctx *simulator.Context, vm *mo.VirtualMachine, changes []types.PropertyChange) {
	for _, change := range changes {
		if change.Name != "runtime.powerState" || vm.Config == nil {
			continue
		}
		if vm.Guest != nil && vm.Guest.ToolsRunningStatus == string(types.VirtualMachineToolsRunningStatusGuestToolsRunning) {
			ctx.Update(vm, guestChanges(vm, guestState{Tools: toolsNot}))
		}
		var began *time.Time
		if vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn {
			now := time.Now()
			began = &now
		}
		vm.Runtime.BootTime, vm.Summary.Runtime.BootTime = began, began
	}
}

// checkTools refuses what only VMware Tools can do, in the order of a real one: first the power, then the tools.
func (r *rules) checkTools(ref types.ManagedObjectReference) types.BaseMethodFault {
	vm, ok := r.registry.Get(ref).(*simulator.VirtualMachine)
	if !ok {
		return nil
	}
	var fault types.BaseMethodFault
	r.journal.locked(vm, func() {
		switch {
		case vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn:
			fault = &types.InvalidPowerState{
				RequestedState: types.VirtualMachinePowerStatePoweredOn, ExistingState: vm.Runtime.PowerState,
			}
		case vm.Guest.ToolsRunningStatus != string(types.VirtualMachineToolsRunningStatusGuestToolsRunning):
			fault = new(types.ToolsUnavailable)
		}
	})
	return fault
}

// ShutdownGuest answers at once; the VM goes off a little later.
func (m *machines) ShutdownGuest(ctx *simulator.Context, req *types.ShutdownGuest) soap.HasFault {
	vm := m.registry.Get(req.This).(*simulator.VirtualMachine)
	_ = vm.PowerOffVMTask(ctx, &types.PowerOffVM_Task{This: vm.Self})
	return &methods.ShutdownGuestBody{Res: new(types.ShutdownGuestResponse)}
}

// RebootGuest answers at once; the VM stays on, but its guest begins anew.
func (m *machines) RebootGuest(ctx *simulator.Context, req *types.RebootGuest) soap.HasFault {
	vm := m.registry.Get(req.This).(*simulator.VirtualMachine)
	_ = vm.ResetVMTask(ctx, &types.ResetVM_Task{This: vm.Self})
	return &methods.RebootGuestBody{Res: new(types.RebootGuestResponse)}
}
