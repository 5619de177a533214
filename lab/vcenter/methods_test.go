package main

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"
)

// soapCall is a bare call's answer, of a method that govmomi doesn't have.
func (s *site) soapCall(namespace, method, inside string) string {
	s.t.Helper()
	envelope := `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" ` +
		`xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><` + method + ` xmlns="urn:` + namespace + `">` + inside +
		`</` + method + `></soapenv:Body></soapenv:Envelope>`
	request, err := http.NewRequest(http.MethodPost, "https://"+s.server.URL.Host+"/sdk", strings.NewReader(envelope))
	s.must(err)
	var text bytes.Buffer
	s.must(s.client.Client.Client.Do(s.ctx, request, func(response *http.Response) error {
		_, err := text.ReadFrom(response.Body)
		return err
	}))
	return text.String()
}

func (s *site) authorization() *object.AuthorizationManager {
	return object.NewAuthorizationManager(s.client.Client)
}

func (s *site) disableMethods(vm *object.VirtualMachine, source string, names ...string) error {
	var wanted []object.DisabledMethodRequest
	for _, name := range names {
		wanted = append(wanted, object.DisabledMethodRequest{Method: name, Reason: "Managed by VIC Engine"})
	}
	return s.authorization().DisableMethods(s.ctx, []types.ManagedObjectReference{vm.Reference()}, wanted, source)
}

func (s *site) enableMethods(vm *object.VirtualMachine, source string, names ...string) error {
	return s.authorization().EnableMethods(s.ctx, []types.ManagedObjectReference{vm.Reference()}, names, source)
}

func TestADisabledMethodIsRefusedUntilItsSourceEnablesIt(t *testing.T) {
	one := start(t, t.TempDir())
	vm, other := one.made(named("vch")), one.made(named("other"))

	one.must(one.disableMethods(vm, "VIC", "Destroy_Task", "Destroy_Task"))
	one.must(one.disableMethods(vm, "else", "Destroy_Task"))

	for when, site := range map[string]*site{"now": one, "after a restart": one.afterKill()} {
		same := site.same(vm)
		_, err := same.Destroy(site.ctx)
		expect[*types.MethodDisabled](t, err)
		if err != nil && !strings.Contains(err.Error(), "The method is disabled by 'VIC'") {
			t.Errorf("%s: the sentence is %q", when, err)
		}
		if got := site.properties(same).DisabledMethod; !slices.Equal(got, []string{"Destroy_Task"}) {
			t.Errorf("%s: it says %v", when, got)
		}
		found := site.soapCall("internalvim25", "QueryDisabledMethods", `<_this type="AuthorizationManager">AuthorizationManager</_this>`+
			`<entity type="VirtualMachine">`+vm.Reference().Value+`</entity>`)
		if strings.Count(found, "<returnval>") != 2 || !strings.Contains(found, "<sourceId>VIC</sourceId>") ||
			!strings.Contains(found, "<reasonId>Managed by VIC Engine</reasonId>") {
			t.Errorf("%s: asked for, %s", when, found)
		}
		site.done(same.PowerOn(site.ctx))
		site.done(same.PowerOff(site.ctx))
		site.must(site.enableMethods(same, "VIC", "Destroy_Task"))
		_, err = same.Destroy(site.ctx)
		expect[*types.MethodDisabled](t, err)
		site.must(site.enableMethods(same, "else", "Destroy_Task"))
		site.done(same.Destroy(site.ctx))
		site.done(site.same(other).Destroy(site.ctx))
	}
}

func TestMethodsOfWhatIsNotThereCannotBeDisabled(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(named("vch"))

	wrong := one.disableMethods(vm, "VIC", "Blow_Up")
	gone := one.authorization().DisableMethods(one.ctx, []types.ManagedObjectReference{vm.Reference(), {Type: "VirtualMachine", Value: "vm-1"}},
		[]object.DisabledMethodRequest{{Method: "Destroy_Task"}}, "VIC")

	expect[*types.InvalidArgument](t, wrong)
	expect[*types.ManagedObjectNotFound](t, gone)
	one.done(vm.Destroy(one.ctx))
}

func TestLogsAreBrowsed(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(named("vch"))
	one.done(vm.PowerOn(one.ctx))
	logs := object.NewDiagnosticManager(one.client.Client)
	on, other := one.host("DC0_H0"), one.host("DC0_C0_H0")

	for _, log := range []struct {
		host *object.HostSystem
		key  string
		task bool
	}{{nil, "vpxd:vpxd.log", true}, {on, "hostd", true}, {other, "hostd", false}} {
		all, err := logs.BrowseLog(one.ctx, log.host, log.key, 0, 0)
		one.must(err)
		if has := strings.Contains(strings.Join(all.LineText, "\n"), "VirtualMachine.powerOn"); has != log.task {
			t.Errorf("%s: %v", log.key, all.LineText)
		}
		end, err := logs.BrowseLog(one.ctx, log.host, log.key, 1<<30, 0)
		one.must(err)
		if len(end.LineText) != 0 || int(end.LineEnd) != len(all.LineText) || int(all.LineEnd) != len(all.LineText) {
			t.Errorf("%s: the end is %+v", log.key, end)
		}
		part, err := logs.BrowseLog(one.ctx, log.host, log.key, 1, 1)
		one.must(err)
		if len(part.LineText) != 1 || part.LineStart != 1 || part.LineEnd != 1 || part.LineText[0] != all.LineText[0] {
			t.Errorf("%s: a part is %+v", log.key, part)
		}
		var text bytes.Buffer
		tail := logs.Log(one.ctx, log.host, log.key)
		one.must(tail.Seek(one.ctx, 1))
		if _, err := tail.Copy(one.ctx, &text); err != nil || text.Len() == 0 {
			t.Errorf("%s: %v, %q", log.key, err, text.String())
		}
		found, err := logs.QueryDescriptions(one.ctx, log.host)
		one.must(err)
		if found[0].Key != log.key {
			t.Errorf("its description is %+v", found)
		}
	}
	_, err := logs.BrowseLog(one.ctx, nil, "hostd", 0, 0)
	expect[*types.InvalidArgument](t, err)
}

func TestAGuestIsShutDownByItsToolsOnly(t *testing.T) {
	one := startControlled(t, usualSize)
	vm := one.made(named("vch"))
	expect[*types.InvalidPowerState](t, vm.ShutdownGuest(one.ctx))
	one.done(vm.PowerOn(one.ctx))
	expect[*types.ToolsUnavailable](t, vm.ShutdownGuest(one.ctx))
	expect[*types.ToolsUnavailable](t, vm.RebootGuest(one.ctx))
	expect[*types.ToolsUnavailable](t, vm.StandbyGuest(one.ctx))
	if on, err := vm.PowerState(one.ctx); err != nil || on != "poweredOn" {
		t.Fatalf("got %s, %v", on, err)
	}

	one.post("/vms", `{"name": "vch", "guest": {"tools": "running"}}`)
	one.must(vm.ShutdownGuest(one.ctx))

	one.must(vm.WaitForPowerState(one.ctx, types.VirtualMachinePowerStatePoweredOff))
}

func TestWhatToolsReportIsSeenUntilTheMachineGoesOff(t *testing.T) {
	one := startControlled(t, usualSize)
	vm := one.made(named("vch"))
	one.withCard(vm)
	one.done(vm.PowerOn(one.ctx))
	began := one.properties(vm).Runtime.BootTime

	one.post("/vms", `{"name": "vch", "guest": {"tools": "running", "hostName": "vch.example", "ip": "127.0.1.2"}}`)

	ip, err := vm.WaitForIP(one.ctx)
	one.must(err)
	got := one.properties(vm)
	if ip != "127.0.1.2" || got.Guest.ToolsRunningStatus != "guestToolsRunning" || got.Guest.ToolsStatus != "toolsOk" ||
		got.Guest.HostName != "vch.example" || got.Summary.Guest.IpAddress != "127.0.1.2" ||
		got.Guest.Net[0].IpAddress[0] != "127.0.1.2" || got.GuestHeartbeatStatus != "green" || *got.Guest.GuestOperationsReady != true {
		t.Errorf("got %s, %+v", ip, got.Guest)
	}
	one.must(vm.RebootGuest(one.ctx))
	for again := got; again.Runtime.BootTime == nil || !again.Runtime.BootTime.After(*began); {
		again = one.properties(vm)
	}
	one.post("/vms", `{"name": "vch", "guest": {"tools": "running", "ip": "127.0.1.2"}}`)
	one.done(vm.PowerOff(one.ctx))
	got = one.properties(vm)
	if got.Guest.ToolsRunningStatus != "guestToolsNotRunning" || got.Guest.ToolsStatus != "toolsNotRunning" || got.Guest.IpAddress != "" ||
		got.Summary.Guest.HostName != "" || len(got.Guest.Net) != 1 || got.Guest.Net[0].IpAddress != nil || got.Runtime.BootTime != nil {
		t.Errorf("off, it says %+v", got.Guest)
	}
}

func TestToolsOnlyReportOfAMachineThatRuns(t *testing.T) {
	one := startControlled(t, usualSize)
	one.made(named("off"))
	one.done(one.made(named("on")).PowerOn(one.ctx))

	for body, said := range map[string]string{
		`{"name": "none", "guest": {"tools": "running"}}`:          "there are 0 VMs",
		`{"name": "off", "guest": {"tools": "running"}}`:           "poweredOff",
		`{"name": "on", "guest": {"tools": "maybe"}}`:              "guest.tools",
		`{"name": "on", "guest": {"tools": "not", "ip": "::1"}}`:   "neither",
		`{"name": "on", "guest": {"tools": "running", "ip": "x"}}`: "guest.ip",
		`{"name": "on"}`: "guest is needed",
		`{"guest": {}}`:  "name is needed",
		`{"name": "on", "guest": {"tools": "running"}, "more": 1}`: "more",
	} {
		status, content := one.ask(http.MethodPost, "/vms", body)
		if text, _ := content["error"].(string); status != http.StatusBadRequest || !strings.Contains(text, said) {
			t.Errorf("%s: %d, %v", body, status, content)
		}
	}
}

func TestPowerIsRefusedToWhoHasIt(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(named("vch"))

	expect[*types.InvalidPowerState](t, one.failed(vm.PowerOff(one.ctx)))
	expect[*types.InvalidPowerState](t, one.failed(vm.Reset(one.ctx)))
	expect[*types.InvalidPowerState](t, one.failed(vm.Suspend(one.ctx)))
	one.done(vm.PowerOn(one.ctx))
	expect[*types.InvalidPowerState](t, one.failed(vm.PowerOn(one.ctx)))
	one.done(vm.Reset(one.ctx))
	one.done(vm.Suspend(one.ctx))
	if got := one.afterKill().properties(vm).Runtime.PowerState; got != "suspended" {
		t.Errorf("after a restart it is %s", got)
	}
	one.done(vm.PowerOn(one.ctx))
	expect[*types.InvalidPowerState](t, one.failed(vm.Destroy(one.ctx)))
	one.done(vm.PowerOff(one.ctx))
}

func TestSettingsThatHaveChangedMeanwhileAreNotOverwritten(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(named("vch"))
	version := one.properties(vm).Config.ChangeVersion

	one.done(vm.Reconfigure(one.ctx, types.VirtualMachineConfigSpec{ChangeVersion: version, MemoryMB: 1024}))

	spec := types.VirtualMachineConfigSpec{ChangeVersion: version, MemoryMB: 2048}
	expect[*types.ConcurrentAccess](t, one.failed(vm.Reconfigure(one.ctx, spec)))
}

func TestACardOnANetworkThatIsNotThereIsRefused(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(named("other"))
	with := func(backing types.BaseVirtualDeviceBackingInfo) types.VirtualMachineConfigSpec {
		card := &types.VirtualVmxnet3{}
		card.Backing = backing
		spec := named("vch")
		spec.DeviceChange = []types.BaseVirtualDeviceConfigSpec{&types.VirtualDeviceConfigSpec{Operation: "add", Device: card}}
		return spec
	}
	standard := &types.VirtualEthernetCardNetworkBackingInfo{}
	standard.DeviceName = "nowhere"
	distributed := &types.VirtualEthernetCardDistributedVirtualPortBackingInfo{}
	distributed.Port.PortgroupKey = "dvportgroup-0"

	expect[*types.InvalidDeviceSpec](t, one.failed(one.create(with(standard), pool)))
	expect[*types.InvalidDeviceSpec](t, one.failed(one.create(with(distributed), pool)))
	expect[*types.InvalidDeviceSpec](t, one.failed(vm.Reconfigure(one.ctx, types.VirtualMachineConfigSpec{DeviceChange: with(standard).DeviceChange})))
}
