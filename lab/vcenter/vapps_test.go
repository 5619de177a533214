package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// vApp makes one as vic-machine 1.1.1 does.
func (s *site) vApp(name string) *object.VirtualApp {
	s.t.Helper()
	where, err := s.finder.ResourcePool(s.ctx, pool)
	s.must(err)
	folder, err := s.finder.DefaultFolder(s.ctx)
	s.must(err)
	app, err := where.CreateVApp(s.ctx, name, types.DefaultResourceConfigSpec(), types.VAppConfigSpec{Annotation: "VCH"}, folder)
	s.must(err)
	return app
}

func (s *site) child(app *object.VirtualApp, spec types.VirtualMachineConfigSpec) *object.VirtualMachine {
	s.t.Helper()
	spec.Files = &types.VirtualMachineFileInfo{VmPathName: "[" + store + "]"}
	info := s.done(app.CreateChildVM(s.ctx, spec, nil))
	return object.NewVirtualMachine(s.client.Client, info.Result.(types.ManagedObjectReference))
}

func (s *site) app(of *object.VirtualApp) mo.VirtualApp {
	s.t.Helper()
	var properties mo.VirtualApp
	s.must(s.client.RetrieveOne(s.ctx, of.Reference(), nil, &properties))
	return properties
}

// powerVApp runs a vApp's own power method.
func (s *site) powerVApp(app *object.VirtualApp, on bool) (*object.Task, error) {
	if on {
		return app.PowerOn(s.ctx)
	}
	return app.PowerOff(s.ctx, true)
}

func TestEachMachineOfAVAppHasAFolderOfItsOwn(t *testing.T) {
	one := start(t, t.TempDir())
	app := one.vApp("vch1")
	place := types.VirtualMachineConfigSpec{Files: &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0]"}, Annotation: "x"}

	first := one.child(app, withSettings("vch1", "plain", "1", secretKey, "a2V5"))
	one.done(first.Reconfigure(one.ctx, place)) // as vic-machine does before it makes the next one
	second := one.child(app, named("vch2"))
	one.done(second.Reconfigure(one.ctx, place))

	for when, site := range map[string]*site{"now": one, "after a restart": one.afterKill()} {
		for vm, path := range map[*object.VirtualMachine]string{first: "[LocalDS_0] vch1/vch1.vmx", second: "[LocalDS_0] vch2/vch2.vmx"} {
			got := site.properties(site.same(vm))
			if got.Config.Files.VmPathName != path || got.Summary.Config.VmPathName != path || got.Config.Annotation != "x" {
				t.Errorf("%s: %s, not %s", when, got.Config.Files.VmPathName, path)
			}
			if got.ParentVApp == nil || *got.ParentVApp != app.Reference() || *got.ResourcePool != app.Reference() {
				t.Errorf("%s: its vApp is %v", when, got.ParentVApp)
			}
		}
		hasLine(t, site.vmx("vch1"), secretKey+` = "a2V5"`)
		if site.setting(site.same(first), secretKey) != nil {
			t.Error("the secret setting can be read")
		}
	}
	expect[*types.DuplicateName](t, one.failed(app.CreateChildVM(one.ctx, named("vch1"), nil)))
}

func TestAVAppIsPoweredWithItsMachines(t *testing.T) {
	one := start(t, t.TempDir())
	app := one.vApp("vch1")
	vm := one.child(app, named("vch1"))
	state := func(site *site) [2]string {
		return [2]string{
			string(site.app(app).Summary.(*types.VirtualAppSummary).VAppState), string(site.properties(site.same(vm)).Runtime.PowerState),
		}
	}

	expect[*types.InvalidState](t, one.failed(one.powerVApp(app, false)))
	one.done(one.powerVApp(app, true))
	on := state(one.afterKill())
	expect[*types.InvalidState](t, one.failed(one.powerVApp(app, true)))
	expect[*types.InvalidState](t, one.failed(app.Destroy(one.ctx)))
	one.done(one.powerVApp(app, false))
	off := state(one)

	if on != [2]string{"started", "poweredOn"} || off != [2]string{"stopped", "poweredOff"} {
		t.Errorf("got %v, then %v", on, off)
	}
}

func TestAVAppGoesWithAllThatIsInIt(t *testing.T) {
	one := start(t, t.TempDir())
	app := one.vApp("vch1")
	vm := one.child(app, named("vch1"))
	inside, err := object.NewResourcePool(one.client.Client, app.Reference()).Create(one.ctx, "inside", types.DefaultResourceConfigSpec())
	one.must(err)
	folder, err := one.finder.DefaultFolder(one.ctx)
	one.must(err)
	deeper := named("deeper")
	deeper.Files = &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0]"}
	one.done(folder.CreateVM(one.ctx, deeper, inside, nil))

	one.done(app.Destroy(one.ctx))

	for when, site := range map[string]*site{"now": one, "after a restart": one.afterKill()} {
		var gone mo.VirtualMachine
		expect[*types.ManagedObjectNotFound](t, site.client.RetrieveOne(site.ctx, vm.Reference(), []string{"name"}, &gone))
		where, err := site.finder.ResourcePool(site.ctx, pool)
		site.must(err)
		var root mo.ResourcePool
		site.must(site.client.RetrieveOne(site.ctx, where.Reference(), nil, &root))
		vms, _ := site.finder.VirtualMachineList(site.ctx, "*")
		if len(root.ResourcePool) != 0 || len(root.Vm) != 0 || len(vms) != 0 {
			t.Errorf("%s: %v, %v, %v", when, root.ResourcePool, root.Vm, vms)
		}
	}
	if !fileMissing(filepath.Join(one.state, "datastores", store, "vch1")) {
		t.Error("its folder is still there")
	}
}

func (s *site) poolOf(path string) (*object.ResourcePool, mo.ResourcePool) {
	s.t.Helper()
	found, err := s.finder.ResourcePool(s.ctx, path)
	s.must(err)
	var properties mo.ResourcePool
	s.must(s.client.RetrieveOne(s.ctx, found.Reference(), nil, &properties))
	return found, properties
}

func TestAPoolsAllocationsAreKeptAndChangedOneByOne(t *testing.T) {
	one := start(t, t.TempDir())
	root, _ := one.poolOf(pool)
	spec := types.DefaultResourceConfigSpec()
	spec.CpuAllocation.Shares = &types.SharesInfo{Level: types.SharesLevelHigh}
	spec.MemoryAllocation.Shares = &types.SharesInfo{Level: types.SharesLevelCustom, Shares: 7}
	made, err := root.Create(one.ctx, "vch", spec)
	one.must(err)
	_, err = root.Create(one.ctx, "other", types.DefaultResourceConfigSpec())
	one.must(err)
	_, before := one.poolOf(pool + "/vch")

	one.must(made.UpdateConfig(one.ctx, "", &types.ResourceConfigSpec{
		CpuAllocation:    types.ResourceAllocationInfo{Limit: types.NewInt64(4000)},
		MemoryAllocation: types.ResourceAllocationInfo{Reservation: types.NewInt64(512), Shares: &types.SharesInfo{Level: "low"}},
	}))

	for when, site := range map[string]*site{"now": one, "after a restart": one.afterKill()} {
		_, got := site.poolOf(pool + "/vch")
		cpu, memory := got.Config.CpuAllocation, got.Config.MemoryAllocation
		if *cpu.Limit != 4000 || cpu.Shares.Shares != 8000 || *cpu.Reservation != 0 || !*cpu.ExpandableReservation ||
			*memory.Reservation != 512 || memory.Shares.Shares != 81920 || *memory.Limit != -1 {
			t.Errorf("%s: %+v, %+v", when, cpu, memory)
		}
		if summary := got.Summary.GetResourcePoolSummary(); summary.Name != "vch" || *summary.Config.CpuAllocation.Limit != 4000 {
			t.Errorf("%s: summary %+v", when, summary)
		}
		if _, top := site.poolOf(pool); top.Summary.GetResourcePoolSummary().Name != "Resources" {
			t.Errorf("%s: the root pool says it is %s", when, top.Summary.GetResourcePoolSummary().Name)
		}
	}
	if before.Config.CpuAllocation.Shares.Shares != 8000 || before.Config.MemoryAllocation.Shares.Shares != 7 {
		t.Errorf("at first: %+v", before.Config)
	}
}

func TestAPoolRefusesWhatCannotBe(t *testing.T) {
	one := start(t, t.TempDir())
	root, _ := one.poolOf(pool)
	made, err := root.Create(one.ctx, "vch", types.DefaultResourceConfigSpec())
	one.must(err)
	_, err = root.Create(one.ctx, "other", types.DefaultResourceConfigSpec())
	one.must(err)
	with := func(allocation types.ResourceAllocationInfo) error {
		return made.UpdateConfig(one.ctx, "", &types.ResourceConfigSpec{CpuAllocation: allocation})
	}

	_, err = root.Create(one.ctx, "vch", types.DefaultResourceConfigSpec())
	expect[*types.DuplicateName](t, err)
	expect[*types.DuplicateName](t, made.UpdateConfig(one.ctx, "other", nil))
	expect[*types.InvalidArgument](t, with(types.ResourceAllocationInfo{Limit: types.NewInt64(-2)}))
	expect[*types.InvalidArgument](t, with(types.ResourceAllocationInfo{Limit: types.NewInt64(1), Reservation: types.NewInt64(2)}))
	expect[*types.InvalidArgument](t, one.failed(root.Destroy(one.ctx)))
	one.must(made.UpdateConfig(one.ctx, "vch", nil))
}

func TestWhatIsInAPoolOutlivesIt(t *testing.T) {
	one := start(t, t.TempDir())
	root, _ := one.poolOf(pool)
	made, err := root.Create(one.ctx, "vch", types.DefaultResourceConfigSpec())
	one.must(err)
	info := one.done(one.create(named("vch"), pool+"/vch"))
	vm := object.NewVirtualMachine(one.client.Client, info.Result.(types.ManagedObjectReference))

	one.done(made.Destroy(one.ctx))

	for when, site := range map[string]*site{"now": one, "after a restart": one.afterKill()} {
		_, top := site.poolOf(pool)
		if got := site.properties(site.same(vm)); *got.ResourcePool != root.Reference() || len(top.Vm) != 1 || len(top.ResourcePool) != 0 {
			t.Errorf("%s: %v, %v, %v", when, got.ResourcePool, top.Vm, top.ResourcePool)
		}
	}
}

func TestAFolderGoesWithTheMachinesInIt(t *testing.T) {
	one := start(t, t.TempDir())
	top, err := one.finder.DefaultFolder(one.ctx)
	one.must(err)
	outer, err := top.CreateFolder(one.ctx, "outer")
	one.must(err)
	inner, err := outer.CreateFolder(one.ctx, "inner")
	one.must(err)
	info := one.done(one.createIn(inner, named("vch"), pool))
	vm := object.NewVirtualMachine(one.client.Client, info.Result.(types.ManagedObjectReference))
	one.done(vm.PowerOn(one.ctx))

	expect[*types.InvalidPowerState](t, one.failed(outer.Destroy(one.ctx)))
	expect[*types.NotSupported](t, one.failed(top.Destroy(one.ctx)))
	one.done(vm.PowerOff(one.ctx))
	one.done(outer.Destroy(one.ctx))

	for when, site := range map[string]*site{"now": one, "after a restart": one.afterKill()} {
		var folder mo.Folder
		site.must(site.client.RetrieveOne(site.ctx, top.Reference(), nil, &folder))
		var gone mo.VirtualMachine
		expect[*types.ManagedObjectNotFound](t, site.client.RetrieveOne(site.ctx, vm.Reference(), []string{"name"}, &gone))
		if len(folder.ChildEntity) != 0 {
			t.Errorf("%s: %v", when, folder.ChildEntity)
		}
	}
	files, err := os.ReadDir(filepath.Join(one.state, "datastores", store))
	one.must(err)
	if len(files) != 0 {
		t.Errorf("left on the datastore: %v", files)
	}
	_, err = methods.CreateFolder(one.ctx, one.client, &types.CreateFolder{This: top.Reference(), Name: "outer"})
	one.must(err)
}

func TestAMachineIsMovedIntoAnotherPoolAndAVApp(t *testing.T) {
	one := start(t, t.TempDir())
	root, _ := one.poolOf(pool)
	made, err := root.Create(one.ctx, "vch", types.DefaultResourceConfigSpec())
	one.must(err)
	app := one.vApp("app")
	vm := one.made(named("moved"))
	move := func(into, what types.ManagedObjectReference) error {
		call := types.MoveIntoResourcePool{This: into, List: []types.ManagedObjectReference{what}}
		_, err := methods.MoveIntoResourcePool(one.ctx, one.client.Client, &call)
		return err
	}

	elsewhere, err := one.finder.ResourcePool(one.ctx, "DC0_C0/Resources")
	one.must(err)
	expect[*types.InvalidArgument](t, move(elsewhere.Reference(), vm.Reference()))
	expect[*types.NotSupported](t, move(app.Reference(), made.Reference()))
	one.must(move(app.Reference(), vm.Reference()))
	inApp := one.properties(vm)
	one.must(move(made.Reference(), vm.Reference()))

	if *inApp.ResourcePool != app.Reference() || inApp.ParentVApp == nil || *inApp.ParentVApp != app.Reference() {
		t.Errorf("it is in %v of %v", inApp.ResourcePool, inApp.ParentVApp)
	}
	for when, site := range map[string]*site{"now": one, "after a restart": one.afterKill()} {
		got := site.properties(site.same(vm))
		_, into := site.poolOf(pool + "/vch")
		_, from := site.poolOf(pool)
		if *got.ResourcePool != made.Reference() || got.ParentVApp != nil || !slices.Contains(into.Vm, vm.Reference()) ||
			slices.Contains(from.Vm, vm.Reference()) {
			t.Errorf("%s: it is in %v of %v", when, got.ResourcePool, got.ParentVApp)
		}
	}
}
