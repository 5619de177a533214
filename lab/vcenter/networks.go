package main

import (
	"context"
	"reflect"
	"slices"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// network is one host's network system. The simulator's forgets what it makes, and lets one host alone have a port group.
type network struct {
	*simulator.HostNetworkSystem
	host  *simulator.HostSystem
	first networkRecord
}

// networkChanges is one lock for all network systems: to take a network away, one must look at those of the other hosts.
var networkChanges sync.Mutex

// Lock is the simulator's way to lock an object, in the place of a lock of its own.
func (*network) Lock() { networkChanges.Lock() }

// Unlock is the end of Lock.
func (*network) Unlock() { networkChanges.Unlock() }

// networkRecord are a host's standard switches and port groups, where they differ from a new host's.
type networkRecord struct {
	Switches   []switchRecord    `json:"switches"`
	PortGroups []portGroupRecord `json:"portGroups"`
}

type switchRecord struct {
	Name string `json:"name"`
}

type portGroupRecord struct {
	Name    string                        `json:"name"`
	Switch  string                        `json:"switch"`
	Vlan    int32                         `json:"vlan,omitempty"`
	Network *types.ManagedObjectReference `json:"network,omitempty"` // that of a client's; a new host's come with the site
}

const (
	switchKey    = "key-vim.host.VirtualSwitch-"
	portGroupKey = "key-vim.host.PortGroup-"
)

// addNetworks gives a host a network system that says the same as the host.
func addNetworks(registry *simulator.Registry, host *simulator.HostSystem) {
	if host.ConfigManager.NetworkSystem == nil {
		return
	}
	plain, ok := registry.Get(*host.ConfigManager.NetworkSystem).(*simulator.HostNetworkSystem)
	if !ok {
		return // it has one
	}
	own := &network{HostNetworkSystem: plain, host: host}
	plain.NetworkInfo = host.Config.Network
	own.first = own.record(registry)
	registry.Put(own)
}

func networkOfHost(model *simulator.Model, host *simulator.HostSystem) *network {
	system, _ := model.Map().Get(*host.ConfigManager.NetworkSystem).(*network)
	return system
}

// info is a copy whose lists of switches and port groups are its own.
func (n *network) info() types.HostNetworkInfo {
	info := *n.NetworkInfo
	info.Vswitch, info.Portgroup = slices.Clone(info.Vswitch), slices.Clone(info.Portgroup)
	return info
}

func (n *network) put(ctx *simulator.Context, info types.HostNetworkInfo) {
	ctx.Update(n, []types.PropertyChange{{Name: "networkInfo", Val: info}})
	ctx.Map.AtomicUpdate(ctx, n.host, []types.PropertyChange{{Name: "config.network", Val: info}})
}

func (n *network) hasSwitch(name string) bool {
	return slices.ContainsFunc(n.NetworkInfo.Vswitch, func(one types.HostVirtualSwitch) bool { return one.Name == name })
}

func (n *network) hasPortGroup(name string) bool {
	return slices.ContainsFunc(n.NetworkInfo.Portgroup, func(one types.HostPortGroup) bool { return one.Spec.Name == name })
}

func (n *network) AddVirtualSwitch(ctx *simulator.Context, req *types.AddVirtualSwitch) soap.HasFault {
	if n.hasSwitch(req.VswitchName) {
		return &methods.AddVirtualSwitchBody{Fault_: explained(&types.AlreadyExists{Name: req.VswitchName})}
	}
	info := n.info()
	info.Vswitch = append(info.Vswitch, newSwitch(req.VswitchName, req.Spec))
	n.put(ctx, info)
	return &methods.AddVirtualSwitchBody{Res: new(types.AddVirtualSwitchResponse)}
}

func newSwitch(name string, spec *types.HostVirtualSwitchSpec) types.HostVirtualSwitch {
	one := types.HostVirtualSwitch{Name: name, Key: switchKey + name, NumPorts: 128, NumPortsAvailable: 128, Mtu: 1500}
	if spec != nil {
		one.Spec = *spec
	}
	return one
}

// RemoveVirtualSwitch takes a switch away with its port groups, unless something uses one of them.
func (n *network) RemoveVirtualSwitch(ctx *simulator.Context, req *types.RemoveVirtualSwitch) soap.HasFault {
	refused := func(fault types.BaseMethodFault) soap.HasFault {
		return &methods.RemoveVirtualSwitchBody{Fault_: explained(fault)}
	}
	if !n.hasSwitch(req.VswitchName) {
		return refused(new(types.NotFound))
	}
	var gone []string
	for _, group := range n.NetworkInfo.Portgroup {
		if group.Spec.VswitchName == req.VswitchName {
			gone = append(gone, group.Spec.Name)
		}
	}
	for _, name := range gone {
		if n.inUse(ctx, name) {
			return refused(&types.ResourceInUse{Type: "HostVirtualSwitch", Name: req.VswitchName})
		}
	}
	for _, name := range gone {
		n.removePortGroup(ctx, name)
	}
	info := n.info()
	info.Vswitch = slices.DeleteFunc(info.Vswitch, func(one types.HostVirtualSwitch) bool { return one.Name == req.VswitchName })
	n.put(ctx, info)
	return &methods.RemoveVirtualSwitchBody{Res: new(types.RemoveVirtualSwitchResponse)}
}

// AddPortGroup makes the network of that name too, or joins the one that other hosts have made.
func (n *network) AddPortGroup(ctx *simulator.Context, req *types.AddPortGroup) soap.HasFault {
	var fault types.BaseMethodFault
	switch spec := req.Portgrp; {
	case spec.Name == "":
		fault = &types.InvalidArgument{InvalidProperty: "portgrp.name"}
	case spec.VlanId < 0 || spec.VlanId > 4095:
		fault = &types.InvalidArgument{InvalidProperty: "portgrp.vlanId"}
	case !n.hasSwitch(spec.VswitchName):
		fault = new(types.NotFound)
	case n.hasPortGroup(spec.Name):
		fault = &types.AlreadyExists{Name: spec.Name}
	}
	if fault != nil {
		return &methods.AddPortGroupBody{Fault_: explained(fault)}
	}
	n.addPortGroup(ctx, req.Portgrp, nil)
	return &methods.AddPortGroupBody{Res: new(types.AddPortGroupResponse)}
}

func (n *network) addPortGroup(ctx *simulator.Context, spec types.HostPortGroupSpec, ref *types.ManagedObjectReference) {
	info := n.info()
	info.Portgroup = append(info.Portgroup, types.HostPortGroup{
		Key: portGroupKey + spec.Name, Vswitch: switchKey + spec.VswitchName, Spec: spec, ComputedPolicy: spec.Policy,
	})
	listPortGroup(&info, spec, true)
	n.join(ctx, n.networkNamed(ctx, spec.Name, ref))
	n.put(ctx, info)
}

// listPortGroup adds a port group to its switch's list, or takes it out.
func listPortGroup(info *types.HostNetworkInfo, spec types.HostPortGroupSpec, is bool) {
	for i := range info.Vswitch {
		if info.Vswitch[i].Name != spec.VswitchName {
			continue
		}
		others := slices.DeleteFunc(slices.Clone(info.Vswitch[i].Portgroup), func(key string) bool { return key == portGroupKey+spec.Name })
		if is {
			others = append(others, portGroupKey+spec.Name)
		}
		info.Vswitch[i].Portgroup = others
	}
}

// center is the host's datacenter, and its folder of networks.
func (n *network) center(registry *simulator.Registry) (*simulator.Datacenter, *simulator.Folder) {
	center, _ := registry.Get(datacenterOf(registry, n.host)).(*simulator.Datacenter)
	if center == nil {
		return nil, nil
	}
	folder, _ := registry.Get(center.NetworkFolder).(*simulator.Folder)
	return center, folder
}

// networkNamed is the standard network of a name, made if there is none, under a given reference if wanted.
func (n *network) networkNamed(ctx *simulator.Context, name string, ref *types.ManagedObjectReference) *mo.Network {
	center, folder := n.center(ctx.Map)
	if center == nil || folder == nil {
		return nil
	}
	var one *mo.Network
	ctx.WithLock(folder, func() {
		if found, ok := ctx.Map.FindByName(name, folder.ChildEntity).(*mo.Network); ok {
			one = found
			return
		}
		one = new(mo.Network)
		one.Name, one.ManagedEntity.Name = name, name
		if ref != nil {
			one.Self = *ref
		} else {
			ctx.Map.NewEntity(one)
		}
		self := one.Self
		one.Summary = &types.NetworkSummary{Network: &self, Name: name, Accessible: true}
		folder.ChildEntity = append(slices.Clone(folder.ChildEntity), one.Self)
		ctx.Map.PutEntity(folder, one)
		ctx.Update(folder, []types.PropertyChange{{Name: "childEntity", Val: folder.ChildEntity}})
		ctx.WithLock(center, func() { center.Network = append(slices.Clone(center.Network), one.Self) })
	})
	return one
}

// join lets the host, and what it is in, list a network.
func (n *network) join(ctx *simulator.Context, one *mo.Network) {
	if one == nil {
		return
	}
	ctx.Map.AddReference(ctx, one, &one.Host, n.host.Self)
	ctx.Map.AddReference(ctx, n.host, &n.host.Network, one.Self)
	if list, parent := n.listOfParent(ctx.Map); list != nil {
		ctx.Map.AddReference(ctx, parent, list, one.Self)
	}
}

func (n *network) listOfParent(registry *simulator.Registry) (*[]types.ManagedObjectReference, mo.Reference) {
	switch parent := registry.Get(*n.host.Parent).(type) {
	case *simulator.ClusterComputeResource:
		return &parent.Network, parent
	case *mo.ComputeResource:
		return &parent.Network, parent
	}
	return nil, nil
}

// RemovePortGroup takes the network of that name away too, if no other host has it.
func (n *network) RemovePortGroup(ctx *simulator.Context, req *types.RemovePortGroup) soap.HasFault {
	if !n.hasPortGroup(req.PgName) {
		return &methods.RemovePortGroupBody{Fault_: explained(new(types.NotFound))}
	}
	if n.inUse(ctx, req.PgName) {
		return &methods.RemovePortGroupBody{Fault_: explained(&types.ResourceInUse{Type: "HostPortGroup", Name: req.PgName})}
	}
	n.removePortGroup(ctx, req.PgName)
	return &methods.RemovePortGroupBody{Res: new(types.RemovePortGroupResponse)}
}

// inUse says whether one of the host's own interfaces, or of its VMs' cards, is on a port group.
func (n *network) inUse(ctx *simulator.Context, name string) bool {
	if slices.ContainsFunc(n.NetworkInfo.Vnic, func(one types.HostVirtualNic) bool { return one.Portgroup == name }) {
		return true
	}
	var vms []types.ManagedObjectReference
	ctx.WithLock(n.host, func() { vms = slices.Clone(n.host.Vm) })
	return slices.ContainsFunc(vms, func(ref types.ManagedObjectReference) bool {
		vm, ok := ctx.Map.Get(ref).(*simulator.VirtualMachine)
		uses := false
		if ok {
			ctx.WithLock(vm, func() { uses = ctx.Map.Get(ref) != nil && hasCardOn(vm, name) })
		}
		return uses
	})
}

func hasCardOn(vm *simulator.VirtualMachine, name string) bool {
	return vm.Config != nil && slices.ContainsFunc(vm.Config.Hardware.Device, func(device types.BaseVirtualDevice) bool {
		backing, ok := device.GetVirtualDevice().Backing.(*types.VirtualEthernetCardNetworkBackingInfo)
		return ok && backing.DeviceName == name
	})
}

func (n *network) removePortGroup(ctx *simulator.Context, name string) {
	info := n.info()
	at := slices.IndexFunc(info.Portgroup, func(one types.HostPortGroup) bool { return one.Spec.Name == name })
	if at < 0 {
		return
	}
	listPortGroup(&info, info.Portgroup[at].Spec, false)
	info.Portgroup = slices.Delete(info.Portgroup, at, at+1)
	n.leave(ctx, name)
	n.put(ctx, info)
}

// leave takes the host out of a network, and the network away if it has no host any more.
func (n *network) leave(ctx *simulator.Context, name string) {
	center, folder := n.center(ctx.Map)
	if center == nil || folder == nil {
		return
	}
	var one *mo.Network
	ctx.WithLock(folder, func() { one, _ = ctx.Map.FindByName(name, folder.ChildEntity).(*mo.Network) })
	if one == nil {
		return
	}
	ctx.Map.RemoveReference(ctx, one, &one.Host, n.host.Self)
	ctx.Map.RemoveReference(ctx, n.host, &n.host.Network, one.Self)
	if others := n.othersIn(ctx, one); len(others) > 0 {
		return
	}
	if list, parent := n.listOfParent(ctx.Map); list != nil {
		ctx.Map.RemoveReference(ctx, parent, list, one.Self)
	}
	ctx.WithLock(folder, func() {
		simulator.RemoveReference(&folder.ChildEntity, one.Self)
		ctx.Update(folder, []types.PropertyChange{{Name: "childEntity", Val: folder.ChildEntity}})
		ctx.WithLock(center, func() { simulator.RemoveReference(&center.Network, one.Self) })
	})
	ctx.Map.Remove(ctx, one.Self)
}

// othersIn are the other hosts of the datacenter that have a port group of a network's name.
func (n *network) othersIn(ctx *simulator.Context, one *mo.Network) []types.ManagedObjectReference {
	center := datacenterOf(ctx.Map, n.host)
	var others []types.ManagedObjectReference
	for _, entity := range ctx.Map.All("HostSystem") {
		host := entity.(*simulator.HostSystem)
		system, ok := ctx.Map.Get(*host.ConfigManager.NetworkSystem).(*network)
		if !ok || host.Self == n.host.Self || datacenterOf(ctx.Map, host) != center {
			continue
		}
		if system.hasPortGroup(one.Name) {
			others = append(others, host.Self)
		}
	}
	return others
}

func (n *network) record(registry *simulator.Registry) networkRecord {
	var kept networkRecord
	for _, one := range n.NetworkInfo.Vswitch {
		kept.Switches = append(kept.Switches, switchRecord{one.Name})
	}
	_, folder := n.center(registry)
	for _, one := range n.NetworkInfo.Portgroup {
		group := portGroupRecord{Name: one.Spec.Name, Switch: one.Spec.VswitchName, Vlan: one.Spec.VlanId}
		if folder != nil && n.first.Switches != nil && !slices.ContainsFunc(n.first.PortGroups, group.is) {
			ctx := &simulator.Context{Context: context.Background(), Map: registry}
			ctx.WithLock(folder, func() {
				if found, ok := registry.FindByName(group.Name, folder.ChildEntity).(*mo.Network); ok {
					ref := found.Self
					group.Network = &ref
				}
			})
		}
		kept.PortGroups = append(kept.PortGroups, group)
	}
	return kept
}

func (p portGroupRecord) is(other portGroupRecord) bool { return p.Name == other.Name }

// changes are the switches and port groups, if they differ from a new host's.
func (n *network) changes(registry *simulator.Registry) *networkRecord {
	if now := n.record(registry); !reflect.DeepEqual(now, n.first) {
		return &now
	}
	return nil
}

// restore makes a new host's switches and port groups what the record says.
func (n *network) restore(ctx *simulator.Context, kept *networkRecord) {
	if kept == nil {
		return
	}
	for _, one := range n.first.PortGroups {
		if !slices.ContainsFunc(kept.PortGroups, one.is) {
			n.removePortGroup(ctx, one.Name)
		}
	}
	info := n.info()
	info.Vswitch = slices.DeleteFunc(info.Vswitch, func(one types.HostVirtualSwitch) bool {
		return !slices.Contains(kept.Switches, switchRecord{one.Name})
	})
	for _, one := range kept.Switches {
		if !n.hasSwitch(one.Name) {
			info.Vswitch = append(info.Vswitch, newSwitch(one.Name, nil))
		}
	}
	n.put(ctx, info)
	for _, one := range kept.PortGroups {
		if !n.hasPortGroup(one.Name) {
			n.addPortGroup(ctx, types.HostPortGroupSpec{Name: one.Name, VswitchName: one.Switch, VlanId: one.Vlan}, one.Network)
		}
	}
}

// highest is the highest number of the references of networks that a client made.
func (r *networkRecord) highest() int {
	most := 0
	for _, one := range r.PortGroups {
		if one.Network != nil {
			most = max(most, number(*one.Network))
		}
	}
	return most
}
