package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vmware/govmomi/cli/esx"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func named(name string) types.VirtualMachineConfigSpec {
	return types.VirtualMachineConfigSpec{Name: name, MemoryMB: 512}
}

func withImage(name, file string) types.VirtualMachineConfigSpec {
	drive := &types.VirtualCdrom{}
	drive.Backing = &types.VirtualCdromIsoBackingInfo{
		VirtualDeviceFileBackingInfo: types.VirtualDeviceFileBackingInfo{FileName: file},
	}
	drive.Connectable = &types.VirtualDeviceConnectInfo{StartConnected: true}
	spec := named(name)
	spec.DeviceChange = []types.BaseVirtualDeviceConfigSpec{
		&types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: drive},
	}
	return spec
}

func TestASecondMachineOfANameIsRefusedHoweverItComes(t *testing.T) {
	one := start(t, t.TempDir())
	folder, err := one.finder.DefaultFolder(one.ctx)
	one.must(err)
	where, err := one.finder.ResourcePool(one.ctx, pool)
	one.must(err)
	one.made(named("photon"))
	other := one.made(named("other"))
	inside, err := folder.CreateFolder(one.ctx, "inside")
	one.must(err)
	one.done(one.createIn(inside, named("photon"), pool))
	moved, err := one.finder.VirtualMachine(one.ctx, "inside/photon")
	one.must(err)

	refused := map[string]error{
		"create":      one.failed(one.create(named("photon"), pool)),
		"clone":       one.failed(other.Clone(one.ctx, folder, "photon", types.VirtualMachineCloneSpec{})),
		"rename":      one.failed(other.Rename(one.ctx, "photon")),
		"reconfigure": one.failed(other.Reconfigure(one.ctx, types.VirtualMachineConfigSpec{Name: "photon"})),
		"register":    one.failed(folder.RegisterVM(one.ctx, "[LocalDS_0] photon/none.vmx", "", false, where, nil)),
		"move":        one.failed(folder.MoveInto(one.ctx, []types.ManagedObjectReference{moved.Reference()})),
	}

	for what, err := range refused {
		t.Run(what, func(t *testing.T) { expect[*types.DuplicateName](t, err) })
	}
	if text := fmt.Sprint(refused["create"]); !strings.Contains(text, "The name 'photon' already exists.") {
		t.Errorf("the sentence is %q", text)
	}
}

func TestAMachineMayKeepItsName(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(named("photon"))

	one.done(vm.Reconfigure(one.ctx, types.VirtualMachineConfigSpec{Name: "photon", MemoryMB: 1024}))

	if got := one.properties(vm).Config.Hardware.MemoryMB; got != 1024 {
		t.Errorf("memory is %d", got)
	}
}

func TestAnISOImageThatIsNotThereIsRefused(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(named("other"))

	expect[*types.FileNotFound](t, one.failed(one.create(withImage("photon", "[LocalDS_0] iso/none.iso"), pool)))
	expect[*types.FileNotFound](t, one.failed(vm.Reconfigure(one.ctx, withImage("other", "[LocalDS_0] iso/none.iso"))))
	expect[*types.InvalidDeviceSpec](t, one.failed(one.create(withImage("photon", "[nowhere] iso/none.iso"), pool)))
}

func TestAnISOImageInTheMachinesOwnFolderMayComeAfterIt(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(withImage("photon", "[LocalDS_0] photon/own.iso"))
	one.done(vm.Reconfigure(one.ctx, withImage("photon", "[LocalDS_0] photon/other.iso")))

	expect[*types.FileNotFound](t, one.failed(vm.PowerOn(one.ctx)))
}

func TestAnISOImagesDatastoreIsFilledIn(t *testing.T) {
	one := start(t, t.TempDir())
	one.web(http.MethodPut, "/folder/iso/photon.iso", url.UserPassword(user, password), strings.NewReader("image"))
	vm := one.made(withImage("photon", "[LocalDS_0] iso/photon.iso"))

	for _, device := range one.properties(vm).Config.Hardware.Device {
		if drive, ok := device.(*types.VirtualCdrom); ok {
			backing := drive.Backing.(*types.VirtualCdromIsoBackingInfo)
			if backing.Datastore == nil || backing.Datastore.Type != "Datastore" {
				t.Errorf("got %v", backing.Datastore)
			}
		}
	}
}

func TestAnISOImageThatIsGoneIsRefusedAtPowerOn(t *testing.T) {
	one := start(t, t.TempDir())
	status, _ := one.web(http.MethodPut, "/folder/iso/photon.iso", url.UserPassword(user, password), strings.NewReader("image"))
	vm := one.made(withImage("photon", "[LocalDS_0] iso/photon.iso"))
	one.done(vm.PowerOn(one.ctx))
	one.done(vm.PowerOff(one.ctx))
	one.must(os.Remove(filepath.Join(one.state, "datastores", store, "iso", "photon.iso")))

	err := one.failed(vm.PowerOn(one.ctx))

	if status != http.StatusOK {
		t.Errorf("the upload says %d", status)
	}
	expect[*types.FileNotFound](t, err)
}

func TestTheSwapPlacementOfAMachineIsInherited(t *testing.T) {
	one := start(t, t.TempDir())

	vm := one.made(named("photon"))

	if got := one.properties(vm).Config.SwapPlacement; got != "inherit" {
		t.Errorf("got %q", got)
	}
}

func TestAMachinesConfigOptionsAreThoseOfItsHardwareVersion(t *testing.T) {
	one := start(t, t.TempDir())
	spec := named("photon")
	spec.Version = "vmx-11"
	vm := one.made(spec)

	for when, site := range map[string]*site{"made": one, "after a restart": one.afterKill()} {
		browser := site.properties(site.same(vm)).EnvironmentBrowser
		options, err := methods.QueryConfigOption(site.ctx, site.client, &types.QueryConfigOption{This: browser})
		site.must(err)
		_, err = methods.QueryConfigOptionDescriptor(site.ctx, site.client, &types.QueryConfigOptionDescriptor{This: browser})
		site.must(err)
		if got := options.Returnval.HardwareOptions.HwVersion; got != 11 || options.Returnval.Version != "vmx-11" {
			t.Errorf("%s: got %d, %s", when, got, options.Returnval.Version)
		}
	}
}

func TestAMachineIsMadeInAClustersPool(t *testing.T) {
	one := start(t, t.TempDir())

	one.done(one.create(named("photon"), "DC0_C0/Resources"))
}

func TestAClusterIsFoundAsAComputeResourceToo(t *testing.T) {
	one := start(t, t.TempDir())
	cluster, err := one.finder.ClusterComputeResource(one.ctx, "DC0_C0")
	one.must(err)
	asked := types.ManagedObjectReference{Type: "ComputeResource", Value: cluster.Reference().Value}
	var properties mo.ComputeResource

	one.must(one.client.RetrieveOne(one.ctx, asked, []string{"name", "environmentBrowser"}, &properties))

	if properties.Name != "DC0_C0" || properties.EnvironmentBrowser == nil {
		t.Errorf("got %q, %v", properties.Name, properties.EnvironmentBrowser)
	}
	one.done(object.NewCommon(one.client.Client, asked).Rename(one.ctx, "renamed"))
}

func TestAnObjectIsFoundByWhatItIsAndByNothingElse(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(named("photon")).Reference()
	where, err := one.finder.ResourcePool(one.ctx, pool)
	one.must(err)
	var properties mo.ManagedEntity
	ask := func(kind, value string) error {
		return one.client.RetrieveOne(one.ctx, types.ManagedObjectReference{Type: kind, Value: value}, []string{"name"}, &properties)
	}

	one.must(ask("ManagedEntity", vm.Value))

	if properties.Name != "photon" {
		t.Errorf("got %q", properties.Name)
	}
	expect[*types.ManagedObjectNotFound](t, ask("VirtualApp", where.Reference().Value))
}

func TestSearchesWorkAfterAnEsxcliCall(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(named("photon"))
	executor, err := esx.NewExecutor(one.ctx, one.client.Client, one.host("DC0_H0"))
	one.must(err)
	_, err = executor.Run(one.ctx, []string{"network", "firewall", "get"})
	one.must(err)
	search := object.NewSearchIndex(one.client.Client)

	found, err := search.FindByUuid(one.ctx, nil, one.properties(vm).Config.Uuid, true, nil)
	one.must(err)
	host, err := search.FindByIp(one.ctx, nil, "192.0.2.1", true)
	one.must(err)

	if found == nil || found.Reference() != vm.Reference() || host != nil {
		t.Errorf("found %v and %v", found, host)
	}
	one.must(vm.Unregister(one.ctx))
	folder, err := one.finder.DefaultFolder(one.ctx)
	one.must(err)
	where, err := one.finder.ResourcePool(one.ctx, pool)
	one.must(err)
	one.done(folder.RegisterVM(one.ctx, "[LocalDS_0] photon/photon.vmx", "photon", false, where, nil))
}

func TestAPropertyThatIsUnsetIsLeftOutOfTheAnswerToFetch(t *testing.T) {
	one := start(t, t.TempDir())
	fetch := func(kind, value, property string) string {
		envelope := `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" ` +
			`xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>` +
			`<Fetch xmlns="urn:vim25"><_this type="` + kind + `">` + value + `</_this><prop>` + property + `</prop></Fetch>` +
			`</soapenv:Body></soapenv:Envelope>`
		request, err := http.NewRequest(http.MethodPost, "https://"+one.server.URL.Host+"/sdk", strings.NewReader(envelope))
		one.must(err)
		answer := make([]byte, 1<<16)
		one.must(one.client.Client.Client.Do(one.ctx, request, func(response *http.Response) error {
			n, _ := response.Body.Read(answer)
			answer = answer[:n]
			return nil
		}))
		return string(answer)
	}

	unset, set := fetch("Folder", "group-d1", "parent"), fetch("Folder", "group-d1", "name")

	if !strings.Contains(unset, "FetchResponse") || strings.Contains(unset, "returnval") {
		t.Errorf("unset: %s", unset)
	}
	if !strings.Contains(set, "FetchResponse") || !strings.Contains(set, "Datacenters") {
		t.Errorf("set: %s", set)
	}
}
