package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func (s *site) snapshot(vm *object.VirtualMachine, name string, memory bool) {
	s.t.Helper()
	s.done(vm.CreateSnapshot(s.ctx, name, "about "+name, memory, false))
}

func (s *site) setting(vm *object.VirtualMachine, key string) any {
	s.t.Helper()
	for _, option := range s.properties(vm).Config.ExtraConfig {
		if option.GetOptionValue().Key == key {
			return option.GetOptionValue().Value
		}
	}
	return nil
}

func (s *site) withCard(vm *object.VirtualMachine) {
	s.t.Helper()
	network, err := s.finder.Network(s.ctx, "VM Network")
	s.must(err)
	backing, err := network.EthernetCardBackingInfo(s.ctx)
	s.must(err)
	card, err := object.EthernetCardTypes().CreateEthernetCard("vmxnet3", backing)
	s.must(err)
	s.must(vm.AddDevice(s.ctx, card))
}

func TestARevertedMachineIsWhatItWas(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(withSettings("vch", "kept", "old", secretKey, "b2xk"))
	before := one.properties(vm)
	one.snapshot(vm, "upgrade for 1", false)
	one.done(vm.PowerOn(one.ctx))
	one.done(vm.Reconfigure(one.ctx, types.VirtualMachineConfigSpec{
		MemoryMB: 4096, NumCPUs: 3, Annotation: "changed", ExtraConfig: settingsOf("kept", "new", "added", "1", secretKey, "bmV3"),
	}))
	one.withCard(vm)

	after := one.afterKill()
	for when, site := range map[string]*site{"at once": one, "after a restart": after} {
		t.Run(when, func(t *testing.T) {
			same := site.same(vm)
			site.done(same.RevertToSnapshot(site.ctx, "upgrade for 1", false))

			got := site.properties(same)
			if got.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff {
				t.Errorf("it is %s", got.Runtime.PowerState)
			}
			hardware, summary := got.Config.Hardware, got.Summary.Config
			if hardware.MemoryMB != 512 || hardware.NumCPU != 1 || summary.MemorySizeMB != 512 || summary.NumCpu != 1 ||
				got.Config.Annotation != "" {
				t.Errorf("settings: %d, %d, %+v", hardware.MemoryMB, hardware.NumCPU, summary)
			}
			if len(hardware.Device) != len(before.Config.Hardware.Device) || len(got.Network) != 0 || len(got.Guest.Net) != 0 ||
				summary.NumEthernetCards != 0 {
				t.Errorf("devices: %d, %v, %v", len(hardware.Device), got.Network, got.Guest.Net)
			}
			if site.setting(same, "kept") != "old" || site.setting(same, "added") != nil || site.setting(same, secretKey) != nil {
				t.Errorf("extraConfig: %v", got.Config.ExtraConfig)
			}
			hasLine(t, site.vmx("vch"), secretKey+` = "b2xk"`)
			hasLine(t, site.vmx("vch"), `kept = "old"`)
			site.done(same.PowerOn(site.ctx))
		})
	}
}

func TestASnapshotStaysAsItIsWhenTheMachineChanges(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(withSettings("vch", "kept", "old"))
	one.snapshot(vm, "first", false)
	one.done(vm.Reconfigure(one.ctx, types.VirtualMachineConfigSpec{MemoryMB: 4096, ExtraConfig: settingsOf("kept", "new")}))
	ref, err := vm.FindSnapshot(one.ctx, "first")
	one.must(err)
	var snapshot mo.VirtualMachineSnapshot

	one.must(vm.Properties(one.ctx, *ref, []string{"config"}, &snapshot))

	if snapshot.Config.Hardware.MemoryMB != 512 {
		t.Errorf("memory is %d", snapshot.Config.Hardware.MemoryMB)
	}
	for _, option := range snapshot.Config.ExtraConfig {
		if one := option.GetOptionValue(); one.Key == "kept" && one.Value != "old" {
			t.Errorf("got %v", one.Value)
		}
	}
}

func TestAMachineWithItsMemoryInTheSnapshotRunsAgain(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(named("vch"))
	one.done(vm.PowerOn(one.ctx))
	one.snapshot(vm, "without", false)
	one.snapshot(vm, "with", true)
	one.done(vm.PowerOff(one.ctx))
	power := func() types.VirtualMachinePowerState { return one.properties(vm).Runtime.PowerState }

	one.done(vm.RevertToSnapshot(one.ctx, "with", true))
	suppressed := power()
	one.done(vm.RevertToSnapshot(one.ctx, "with", false))
	with := power()
	one.done(vm.RevertToSnapshot(one.ctx, "without", false))
	without := power()

	if suppressed != "poweredOff" || with != "poweredOn" || without != "poweredOff" {
		t.Errorf("got %s, %s, %s", suppressed, with, without)
	}
}

func TestSnapshotsMakeATreeThatKeepsItsShape(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(named("vch"))
	for _, name := range []string{"a", "b", "c"} {
		one.snapshot(vm, name, false)
	}
	one.done(vm.RevertToSnapshot(one.ctx, "a", false))
	one.snapshot(vm, "d", false)
	one.done(vm.RemoveSnapshot(one.ctx, "b", false, nil))

	for when, site := range map[string]*site{"now": one, "after a restart": one.afterKill()} {
		info := site.properties(vm).Snapshot
		root := info.RootSnapshotList[0]
		var names, ids []string
		for _, child := range root.ChildSnapshotList {
			names, ids = append(names, child.Name), append(ids, string('0'+rune(child.Id)))
		}
		current := nodeOf(info.RootSnapshotList, info.CurrentSnapshot)
		if len(info.RootSnapshotList) != 1 || root.Name != "a" || strings.Join(names, "") != "cd" || current.Name != "d" ||
			strings.Join(ids, "") != "34" {
			t.Errorf("%s: got %+v", when, info)
		}
		var snapshot mo.VirtualMachineSnapshot
		site.must(site.client.RetrieveOne(site.ctx, root.Snapshot, []string{"childSnapshot"}, &snapshot))
		if len(snapshot.ChildSnapshot) != 2 {
			t.Errorf("%s: children %v", when, snapshot.ChildSnapshot)
		}
	}
	one.done(vm.RemoveSnapshot(one.ctx, "a", true, nil))
	if got := one.properties(vm); got.Snapshot != nil || len(got.RootSnapshot) != 0 {
		t.Errorf("left: %+v", got.Snapshot)
	}
	_, err := methods.RenameSnapshot(one.ctx, one.client, &types.RenameSnapshot{
		This: types.ManagedObjectReference{Type: "VirtualMachineSnapshot", Value: "snapshot-1"}, Name: "x",
	})
	expect[*types.ManagedObjectNotFound](t, err)
}

func TestTheCurrentSnapshotIsRevertedTo(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(named("vch"))
	revert := func() (*object.Task, error) {
		res, err := methods.RevertToCurrentSnapshot_Task(one.ctx, one.client, &types.RevertToCurrentSnapshot_Task{This: vm.Reference()})
		one.must(err)
		return object.NewTask(one.client.Client, res.Returnval), nil
	}
	none, err := revert()
	expect[*types.NotFound](t, one.failed(none, err))
	one.snapshot(vm, "one", false)
	one.snapshot(vm, "two", false)
	one.done(vm.Reconfigure(one.ctx, types.VirtualMachineConfigSpec{MemoryMB: 4096}))

	one.done(revert())
	one.done(vm.RemoveSnapshot(one.ctx, "two", false, nil))

	got := one.properties(vm)
	if got.Config.Hardware.MemoryMB != 512 || nodeOf(got.Snapshot.RootSnapshotList, got.Snapshot.CurrentSnapshot).Name != "one" {
		t.Errorf("got %d, %+v", got.Config.Hardware.MemoryMB, got.Snapshot)
	}
}

func TestTheMachinesFilesStayWhenSnapshotsGo(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(withSettings("vch", "kept", "1"))
	files := func() string {
		found, err := filepath.Glob(filepath.Join(one.state, "datastores", store, "vch", "*"))
		one.must(err)
		for i := range found {
			found[i] = filepath.Base(found[i])
		}
		return strings.Join(found, " ")
	}
	before := files()
	for range 3 {
		for _, name := range []string{"a", "b", "c"} {
			one.snapshot(vm, name, false)
			one.done(vm.Reconfigure(one.ctx, types.VirtualMachineConfigSpec{Annotation: name}))
		}
		during := files()
		one.done(vm.RemoveSnapshot(one.ctx, "a", false, nil))
		one.done(vm.RemoveSnapshot(one.ctx, "b", false, nil))
		one.done(vm.RemoveAllSnapshot(one.ctx, nil))
		if got := files(); got != before || !strings.Contains(during, "vch-Snapshot3.vmsn") {
			t.Fatalf("were %s, then %s, now %s", before, during, got)
		}
	}
	hasLine(t, one.vmx("vch"), `kept = "1"`)
	one.must(os.Remove(filepath.Join(one.state, "datastores", store, "vch", "vch.vmx")))
	one.done(vm.Reconfigure(one.ctx, types.VirtualMachineConfigSpec{Annotation: "gone"}))
	if strings.Contains(files(), "vmx") {
		t.Error("a .vmx that was deleted by hand came back")
	}
}

func TestASnapshotIsRenamed(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(named("vch"))
	one.snapshot(vm, "old", false)
	ref, err := vm.FindSnapshot(one.ctx, "old")
	one.must(err)

	_, err = methods.RenameSnapshot(one.ctx, one.client, &types.RenameSnapshot{This: *ref, Name: "new"})
	one.must(err)

	if _, err := one.same(vm).FindSnapshot(one.ctx, "new"); err != nil {
		t.Error(err)
	}
}
