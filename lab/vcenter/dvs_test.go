package main

import (
	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func (s *site) portGroup(name string) mo.DistributedVirtualPortgroup {
	s.t.Helper()
	found, err := s.finder.Network(s.ctx, name)
	s.must(err)
	var group mo.DistributedVirtualPortgroup
	s.must(s.client.RetrieveOne(s.ctx, found.Reference(), nil, &group))
	return group
}

func (s *site) switches(kind string) []mo.DistributedVirtualSwitch {
	s.t.Helper()
	found, err := view.NewManager(s.client.Client).CreateContainerView(s.ctx, s.client.ServiceContent.RootFolder, []string{kind}, true)
	s.must(err)
	var all []mo.DistributedVirtualSwitch
	s.must(found.Retrieve(s.ctx, []string{kind}, []string{"name", "portgroup", "uuid", "config"}, &all))
	s.must(found.Destroy(s.ctx))
	return all
}

func TestADistributedSwitchIsOneOfVMwares(t *testing.T) {
	one := start(t, t.TempDir())
	group := one.portGroup("DC0_DVPG0")

	owner := *group.Config.DistributedVirtualSwitch

	if owner.Type != "VmwareDistributedVirtualSwitch" {
		t.Errorf("its port group is on %s", owner)
	}
	var vmwares mo.VmwareDistributedVirtualSwitch
	one.must(one.client.RetrieveOne(one.ctx, owner, []string{"name", "portgroup", "config"}, &vmwares))
	if vmwares.Name != "DVS0" || len(vmwares.Portgroup) != 2 || vmwares.Config == nil {
		t.Errorf("got %+v", vmwares)
	}
	old := types.ManagedObjectReference{Type: "DistributedVirtualSwitch", Value: owner.Value}
	var base mo.DistributedVirtualSwitch
	one.must(property.DefaultCollector(one.client.Client).RetrieveOne(one.ctx, old, []string{"name"}, &base))
	if base.Name != "DVS0" {
		t.Errorf("an old reference gives %q", base.Name)
	}
	for _, kind := range []string{"DistributedVirtualSwitch", "VmwareDistributedVirtualSwitch"} {
		if all := one.switches(kind); len(all) != 1 || all[0].Self != owner || all[0].Name != "DVS0" {
			t.Errorf("as a %s: %v", kind, all)
		}
	}
	folder, err := one.finder.Folder(one.ctx, "/DC0/network")
	one.must(err)
	children, err := folder.Children(one.ctx)
	one.must(err)
	for _, child := range children {
		if child.Reference().Type == "DistributedVirtualSwitch" {
			t.Errorf("the folder lists %s", child.Reference())
		}
	}
	center, err := one.finder.DefaultDatacenter(one.ctx)
	one.must(err)
	var properties mo.Datacenter
	one.must(center.Properties(one.ctx, center.Reference(), []string{"network"}, &properties))
	for _, ref := range properties.Network {
		if ref.Type != "Network" && ref.Type != "DistributedVirtualPortgroup" {
			t.Errorf("among the networks: %s", ref)
		}
	}
}

func TestASwitchThatAClientMakesIsOneOfVMwares(t *testing.T) {
	one := start(t, t.TempDir())
	folder, err := one.finder.Folder(one.ctx, "/DC0/network")
	one.must(err)
	spec := types.DVSCreateSpec{ConfigSpec: &types.VMwareDVSConfigSpec{DVSConfigSpec: types.DVSConfigSpec{Name: "more"}}}
	ref := one.done(folder.CreateDVS(one.ctx, spec)).Result.(types.ManagedObjectReference)
	more := object.NewDistributedVirtualSwitch(one.client.Client, ref)

	one.done(more.AddPortgroup(one.ctx, []types.DVPortgroupConfigSpec{{Name: "bridge", NumPorts: 1}}))

	if ref.Type != "VmwareDistributedVirtualSwitch" || *one.portGroup("bridge").Config.DistributedVirtualSwitch != ref {
		t.Errorf("got %s", ref)
	}
	one.done(more.Destroy(one.ctx))
	if all := one.switches("DistributedVirtualSwitch"); len(all) != 1 {
		t.Errorf("left: %v", all)
	}
}

func TestAMachineOnADistributedPortGroupStaysThereAfterARestart(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(named("vch"))
	network, err := one.finder.Network(one.ctx, "DC0_DVPG0")
	one.must(err)
	backing, err := network.EthernetCardBackingInfo(one.ctx)
	one.must(err)
	card, err := object.EthernetCardTypes().CreateEthernetCard("vmxnet3", backing)
	one.must(err)
	one.must(vm.AddDevice(one.ctx, card))
	connection := backing.(*types.VirtualEthernetCardDistributedVirtualPortBackingInfo).Port

	for when, site := range map[string]*site{"now": one, "after a restart": one.afterKill()} {
		networks := site.properties(site.same(vm)).Network
		if len(networks) != 1 || networks[0] != network.Reference() {
			t.Errorf("%s: %v", when, networks)
		}
		found, err := methods.DVSManagerLookupDvPortGroup(site.ctx, site.client, &types.DVSManagerLookupDvPortGroup{
			This: *site.client.ServiceContent.DvSwitchManager, SwitchUuid: connection.SwitchUuid, PortgroupKey: connection.PortgroupKey,
		})
		site.must(err)
		if *found.Returnval != network.Reference() {
			t.Errorf("%s: looked up %v", when, found.Returnval)
		}
	}
}
