package main

import (
	"strconv"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// browser is a VM's own environment browser. A real one answers QueryConfigOption for the VM's hardware version; the
// simulator's is its host's and says nothing of it, so that clients try to upgrade what is up to date.
type browser struct {
	mo.EnvironmentBrowser
	machine *simulator.VirtualMachine
	host    *simulator.EnvironmentBrowser
}

// giveBrowser gives one to a VM that has none yet.
func giveBrowser(registry *simulator.Registry, vm *simulator.VirtualMachine) {
	host, ok := registry.Get(vm.EnvironmentBrowser).(*simulator.EnvironmentBrowser)
	if !ok {
		return
	}
	own := &browser{machine: vm, host: host}
	own.Self = browserOf(vm.Self)
	registry.Put(own)
	vm.EnvironmentBrowser = own.Self
}

func browserOf(vm types.ManagedObjectReference) types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "EnvironmentBrowser", Value: "envbrowser-" + vm.Value}
}

func (b *browser) QueryConfigOption(req *types.QueryConfigOption) soap.HasFault {
	answer := b.host.QueryConfigOption(req)
	body, ok := answer.(*methods.QueryConfigOptionBody)
	if !ok || body.Res == nil || body.Res.Returnval == nil || req.Key != "" {
		return answer
	}
	option := *body.Res.Returnval
	option.Version = b.machine.Config.Version
	version, _ := strconv.Atoi(strings.TrimPrefix(option.Version, "vmx-"))
	option.HardwareOptions.HwVersion = int32(version)
	return &methods.QueryConfigOptionBody{Res: &types.QueryConfigOptionResponse{Returnval: &option}}
}
