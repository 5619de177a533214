package main

import (
	"slices"
	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

var loneHost = size{ESX: true, Datastores: 1}

func (s *site) networkSystem(host string) *object.HostNetworkSystem {
	s.t.Helper()
	system, err := s.host(host).ConfigManager().NetworkSystem(s.ctx)
	s.must(err)
	return system
}

func (s *site) hostNetworks(host string) mo.HostSystem {
	s.t.Helper()
	var properties mo.HostSystem
	s.must(s.client.RetrieveOne(s.ctx, s.host(host).Reference(), []string{"network", "config.network"}, &properties))
	return properties
}

func bridge(name string) types.HostPortGroupSpec {
	return types.HostPortGroupSpec{Name: name, VlanId: 7, VswitchName: "vSwitch1"}
}

func TestAPortGroupOfALoneHostIsANetworkUntilItIsRemoved(t *testing.T) {
	one := startSized(t, t.TempDir(), loneHost)
	system := one.networkSystem("*")
	one.must(system.AddVirtualSwitch(one.ctx, "vSwitch1", nil))
	one.must(system.AddPortGroup(one.ctx, bridge("bridge")))
	found, err := one.finder.Network(one.ctx, "bridge")
	one.must(err)

	for when, site := range map[string]*site{"now": one, "after a restart": one.afterKill()} {
		again, err := site.finder.Network(site.ctx, "bridge")
		site.must(err)
		host := site.hostNetworks("*")
		groups := host.Config.Network.Portgroup
		last := groups[len(groups)-1]
		if again.Reference() != found.Reference() || !slices.Contains(host.Network, found.Reference()) ||
			last.Spec.Name != "bridge" || last.Spec.VlanId != 7 || last.Spec.VswitchName != "vSwitch1" {
			t.Errorf("%s: %s, %v, %+v", when, again.Reference(), host.Network, last)
		}
		made := site.done(site.create(named("vch"), "*/Resources")).Result.(types.ManagedObjectReference)
		vm := object.NewVirtualMachine(site.client.Client, made)
		backing, err := again.EthernetCardBackingInfo(site.ctx)
		site.must(err)
		card, err := object.EthernetCardTypes().CreateEthernetCard("vmxnet3", backing)
		site.must(err)
		site.must(vm.AddDevice(site.ctx, card))
		system := site.networkSystem("*")
		expect[*types.ResourceInUse](t, system.RemovePortGroup(site.ctx, "bridge"))
		expect[*types.ResourceInUse](t, system.RemoveVirtualSwitch(site.ctx, "vSwitch1"))
		site.done(vm.Destroy(site.ctx))
		site.must(system.RemovePortGroup(site.ctx, "bridge"))
		site.must(system.RemoveVirtualSwitch(site.ctx, "vSwitch1"))
		if _, err := site.finder.Network(site.ctx, "bridge"); err == nil {
			t.Errorf("%s: the network is still there", when)
		}
	}
	if got := one.afterKill().hostNetworks("*").Config.Network; len(got.Vswitch) != 1 || len(got.Portgroup) != 2 {
		t.Errorf("at last: %+v", got.Vswitch)
	}
}

func TestAPortGroupThatCannotBeIsRefused(t *testing.T) {
	one := startSized(t, t.TempDir(), loneHost)
	system := one.networkSystem("*")

	expect[*types.NotFound](t, system.AddPortGroup(one.ctx, bridge("bridge")))
	expect[*types.NotFound](t, system.RemovePortGroup(one.ctx, "bridge"))
	expect[*types.NotFound](t, system.RemoveVirtualSwitch(one.ctx, "vSwitch1"))
	expect[*types.AlreadyExists](t, system.AddVirtualSwitch(one.ctx, "vSwitch0", nil))
	expect[*types.ResourceInUse](t, system.RemovePortGroup(one.ctx, "Management Network"))
	one.must(system.AddVirtualSwitch(one.ctx, "vSwitch1", nil))
	one.must(system.AddPortGroup(one.ctx, bridge("bridge")))
	expect[*types.AlreadyExists](t, system.AddPortGroup(one.ctx, bridge("bridge")))
	expect[*types.InvalidArgument](t, system.AddPortGroup(one.ctx, bridge("")))
}

func TestHostsOfAVCenterShareTheNetworkOfAPortGroup(t *testing.T) {
	one := start(t, t.TempDir())
	hosts := []string{"DC0_C0_H0", "DC0_C0_H1"}
	for _, host := range hosts {
		system := one.networkSystem(host)
		one.must(system.AddVirtualSwitch(one.ctx, "vSwitch1", nil))
		one.must(system.AddPortGroup(one.ctx, bridge("bridge")))
	}
	found, err := one.finder.Network(one.ctx, "bridge")
	one.must(err)

	one.must(one.networkSystem(hosts[0]).RemovePortGroup(one.ctx, "bridge"))

	for when, site := range map[string]*site{"now": one, "after a restart": one.afterKill()} {
		again, err := site.finder.Network(site.ctx, "bridge")
		site.must(err)
		var properties mo.Network
		site.must(site.client.RetrieveOne(site.ctx, again.Reference(), []string{"host"}, &properties))
		if again.Reference() != found.Reference() || len(properties.Host) != 1 || properties.Host[0] != site.host(hosts[1]).Reference() {
			t.Errorf("%s: %s of %v", when, again.Reference(), properties.Host)
		}
	}
	one.must(one.networkSystem(hosts[1]).RemoveVirtualSwitch(one.ctx, "vSwitch1"))
	if _, err := one.finder.Network(one.ctx, "bridge"); err == nil {
		t.Error("the network is still there")
	}
	if _, err := one.finder.Network(one.ctx, "VM Network"); err != nil {
		t.Error(err)
	}
}

func (s *site) groups() []types.BaseClusterGroupInfo {
	s.t.Helper()
	cluster, err := s.finder.ClusterComputeResource(s.ctx, "DC0_C0")
	s.must(err)
	config, err := cluster.Configuration(s.ctx)
	s.must(err)
	return config.Group
}

func (s *site) group(operation types.ArrayUpdateOperation, vms ...types.ManagedObjectReference) (*object.Task, error) {
	s.t.Helper()
	cluster, err := s.finder.ClusterComputeResource(s.ctx, "DC0_C0")
	s.must(err)
	spec := types.ClusterGroupSpec{ArrayUpdateSpec: types.ArrayUpdateSpec{Operation: operation}}
	if operation == types.ArrayUpdateOperationRemove {
		spec.RemoveKey = "vch"
	} else {
		spec.Info = &types.ClusterVmGroup{ClusterGroupInfo: types.ClusterGroupInfo{Name: "vch"}, Vm: vms}
	}
	return cluster.Reconfigure(s.ctx, &types.ClusterConfigSpecEx{GroupSpec: []types.ClusterGroupSpec{spec}}, true)
}

func TestAGroupOfMachinesIsKept(t *testing.T) {
	one := start(t, t.TempDir())
	vms := []types.ManagedObjectReference{}
	for _, name := range []string{"a", "b"} {
		vms = append(vms, one.done(one.create(named(name), "DC0_C0/Resources")).Result.(types.ManagedObjectReference))
	}
	one.done(one.group("add", vms[0]))
	one.done(one.group("edit", vms...))

	for when, site := range map[string]*site{"now": one, "after a restart": one.afterKill()} {
		group, ok := site.groups()[0].(*types.ClusterVmGroup)
		if !ok || group.Name != "vch" || !slices.Equal(group.Vm, vms) {
			t.Fatalf("%s: %+v", when, site.groups())
		}
		site.done(object.NewVirtualMachine(site.client.Client, vms[0]).Destroy(site.ctx))
		if group := site.groups()[0].(*types.ClusterVmGroup); len(group.Vm) != 1 {
			t.Errorf("%s: a VM that is gone is still in %v", when, group.Vm)
		}
		expect[*types.InvalidArgument](t, site.failed(site.group("add", vms[1])))
		expect[*types.InvalidArgument](t, site.failed(site.group("edit", vms...)))
		site.done(site.group("remove"))
		expect[*types.InvalidArgument](t, site.failed(site.group("remove")))
		if len(site.groups()) != 0 {
			t.Errorf("%s: left %v", when, site.groups())
		}
	}
	if got := one.afterKill().groups(); len(got) != 0 {
		t.Errorf("after a restart: %v", got)
	}
}
