package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func TestAMachineComesBackAsItWas(t *testing.T) {
	one := start(t, t.TempDir())
	spec := named("photon")
	spec.Annotation = "ours"
	spec.ExtraConfig = []types.BaseOptionValue{&types.OptionValue{Key: "guestinfo.note", Value: "kept"}}
	vm := one.made(spec)
	one.done(vm.PowerOn(one.ctx))
	before := one.properties(vm)

	again := one.afterKill()

	after := again.properties(again.same(vm))
	if after.Config.Uuid != before.Config.Uuid || after.Config.InstanceUuid != before.Config.InstanceUuid {
		t.Error("another uuid")
	}
	if after.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn || after.Summary.Runtime.PowerState != after.Runtime.PowerState {
		t.Errorf("power %s, %s", after.Runtime.PowerState, after.Summary.Runtime.PowerState)
	}
	if after.Name != "photon" || after.Config.Hardware.MemoryMB != 512 || after.Config.Annotation != "ours" {
		t.Errorf("name %q, memory %d, annotation %q", after.Name, after.Config.Hardware.MemoryMB, after.Config.Annotation)
	}
	if fmt.Sprintf("%T", after.Config.Hardware.Device) != fmt.Sprintf("%T", before.Config.Hardware.Device) ||
		len(after.Config.Hardware.Device) != len(before.Config.Hardware.Device) {
		t.Errorf("%d devices instead of %d", len(after.Config.Hardware.Device), len(before.Config.Hardware.Device))
	}
	if value, _ := object.OptionValueList(after.Config.ExtraConfig).GetString("guestinfo.note"); value != "kept" {
		t.Error("extraConfig is lost")
	}
	if *after.Parent != *before.Parent || *after.ResourcePool != *before.ResourcePool || *after.Runtime.Host != *before.Runtime.Host {
		t.Error("another place")
	}
}

func TestAMachineThatCameBackIsFoundChangedAndDestroyed(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(named("photon"))
	uuid := one.properties(vm).Config.Uuid

	again := one.afterKill()

	found, err := object.NewSearchIndex(again.client.Client).FindByUuid(again.ctx, nil, uuid, true, nil)
	again.must(err)
	back, err := again.finder.VirtualMachine(again.ctx, "photon")
	again.must(err)
	if found == nil || found.Reference() != vm.Reference() || back.Reference() != vm.Reference() {
		t.Fatalf("found %v and %v instead of %v", found, back, vm)
	}
	again.done(back.Reconfigure(again.ctx, types.VirtualMachineConfigSpec{MemoryMB: 1024}))
	again.done(back.PowerOn(again.ctx))
	again.done(back.PowerOff(again.ctx))
	if got := again.properties(back).Config.Hardware.MemoryMB; got != 1024 {
		t.Errorf("memory is %d", got)
	}
	again.done(back.Destroy(again.ctx))
	for _, list := range again.listsOfMachines() {
		if len(list) != 0 {
			t.Errorf("something still lists %v", list)
		}
	}
	if _, err := os.Stat(filepath.Join(again.state, "datastores", store, "photon")); !os.IsNotExist(err) {
		t.Errorf("its folder: %v", err)
	}
}

// listsOfMachines are the lists of VMs of the standalone host, its pool and the datastore.
func (s *site) listsOfMachines() [][]types.ManagedObjectReference {
	s.t.Helper()
	var host mo.HostSystem
	s.must(s.host("DC0_H0").Properties(s.ctx, s.host("DC0_H0").Reference(), []string{"vm"}, &host))
	where, err := s.finder.ResourcePool(s.ctx, pool)
	s.must(err)
	var resources mo.ResourcePool
	s.must(where.Properties(s.ctx, where.Reference(), []string{"vm"}, &resources))
	disk, err := s.finder.Datastore(s.ctx, store)
	s.must(err)
	var data mo.Datastore
	s.must(disk.Properties(s.ctx, disk.Reference(), []string{"vm"}, &data))
	return [][]types.ManagedObjectReference{host.Vm, resources.Vm, data.Vm}
}

func TestEverythingListsAMachineThatCameBackOnce(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(named("photon"))

	again := one.afterKill()

	for _, list := range again.listsOfMachines() {
		if len(list) != 1 || list[0] != vm.Reference() {
			t.Errorf("got %v", list)
		}
	}
}

func TestWhatIsDestroyedStaysSoAndItsReferenceIsNotUsedAgain(t *testing.T) {
	one := start(t, t.TempDir())
	gone := one.made(named("photon"))
	one.done(gone.Destroy(one.ctx))

	again := one.afterKill()

	machines, _ := again.finder.VirtualMachineList(again.ctx, "*")
	if len(machines) != 0 {
		t.Errorf("%d machines", len(machines))
	}
	if later := again.made(named("photon")); number(later.Reference()) <= number(gone.Reference()) {
		t.Errorf("%s comes after %s", later.Reference().Value, gone.Reference().Value)
	}
}

func TestMachinesThatWereMadeAtOnceComeBackUnderTheirReferences(t *testing.T) {
	one := start(t, t.TempDir())
	folder, err := one.finder.DefaultFolder(one.ctx)
	one.must(err)
	where, err := one.finder.ResourcePool(one.ctx, pool)
	one.must(err)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			spec := named(fmt.Sprintf("vm%d", i))
			spec.Files = &types.VirtualMachineFileInfo{VmPathName: "[" + store + "]"}
			task, err := folder.CreateVM(one.ctx, spec, where, nil)
			if err == nil {
				err = task.Wait(one.ctx)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	before := one.machines()

	after := one.afterKill().machines()

	if len(before) != 8 || fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("before %v, after %v", before, after)
	}
}

func (s *site) machines() map[string]string {
	s.t.Helper()
	list, err := s.finder.VirtualMachineList(s.ctx, "*")
	s.must(err)
	found := map[string]string{}
	for _, vm := range list {
		found[vm.Name()] = vm.Reference().Value
	}
	return found
}

func TestHostsComeBackAsTheyWere(t *testing.T) {
	one := start(t, t.TempDir())
	list := types.HostFirewallRulesetIpList{IpAddress: []string{"192.0.2.1"}}
	one.must(one.enable("DC0_C0_H1", "vic-engine"))
	one.must(one.allow("DC0_C0_H1", "vic-engine", list))
	_, err := methods.StartService(one.ctx, one.client, &types.StartService{This: one.services("DC0_C0_H1"), Id: "TSM-SSH"})
	one.must(err)
	policy := &types.UpdateDefaultPolicy{This: one.firewall("DC0_C0_H1")}
	policy.DefaultPolicy.OutgoingBlocked = types.NewBool(false)
	_, err = methods.UpdateDefaultPolicy(one.ctx, one.client, policy)
	one.must(err)
	one.done(one.host("DC0_C0_H0").EnterMaintenanceMode(one.ctx, 0, false, nil))
	one.done(one.host("DC0_C0_H2").Disconnect(one.ctx))

	again := one.afterKill()

	rule := again.rulesets("DC0_C0_H1")["vic-engine"]
	if !rule.Enabled || len(rule.AllowedHosts.IpAddress) != 1 || again.rulesets("DC0_C0_H2")["vic-engine"].Enabled {
		t.Errorf("the ruleset is %+v", rule)
	}
	if !again.service("DC0_C0_H1", "TSM-SSH").Running {
		t.Error("the service does not run")
	}
	var system mo.HostFirewallSystem
	again.must(again.client.RetrieveOne(again.ctx, again.firewall("DC0_C0_H1"), []string{"firewallInfo"}, &system))
	if *system.FirewallInfo.DefaultPolicy.OutgoingBlocked {
		t.Error("the default policy is lost")
	}
	if !again.runtime("DC0_C0_H0").InMaintenanceMode {
		t.Error("maintenance mode is lost")
	}
	if again.runtime("DC0_C0_H2").ConnectionState != types.HostSystemConnectionStateDisconnected {
		t.Error("the disconnected host is connected")
	}
}

func TestFoldersPoolsAndAppsComeBackWithWhatIsInThem(t *testing.T) {
	one := start(t, t.TempDir())
	root, err := one.finder.DefaultFolder(one.ctx)
	one.must(err)
	outer, err := root.CreateFolder(one.ctx, "outer")
	one.must(err)
	inner, err := outer.CreateFolder(one.ctx, "inner")
	one.must(err)
	resources, err := one.finder.ResourcePool(one.ctx, "DC0_C0/Resources")
	one.must(err)
	child, err := resources.Create(one.ctx, "child", types.DefaultResourceConfigSpec())
	one.must(err)
	app, err := child.CreateVApp(one.ctx, "app", types.DefaultResourceConfigSpec(), types.VAppConfigSpec{}, inner)
	one.must(err)
	spec := named("inside")
	spec.Files = &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0]"}
	one.done(app.CreateChildVM(one.ctx, spec, nil))
	one.done(one.createIn(inner, named("photon"), "DC0_C0/Resources/child"))

	again := one.afterKill()

	vm, err := again.finder.VirtualMachine(again.ctx, "outer/inner/photon")
	again.must(err)
	if got := again.properties(vm).ResourcePool; *got != child.Reference() {
		t.Errorf("it is in %v", got)
	}
	back := object.NewVirtualApp(again.client.Client, app.Reference())
	var properties mo.VirtualApp
	again.must(back.Properties(again.ctx, back.Reference(), []string{"name", "parent", "vm", "parentFolder"}, &properties))
	if properties.Name != "app" || *properties.Parent != child.Reference() {
		t.Errorf("the app %q is in %v", properties.Name, properties.Parent)
	}
	if len(properties.Vm) != 1 || *properties.ParentFolder != inner.Reference() {
		t.Errorf("the app has %v in %v", properties.Vm, properties.ParentFolder)
	}
}

func TestSnapshotsAndTemplatesComeBack(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(named("photon"))
	one.done(vm.CreateSnapshot(one.ctx, "before", "", false, false))
	template := one.made(named("template"))
	one.must(template.MarkAsTemplate(one.ctx))

	again := one.afterKill()

	back := again.same(vm)
	found, err := back.FindSnapshot(again.ctx, "before")
	again.must(err)
	again.done(back.RevertToSnapshot(again.ctx, "before", false))
	again.done(back.RemoveSnapshot(again.ctx, found.Value, false, nil))
	after := again.properties(again.same(template))
	if !after.Config.Template || after.ResourcePool != nil || len(again.listsOfMachines()[1]) != 1 {
		t.Errorf("template %v in %v, pool has %v", after.Config.Template, after.ResourcePool, again.listsOfMachines()[1])
	}
}

func TestEveryAnsweredChangeOutlivesAKill(t *testing.T) {
	one := start(t, t.TempDir())

	for i := range 5 {
		key, change := "vSPC", one.enable
		if i%2 == 1 {
			change = one.disable
		}
		one.must(change("DC0_C0_H1", key))
		if got := one.afterKill().rulesets("DC0_C0_H1")[key].Enabled; got != (i%2 == 0) {
			t.Errorf("after change %d it is %v", i, got)
		}
	}
}

func TestChangesOfManyHostsAtOnceAreAllKept(t *testing.T) {
	many := usualSize
	many.ClusterHosts = 16
	one := startSized(t, t.TempDir(), many)
	walls := map[string]types.ManagedObjectReference{}
	for i := range many.ClusterHosts {
		name := fmt.Sprintf("DC0_C0_H%d", i)
		walls[name] = one.firewall(name)
	}
	var group sync.WaitGroup
	for _, wall := range walls {
		group.Go(func() {
			if _, err := methods.EnableRuleset(one.ctx, one.client, &types.EnableRuleset{This: wall, Id: "vSPC"}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()

	again := one.afterKill()

	for name := range walls {
		if !again.rulesets(name)["vSPC"].Enabled {
			t.Errorf("that of %s is lost", name)
		}
	}
}

// keptNow is what lies on the disk.
func (s *site) keptNow() *record {
	s.t.Helper()
	data, err := (&keptFile{path: filepath.Join(s.state, journalName)}).read()
	s.must(err)
	kept := new(record)
	s.must(json.Unmarshal(data, kept))
	return kept
}

func TestOfAHostThatIsAsNewNothingIsKept(t *testing.T) {
	one := start(t, t.TempDir())
	one.must(one.enable("DC0_C0_H1", "vSPC"))
	changed := one.keptNow().Hosts
	one.must(one.disable("DC0_C0_H1", "vSPC"))

	if again := one.keptNow().Hosts; len(changed) != 1 || len(again) != 0 {
		t.Errorf("first %d hosts are kept, then %d", len(changed), len(again))
	}
}

func TestAJournalThatHoldsHostsAsAWholeIsStillRead(t *testing.T) {
	one := start(t, t.TempDir())
	one.must(one.enable("DC0_C0_H2", "vSPC"))
	host := one.host("DC0_C0_H1").Reference().Value
	var system mo.HostFirewallSystem
	one.must(one.client.RetrieveOne(one.ctx, one.firewall("DC0_C0_H1"), []string{"firewallInfo"}, &system))
	for i := range system.FirewallInfo.Ruleset {
		system.FirewallInfo.Ruleset[i].Enabled = true
	}
	whole, err := json.Marshal(map[string]any{
		"connection": "connected", "maintenance": true,
		"policy": system.FirewallInfo.DefaultPolicy, "rulesets": system.FirewallInfo.Ruleset, "services": usualServices,
	})
	one.must(err)
	kept := one.keptNow()
	kept.Hosts[host] = whole
	data, err := json.Marshal(kept)
	one.must(err)
	state := t.TempDir()
	one.must((&keptFile{path: filepath.Join(state, journalName)}).replace(data))

	again := start(t, state)

	if !again.rulesets("DC0_C0_H1")["vSPC"].Enabled || !again.runtime("DC0_C0_H1").InMaintenanceMode {
		t.Error("its settings are lost")
	}
	if again.runtime("DC0_C0_H1").ConnectionState != types.HostSystemConnectionStateConnected {
		t.Error("it is not connected")
	}
}

func TestADamagedJournalCostsTheLastChangeAlone(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"cut short": func(data []byte) []byte { return data[:len(data)/2] },
		"empty":     func([]byte) []byte { return nil },
		"one byte": func(data []byte) []byte {
			data[len(data)/2] ^= 1
			return data
		},
	} {
		t.Run(name, func(t *testing.T) {
			one := start(t, t.TempDir())
			vm := one.made(named("photon"))
			one.must(one.enable("DC0_C0_H1", "vSPC"))
			one.must(one.enable("DC0_C0_H1", "vic-engine"))
			file := filepath.Join(one.state, journalName)
			data, err := os.ReadFile(file)
			one.must(err)
			one.must(os.WriteFile(file, damage(data), 0o600))

			again := one.afterKill()

			if got := again.machines()["photon"]; got != vm.Reference().Value {
				t.Errorf("the machine is %q", got)
			}
			if !again.rulesets("DC0_C0_H1")["vSPC"].Enabled {
				t.Error("the change before the last is lost")
			}
			again.must(again.enable("DC0_C0_H2", "vSPC"))
			if third := again.afterKill(); !third.rulesets("DC0_C0_H2")["vSPC"].Enabled || len(third.machines()) != 1 {
				t.Error("nothing is kept after that")
			}
		})
	}
}

func TestAMachineThatCannotBeMadeAgainIsNotForgotten(t *testing.T) {
	one := start(t, t.TempDir())
	one.made(named("photon"))
	state := t.TempDir()
	one.must(os.CopyFS(state, os.DirFS(one.state)))
	file := &keptFile{path: filepath.Join(state, journalName)}
	data, err := file.read()
	one.must(err)
	lost := []byte(string(data))
	for i := 0; i+len(store) < len(lost); i++ {
		if string(lost[i:i+len(store)]) == store {
			copy(lost[i:], "ElseDS_00")
		}
	}
	one.must(file.replace(lost))

	again := start(t, state)
	again.must(again.enable("DC0_C0_H1", "vSPC"))

	kept := new(record)
	now, err := file.read()
	one.must(err)
	one.must(decode(now, kept))
	if len(kept.Machines) != 1 {
		t.Errorf("%d machines are kept", len(kept.Machines))
	}
}

func TestAJournalOfASiteOfAnotherSizeIsRefused(t *testing.T) {
	one := start(t, t.TempDir())
	one.must(one.enable("DC0_C0_H1", "vSPC"))
	larger := usualSize
	larger.ClusterHosts = 5

	_, _, err := serve(settings(t, one.state, larger))

	if err == nil {
		t.Error("it is accepted")
	}
}

func TestTheJournalIsForItsOwnersEyes(t *testing.T) {
	one := start(t, t.TempDir())
	one.must(one.enable("DC0_C0_H1", "vSPC"))

	info, err := os.Stat(filepath.Join(one.state, journalName))

	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestAMachineThatGoesIsNotWrittenWhileItGoes(t *testing.T) {
	server, kept, err := serve(settings(t, t.TempDir(), usualSize))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(); kept.close() })
	vm := &simulator.VirtualMachine{}
	vm.Self = types.ManagedObjectReference{Type: "VirtualMachine", Value: "vm-gone"}

	text, err := kept.textOf(vm) // as one that is in the list still, but not in the registry

	if err != nil || text != nil {
		t.Errorf("got %s, %v", text, err)
	}
}
