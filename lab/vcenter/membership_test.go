package main

import (
	"fmt"
	"sync"
	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func (s *site) clusterObject(name string) *object.ClusterComputeResource {
	s.t.Helper()
	cluster, err := s.finder.ClusterComputeResource(s.ctx, name)
	s.must(err)
	return cluster
}

// add adds a host to a cluster.
func (s *site) add(cluster, name string) types.ManagedObjectReference {
	s.t.Helper()
	info := s.done(s.clusterObject(cluster).AddHost(s.ctx, types.HostConnectSpec{HostName: name}, true, nil, nil))
	return info.Result.(types.ManagedObjectReference)
}

func (s *site) addAlone(name string) (*object.Task, error) {
	s.t.Helper()
	folders, err := s.finder.DefaultDatacenter(s.ctx)
	s.must(err)
	all, err := folders.Folders(s.ctx)
	s.must(err)
	return all.HostFolder.AddStandaloneHost(s.ctx, types.HostConnectSpec{HostName: name}, true, nil, nil)
}

func (s *site) remove(host string) (*object.Task, error) {
	s.t.Helper()
	return s.host(host).Destroy(s.ctx)
}

func (s *site) maintain(host string) {
	s.t.Helper()
	s.done(s.host(host).EnterMaintenanceMode(s.ctx, 0, false, nil))
}

// membersOf are the names and references of a cluster's hosts.
func (s *site) membersOf(cluster string) map[string]string {
	s.t.Helper()
	hosts, err := s.clusterObject(cluster).Hosts(s.ctx)
	s.must(err)
	found := map[string]string{}
	for _, host := range hosts {
		found[s.nameOf(host.Reference())] = host.Reference().Value
	}
	return found
}

func (s *site) nameOf(ref types.ManagedObjectReference) string {
	s.t.Helper()
	var entity mo.ManagedEntity
	s.must(s.client.RetrieveOne(s.ctx, ref, []string{"name"}, &entity))
	return entity.Name
}

func (s *site) parts(host string) string {
	s.t.Helper()
	var properties mo.HostSystem
	s.must(s.host(host).Properties(s.ctx, s.host(host).Reference(), []string{"configManager"}, &properties))
	return fmt.Sprint(mo.References(properties.ConfigManager))
}

func TestAHostThatJoinsHasSettingsOfItsOwn(t *testing.T) {
	one := start(t, t.TempDir())
	one.add("DC0_C0", "first")
	one.add("DC0_C0", "second")

	one.must(one.enable("first", "vic-engine"))
	one.must(one.set("first", "Syslog.global.logHost", "tcp://log"))
	_, err := methods.StartService(one.ctx, one.client, &types.StartService{This: one.services("first"), Id: "ntpd"})
	one.must(err)

	if one.rulesets("second")["vic-engine"].Enabled || one.service("second", "ntpd").Running || one.option("second", "Syslog.global.logHost") != "" {
		t.Error("the other host has them too")
	}
	if !one.rulesets("first")["vic-engine"].Enabled || !one.service("first", "ntpd").Running || one.option("first", "Syslog.global.logHost") != "tcp://log" {
		t.Error("the host has them not")
	}
}

func TestHostsThatJoinedComeBackUnderTheirReferences(t *testing.T) {
	one := start(t, t.TempDir())
	one.add("DC0_C0", "new")
	one.done(one.addAlone("lone"))
	one.must(one.enable("new", "vSPC"))
	one.must(one.set("lone", "UserVars.DcuiTimeOut", int64(60)))
	one.maintain("new")
	members, parts, lone := one.membersOf("DC0_C0"), one.parts("new"), one.parts("lone")
	where, err := one.finder.ResourcePool(one.ctx, "lone/Resources")
	one.must(err)

	again := one.afterKill().afterKill()

	if after := again.membersOf("DC0_C0"); fmt.Sprint(after) != fmt.Sprint(members) || len(after) != 4 {
		t.Errorf("before %v, after %v", members, after)
	}
	if again.parts("new") != parts || again.parts("lone") != lone {
		t.Errorf("before %v, %v, after %v, %v", parts, lone, again.parts("new"), again.parts("lone"))
	}
	if !again.rulesets("new")["vSPC"].Enabled || again.option("lone", "UserVars.DcuiTimeOut") != int64(60) || !again.runtime("new").InMaintenanceMode {
		t.Error("their settings are lost")
	}
	back, err := again.finder.ResourcePool(again.ctx, "lone/Resources")
	again.must(err)
	if back.Reference() != where.Reference() {
		t.Errorf("the pool is %v instead of %v", back.Reference(), where.Reference())
	}
	again.must(again.enable("lone", "vSPC"))
	again.add("DC0_C0", "later")
	again.done(again.createIn(again.folder(), named("photon"), "lone/Resources"))
	if third := again.afterKill(); third.machines()["photon"] == "" || !third.rulesets("lone")["vSPC"].Enabled {
		t.Error("what came after that is lost")
	}
}

func (s *site) folder() *object.Folder {
	s.t.Helper()
	folder, err := s.finder.DefaultFolder(s.ctx)
	s.must(err)
	return folder
}

func TestAHostLeavesItsClusterOutOfUseOnlyAndForGood(t *testing.T) {
	one := start(t, t.TempDir())
	wall := one.firewall("DC0_C0_H1")
	one.add("DC0_C0", "new")

	expect[*types.InvalidState](t, one.failed(one.remove("DC0_C0_H1")))
	one.maintain("DC0_C0_H1")
	one.done(one.remove("DC0_C0_H1"))
	one.done(one.host("DC0_C0_H2").Disconnect(one.ctx))
	one.done(one.remove("DC0_C0_H2"))
	one.done(one.host("new").Disconnect(one.ctx))
	one.done(one.remove("new"))

	_, err := methods.RefreshFirewall(one.ctx, one.client, &types.RefreshFirewall{This: wall})
	expect[*types.ManagedObjectNotFound](t, err)
	again := one.afterKill()
	for when, site := range map[string]*site{"then": one, "after a restart": again} {
		if members := site.membersOf("DC0_C0"); len(members) != 1 || members["DC0_C0_H0"] == "" {
			t.Errorf("%s: %v", when, members)
		}
		var cluster mo.ComputeResource
		site.must(site.client.RetrieveOne(site.ctx, site.cluster("DC0_C0"), []string{"summary"}, &cluster))
		if hosts := cluster.Summary.GetComputeResourceSummary().NumHosts; hosts != 1 {
			t.Errorf("%s: it counts %d hosts", when, hosts)
		}
	}
	again.add("DC0_C0", "DC0_C0_H1")
	if again.rulesets("DC0_C0_H1")["vic-engine"].Key == "" {
		t.Error("a host that comes back under its name has no rulesets")
	}
}

func TestALoneHostLeavesByItsComputeResourceOnly(t *testing.T) {
	one := start(t, t.TempDir())
	var host mo.HostSystem
	one.must(one.host("DC0_H0").Properties(one.ctx, one.host("DC0_H0").Reference(), []string{"parent"}, &host))

	expect[*types.NotSupported](t, one.failed(one.remove("DC0_H0")))
	one.done(object.NewComputeResource(one.client.Client, *host.Parent).Destroy(one.ctx))

	for when, site := range map[string]*site{"then": one, "after a restart": one.afterKill()} {
		if found, err := site.finder.HostSystem(site.ctx, "DC0_H0"); err == nil {
			t.Errorf("%s: it is still there: %v", when, found)
		}
	}
}

func TestAHostWithMachinesStays(t *testing.T) {
	one := start(t, t.TempDir())
	one.made(named("photon"))
	var host mo.HostSystem
	one.must(one.host("DC0_H0").Properties(one.ctx, one.host("DC0_H0").Reference(), []string{"parent"}, &host))

	err := one.failed(object.NewComputeResource(one.client.Client, *host.Parent).Destroy(one.ctx))

	expect[*types.ResourceInUse](t, err)
}

func TestAHostIsMovedIntoAClusterAndStaysThere(t *testing.T) {
	one := startSized(t, t.TempDir(), size{Datacenters: 1, Clusters: 2, ClusterHosts: 2, Hosts: 1, Datastores: 1})
	one.made(named("photon"))
	lone, other := one.host("DC0_H0"), one.host("DC0_C1_H0")
	into := one.clusterObject("DC0_C0")
	one.must(one.enable("DC0_C1_H0", "vSPC"))

	expect[*types.InvalidState](t, one.failed(into.MoveInto(one.ctx, other)))
	one.maintain("DC0_C1_H0")
	one.done(into.MoveInto(one.ctx, other, lone))
	expect[*types.DuplicateName](t, one.failed(into.MoveInto(one.ctx, lone)))

	for when, site := range map[string]*site{"then": one, "after a restart": one.afterKill()} {
		if members := site.membersOf("DC0_C0"); len(members) != 4 || members["DC0_H0"] == "" || members["DC0_C1_H0"] == "" {
			t.Errorf("%s: %v", when, members)
		}
		if members := site.membersOf("DC0_C1"); len(members) != 1 {
			t.Errorf("%s: %v stay", when, members)
		}
		if !site.rulesets("DC0_C1_H0")["vSPC"].Enabled {
			t.Errorf("%s: its rulesets are others", when)
		}
		vm, err := site.finder.VirtualMachine(site.ctx, "photon")
		site.must(err)
		if place := *site.properties(vm).ResourcePool; site.nameOf(place) != "Resources" {
			t.Errorf("%s: the machine is in %v", when, place)
		}
	}
}

func TestAHostJoinsOnce(t *testing.T) {
	one := start(t, t.TempDir())
	spec := types.HostConnectSpec{HostName: "DC0_C0_H1"}

	expect[*types.DuplicateName](t, one.failed(one.clusterObject("DC0_C0").AddHost(one.ctx, spec, true, nil, nil)))
	spec.HostName = "DC0_H0"
	expect[*types.AlreadyConnected](t, one.failed(one.clusterObject("DC0_C0").AddHost(one.ctx, spec, true, nil, nil)))
	expect[*types.AlreadyConnected](t, one.failed(one.addAlone("DC0_C0_H1")))
}

func TestHostsThatJoinAndLeaveAtOnceDoNotWaitForEachOther(t *testing.T) {
	one := startSized(t, t.TempDir(), size{Datacenters: 1, Clusters: 1, ClusterHosts: 6, Datastores: 1})
	var group sync.WaitGroup
	for i := range 6 {
		host := fmt.Sprintf("DC0_C0_H%d", i)
		one.maintain(host)
		reference := one.host(host)
		cluster := one.clusterObject("DC0_C0")
		group.Go(func() {
			task, err := reference.Destroy(one.ctx)
			if err == nil {
				err = task.Wait(one.ctx)
			}
			if err != nil {
				t.Error(err)
			}
		})
		group.Go(func() {
			task, err := cluster.AddHost(one.ctx, types.HostConnectSpec{HostName: fmt.Sprintf("new%d", i)}, true, nil, nil)
			if err == nil {
				err = task.Wait(one.ctx)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()

	members := one.membersOf("DC0_C0")

	if after := one.afterKill().membersOf("DC0_C0"); len(members) != 6 || fmt.Sprint(members) != fmt.Sprint(after) {
		t.Errorf("before %v, after %v", members, after)
	}
}
