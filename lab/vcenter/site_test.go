package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/cli/esx"
	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

const password = `pass"word`

// site is a running simulator and a client of it.
type site struct {
	t       *testing.T
	state   string
	server  *simulator.Server
	journal *journal
	client  *govmomi.Client
	finder  *find.Finder
}

func start(t *testing.T, state string) *site {
	t.Helper()
	cert, key := certificate(t)
	credentials := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(credentials, []byte(`{"user": "me", "password": "pass\"word"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	server, kept, err := serve(options{listen: "127.0.0.1:0", state: state, cert: cert, key: key, credentials: credentials, clusterHosts: 3, hosts: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kept.close(); server.Close() })
	address := *server.URL
	address.User = url.UserPassword("me", password)
	client, err := govmomi.NewClient(context.Background(), &address, true)
	if err != nil {
		t.Fatal(err)
	}
	one := &site{t: t, state: state, server: server, journal: kept, client: client, finder: find.NewFinder(client.Client)}
	center, err := one.finder.DefaultDatacenter(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	one.finder.SetDatacenter(center)
	return one
}

func (s *site) create(spec types.VirtualMachineConfigSpec, pool string) (*object.VirtualMachine, error) {
	s.t.Helper()
	ctx := context.Background()
	folders, err := s.finder.DefaultFolder(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	where, err := s.finder.ResourcePool(ctx, pool)
	if err != nil {
		s.t.Fatal(err)
	}
	spec.Files = &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0]"}
	task, err := folders.CreateVM(ctx, spec, where, nil)
	if err != nil {
		return nil, err
	}
	info, err := task.WaitForResult(ctx)
	if err != nil {
		return nil, err
	}
	return object.NewVirtualMachine(s.client.Client, info.Result.(types.ManagedObjectReference)), nil
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) machine(vm *object.VirtualMachine) mo.VirtualMachine {
	s.t.Helper()
	var properties mo.VirtualMachine
	s.must(vm.Properties(context.Background(), vm.Reference(), nil, &properties))
	return properties
}

func (s *site) firewalls() map[string]types.ManagedObjectReference {
	s.t.Helper()
	hosts, err := s.finder.HostSystemList(context.Background(), "*/*")
	s.must(err)
	found := map[string]types.ManagedObjectReference{}
	for _, host := range hosts {
		system, err := host.ConfigManager().FirewallSystem(context.Background())
		s.must(err)
		found[host.Name()] = system.Reference()
	}
	return found
}

func (s *site) rulesets(system types.ManagedObjectReference) map[string]types.HostFirewallRuleset {
	s.t.Helper()
	var properties mo.HostFirewallSystem
	s.must(s.client.RetrieveOne(context.Background(), system, []string{"firewallInfo"}, &properties))
	found := map[string]types.HostFirewallRuleset{}
	for _, rule := range properties.FirewallInfo.Ruleset {
		found[rule.Key] = rule
	}
	return found
}

func TestAWrongPasswordIsRefused(t *testing.T) {
	one := start(t, t.TempDir())
	address := *one.server.URL
	address.User = url.UserPassword("me", "wrong")

	_, err := govmomi.NewClient(context.Background(), &address, true)

	if err == nil || !strings.Contains(err.Error(), "Login failure") {
		t.Fatalf("got %v", err)
	}
}

func TestSessionsAreListedWithTheirUserAgentUntilTheyLogOut(t *testing.T) {
	one := start(t, t.TempDir())
	ctx := context.Background()
	plain := soap.NewClient(one.server.URL, true)
	plain.UserAgent = "Drydock/test"
	other, err := newClient(ctx, plain)
	one.must(err)
	one.must(other.Login(ctx, url.UserPassword("me", password)))

	before := one.agents("Drydock/test")
	one.must(other.Logout(ctx))

	if after := one.agents("Drydock/test"); before != 1 || after != 0 {
		t.Fatalf("%d sessions before logging out, %d after", before, after)
	}
}

func TestEachHostHasRulesetsOfItsOwn(t *testing.T) {
	one := start(t, t.TempDir())
	systems := one.firewalls()

	_, err := methods.EnableRuleset(context.Background(), one.client, &types.EnableRuleset{This: systems["DC0_C0_H0"], Id: "vSPC"})
	one.must(err)

	for name, system := range systems {
		if got := one.rulesets(system)["vSPC"].Enabled; got != (name == "DC0_C0_H0") {
			t.Errorf("%s: vSPC enabled is %v", name, got)
		}
	}
}

func TestVicEngineIsThereSinceVSphere67(t *testing.T) {
	one := start(t, t.TempDir())

	for name, system := range one.firewalls() {
		_, there := one.rulesets(system)["vic-engine"]
		if there != (name != "DC0_C0_H0") {
			t.Errorf("%s: vic-engine is there: %v", name, there)
		}
	}
}

func TestWhatAHostsFirewallRefuses(t *testing.T) {
	one := start(t, t.TempDir())
	ctx := context.Background()
	system := one.firewalls()["DC0_C0_H1"]

	_, unknown := methods.EnableRuleset(ctx, one.client, &types.EnableRuleset{This: system, Id: "nothing"})
	_, required := methods.DisableRuleset(ctx, one.client, &types.DisableRuleset{This: system, Id: "sshServer"})
	spec := types.HostFirewallRulesetRulesetSpec{AllowedHosts: types.HostFirewallRulesetIpList{IpAddress: []string{"nowhere"}}}
	_, address := methods.UpdateRuleset(ctx, one.client, &types.UpdateRuleset{This: system, Id: "vSPC", Spec: spec})

	expect[*types.NotFound](t, unknown)
	if rule := one.rulesets(system)["sshServer"]; rule.Required {
		expect[*types.HostConfigFault](t, required)
	}
	expect[*types.InvalidArgument](t, address)
}

func TestADisconnectedHostCannotBeChanged(t *testing.T) {
	one := start(t, t.TempDir())
	ctx := context.Background()
	host, err := one.finder.HostSystem(ctx, "DC0_C0_H1")
	one.must(err)
	task, err := host.Disconnect(ctx)
	one.must(err)
	one.must(task.Wait(ctx))

	_, err = methods.EnableRuleset(ctx, one.client, &types.EnableRuleset{This: one.firewalls()["DC0_C0_H1"], Id: "vSPC"})

	expect[*types.HostNotConnected](t, err)
}

func TestASecondMachineOfANameIsRefused(t *testing.T) {
	one := start(t, t.TempDir())
	_, err := one.create(types.VirtualMachineConfigSpec{Name: "photon"}, "DC0_H0/Resources")
	one.must(err)

	_, err = one.create(types.VirtualMachineConfigSpec{Name: "photon"}, "DC0_H0/Resources")

	expect[*types.DuplicateName](t, err)
}

func TestAnISOThatIsNotThereIsRefused(t *testing.T) {
	one := start(t, t.TempDir())
	drive := &types.VirtualCdrom{}
	drive.Backing = &types.VirtualCdromIsoBackingInfo{VirtualDeviceFileBackingInfo: types.VirtualDeviceFileBackingInfo{FileName: "[LocalDS_0] iso/none.iso"}}
	change := &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: drive}
	spec := types.VirtualMachineConfigSpec{Name: "photon", DeviceChange: []types.BaseVirtualDeviceConfigSpec{change}}

	_, err := one.create(spec, "DC0_H0/Resources")

	expect[*types.FileNotFound](t, err)
}

func TestTheSwapPlacementOfAMachineIsInherited(t *testing.T) {
	one := start(t, t.TempDir())
	vm, err := one.create(types.VirtualMachineConfigSpec{Name: "photon"}, "DC0_H0/Resources")
	one.must(err)

	if got := one.machine(vm).Config.SwapPlacement; got != "inherit" {
		t.Fatalf("got %q", got)
	}
}

func TestAMachinesConfigOptionsAreThoseOfItsHardwareVersion(t *testing.T) {
	one := start(t, t.TempDir())
	vm, err := one.create(types.VirtualMachineConfigSpec{Name: "photon", Version: "vmx-11"}, "DC0_H0/Resources")
	one.must(err)

	answer, err := methods.QueryConfigOption(context.Background(), one.client, &types.QueryConfigOption{This: one.machine(vm).EnvironmentBrowser})

	one.must(err)
	if got := answer.Returnval.HardwareOptions.HwVersion; got != 11 {
		t.Fatalf("got %d", got)
	}
}

func TestAClusterIsFoundAsAComputeResourceToo(t *testing.T) {
	one := start(t, t.TempDir())
	cluster, err := one.finder.ClusterComputeResource(context.Background(), "DC0_C0")
	one.must(err)
	asked := types.ManagedObjectReference{Type: "ComputeResource", Value: cluster.Reference().Value}
	var properties mo.ComputeResource

	err = one.client.RetrieveOne(context.Background(), asked, []string{"name"}, &properties)

	if err != nil || properties.Name != "DC0_C0" {
		t.Fatalf("got %q, %v", properties.Name, err)
	}
}

func TestAMachineIsFoundByUuidAfterAnEsxcliCall(t *testing.T) {
	one := start(t, t.TempDir())
	ctx := context.Background()
	vm, err := one.create(types.VirtualMachineConfigSpec{Name: "photon"}, "DC0_H0/Resources")
	one.must(err)
	host, err := one.finder.HostSystem(ctx, "DC0_H0")
	one.must(err)
	_, err = esx.NewExecutor(ctx, one.client.Client, host)
	one.must(err)

	found, err := object.NewSearchIndex(one.client.Client).FindByUuid(ctx, nil, one.machine(vm).Config.Uuid, true, nil)

	if err != nil || found == nil || found.Reference() != vm.Reference() {
		t.Fatalf("got %v, %v", found, err)
	}
}

func TestTheInventoryComesBackUnderItsOldReferences(t *testing.T) {
	state := t.TempDir()
	one := start(t, state)
	ctx := context.Background()
	extra := []types.BaseOptionValue{&types.OptionValue{Key: "guestinfo.note", Value: "kept"}}
	first, err := one.create(types.VirtualMachineConfigSpec{Name: "first"}, "DC0_H0/Resources")
	one.must(err)
	vm, err := one.create(types.VirtualMachineConfigSpec{Name: "photon", MemoryMB: 512, Annotation: "ours", ExtraConfig: extra}, "DC0_H0/Resources")
	one.must(err)
	task, err := vm.PowerOn(ctx)
	one.must(err)
	one.must(task.Wait(ctx))
	_, err = methods.EnableRuleset(ctx, one.client, &types.EnableRuleset{This: one.firewalls()["DC0_C0_H1"], Id: "vic-engine"})
	one.must(err)
	gone, err := first.Destroy(ctx)
	one.must(err)
	one.must(gone.Wait(ctx))
	before := one.machine(vm)
	waitForJournal(t, state, "photon", "poweredOn")

	again := start(t, state) // as after a kill: nothing was told to the first one

	after := again.machine(object.NewVirtualMachine(again.client.Client, vm.Reference()))
	if after.Config.Uuid != before.Config.Uuid || after.Config.InstanceUuid != before.Config.InstanceUuid {
		t.Error("another uuid")
	}
	if after.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn || after.Config.Hardware.MemoryMB != 512 || after.Config.Annotation != "ours" {
		t.Errorf("power %s, memory %d, annotation %q", after.Runtime.PowerState, after.Config.Hardware.MemoryMB, after.Config.Annotation)
	}
	if len(after.Config.Hardware.Device) != len(before.Config.Hardware.Device) {
		t.Errorf("%d devices instead of %d", len(after.Config.Hardware.Device), len(before.Config.Hardware.Device))
	}
	if value, _ := object.OptionValueList(after.Config.ExtraConfig).GetString("guestinfo.note"); value != "kept" {
		t.Error("extraConfig is lost")
	}
	if !again.rulesets(again.firewalls()["DC0_C0_H1"])["vic-engine"].Enabled {
		t.Error("the ruleset is lost")
	}
	machines, err := again.finder.VirtualMachineList(ctx, "*")
	again.must(err)
	if len(machines) != 1 {
		t.Errorf("%d machines", len(machines))
	}
}

func TestAMachineThatCameBackCanBeChangedAndDestroyed(t *testing.T) {
	state := t.TempDir()
	one := start(t, state)
	ctx := context.Background()
	vm, err := one.create(types.VirtualMachineConfigSpec{Name: "photon", MemoryMB: 512}, "DC0_H0/Resources")
	one.must(err)
	waitForJournal(t, state, "photon")
	again := start(t, state)
	back := object.NewVirtualMachine(again.client.Client, vm.Reference())

	task, err := back.Reconfigure(ctx, types.VirtualMachineConfigSpec{MemoryMB: 1024})
	again.must(err)
	again.must(task.Wait(ctx))
	memory := again.machine(back).Config.Hardware.MemoryMB
	task, err = back.Destroy(ctx)
	again.must(err)
	again.must(task.Wait(ctx))

	if memory != 1024 {
		t.Errorf("memory is %d", memory)
	}
}

func TestADatastoreIsClosedToStrangersAndKeepsItsFiles(t *testing.T) {
	state := t.TempDir()
	one := start(t, state)
	address := *one.server.URL
	address.Path = "/folder/note.txt"
	address.RawQuery = "dcPath=DC0&dsName=LocalDS_0"
	address.User = nil
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	put := func(user *url.Userinfo) int {
		request, _ := http.NewRequest(http.MethodPut, address.String(), strings.NewReader("hello"))
		if user != nil {
			secret, _ := user.Password()
			request.SetBasicAuth(user.Username(), secret)
		}
		answer, err := web.Do(request)
		one.must(err)
		defer answer.Body.Close()
		return answer.StatusCode
	}

	stranger, friend := put(nil), put(url.UserPassword("me", password))

	kept, err := os.ReadFile(filepath.Join(state, "datastores", "LocalDS_0", "note.txt"))
	if stranger != http.StatusUnauthorized || friend != http.StatusOK || string(kept) != "hello" {
		t.Fatalf("stranger %d, friend %d, file %q %v", stranger, friend, kept, err)
	}
}

func TestNothingButLoopbackIsListenedOn(t *testing.T) {
	for _, address := range []string{"0.0.0.0:1", "192.0.2.1:1", "example.com:1"} {
		if onLoopback(address) == nil {
			t.Errorf("%s is accepted", address)
		}
	}
}

func (s *site) agents(agent string) int {
	s.t.Helper()
	var manager mo.SessionManager
	s.must(s.client.RetrieveOne(context.Background(), *s.client.ServiceContent.SessionManager, []string{"sessionList"}, &manager))
	count := 0
	for _, one := range manager.SessionList {
		if one.UserAgent == agent {
			count++
		}
	}
	return count
}

func newClient(ctx context.Context, plain *soap.Client) (*govmomi.Client, error) {
	vim, err := vim25.NewClient(ctx, plain)
	if err != nil {
		return nil, err
	}
	return &govmomi.Client{Client: vim, SessionManager: session.NewManager(vim)}, nil
}

func expect[F types.BaseMethodFault](t *testing.T, err error) {
	t.Helper()
	var wanted F
	if !fault.Is(err, wanted) {
		t.Errorf("expected %T, got %v", wanted, err)
	}
}

func waitForJournal(t *testing.T, state string, words ...string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		data, err := os.ReadFile(filepath.Join(state, "inventory.json"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		found := err == nil && !strings.Contains(string(data), `"first"`)
		for _, word := range words {
			found = found && strings.Contains(string(data), word)
		}
		if found {
			return
		}
	}
	t.Fatal("the journal was not written")
}

func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	cert, key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
