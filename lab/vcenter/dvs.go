package main

import (
	"bytes"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// A real vCenter's distributed switches are of the kind vmwaresSwitch; old clients crash on the simulator's plainSwitch.
// Inside, the switches keep the kind by which the simulator finds their properties; clients see and use the other one.
const (
	plainSwitch   = "DistributedVirtualSwitch"
	vmwaresSwitch = "VmwareDistributedVirtualSwitch"
)

// showSwitches gives each reference to a distributed switch in an answer the kind that clients know.
func showSwitches(answer []byte) []byte {
	return bytes.ReplaceAll(answer, []byte(`type="`+plainSwitch+`"`), []byte(`type="`+vmwaresSwitch+`"`))
}

// ownKind is the kind that an object of a given one has inside.
func ownKind(kind string) string {
	if kind == vmwaresSwitch {
		return plainSwitch
	}
	return kind
}

// ownKinds puts the kinds inside into what a call looks for.
func ownKinds(body any) {
	switch call := body.(type) {
	case *types.CreateContainerView:
		for i := range call.Type {
			call.Type[i] = ownKind(call.Type[i])
		}
	case *types.CreateFilter:
		ownKindsIn(call.Spec.PropSet)
	case *types.RetrieveProperties:
		for _, spec := range call.SpecSet {
			ownKindsIn(spec.PropSet)
		}
	case *types.RetrievePropertiesEx:
		for _, spec := range call.SpecSet {
			ownKindsIn(spec.PropSet)
		}
	}
}

func ownKindsIn(specs []types.PropertySpec) {
	for i := range specs {
		specs[i].Type = ownKind(specs[i].Type)
	}
}

// withoutSwitches takes distributed switches out of a datacenter's networks: to a real vCenter, they are none.
func withoutSwitches(networks []types.ManagedObjectReference) []types.ManagedObjectReference {
	return slices.DeleteFunc(slices.Clone(networks), func(ref types.ManagedObjectReference) bool { return ref.Type == plainSwitch })
}

// leaveNetworks takes a new distributed switch out of its datacenter's networks.
func leaveNetworks(ctx *simulator.Context, registry *simulator.Registry, one *simulator.DistributedVirtualSwitch) {
	if center, ok := registry.Get(datacenterOf(registry, one)).(*simulator.Datacenter); ok {
		ctx.WithLock(center, func() { center.Network = withoutSwitches(center.Network) })
	}
}
