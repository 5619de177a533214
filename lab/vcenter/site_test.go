package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	user     = "me"
	password = `pass"word`
	pool     = "DC0_H0/Resources"
	store    = "LocalDS_0"
)

// site is a running simulator and a client of it.
type site struct {
	t      *testing.T
	ctx    context.Context
	state  string
	size   size
	server *simulator.Server
	client *govmomi.Client
	finder *find.Finder
}

func start(t *testing.T, state string) *site { return startSized(t, state, usualSize) }

func startSized(t *testing.T, state string, size size) *site {
	t.Helper()
	return startAs(t, settings(t, state, size))
}

// startAs starts what the settings say.
func startAs(t *testing.T, wanted options) *site {
	t.Helper()
	server, kept, err := serve(wanted)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(); kept.close() })
	address := *server.URL
	address.User = url.UserPassword(user, password)
	ctx := context.Background()
	client, err := govmomi.NewClient(ctx, &address, true)
	if err != nil {
		t.Fatal(err)
	}
	one := &site{t: t, ctx: ctx, state: wanted.state, size: wanted.size, server: server, client: client, finder: find.NewFinder(client.Client)}
	center, err := one.finder.DefaultDatacenter(ctx)
	one.must(err)
	one.finder.SetDatacenter(center)
	return one
}

func settings(t *testing.T, state string, size size) options {
	t.Helper()
	cert, key := certificate(t)
	credentials := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(credentials, []byte(`{"user": "me", "password": "pass\"word"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return options{listen: "127.0.0.1:0", state: state, cert: cert, key: key, credentials: credentials, size: size}
}

// afterKill starts a second simulator from what lies on the disk at this moment, as after kill -9 and a new start.
func (s *site) afterKill() *site {
	s.t.Helper()
	state := s.t.TempDir()
	s.must(os.CopyFS(state, os.DirFS(s.state)))
	return startSized(s.t, state, s.size)
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// done waits for a task that has to succeed.
func (s *site) done(task *object.Task, err error) *types.TaskInfo {
	s.t.Helper()
	s.must(err)
	info, err := task.WaitForResult(s.ctx)
	s.must(err)
	return info
}

// failed is a task's error.
func (s *site) failed(task *object.Task, err error) error {
	s.t.Helper()
	s.must(err)
	_, err = task.WaitForResult(s.ctx)
	return err
}

func (s *site) host(name string) *object.HostSystem {
	s.t.Helper()
	host, err := s.finder.HostSystem(s.ctx, name)
	s.must(err)
	return host
}

// create starts to make a VM in a pool.
func (s *site) create(spec types.VirtualMachineConfigSpec, pool string) (*object.Task, error) {
	s.t.Helper()
	folder, err := s.finder.DefaultFolder(s.ctx)
	s.must(err)
	return s.createIn(folder, spec, pool)
}

func (s *site) createIn(folder *object.Folder, spec types.VirtualMachineConfigSpec, pool string) (*object.Task, error) {
	s.t.Helper()
	where, err := s.finder.ResourcePool(s.ctx, pool)
	s.must(err)
	spec.Files = &types.VirtualMachineFileInfo{VmPathName: "[" + store + "]"}
	return folder.CreateVM(s.ctx, spec, where, nil)
}

// made is a VM that has to be made.
func (s *site) made(spec types.VirtualMachineConfigSpec) *object.VirtualMachine {
	s.t.Helper()
	info := s.done(s.create(spec, pool))
	return object.NewVirtualMachine(s.client.Client, info.Result.(types.ManagedObjectReference))
}

// same is a VM of another site by its reference.
func (s *site) same(vm *object.VirtualMachine) *object.VirtualMachine {
	return object.NewVirtualMachine(s.client.Client, vm.Reference())
}

func (s *site) properties(vm *object.VirtualMachine) mo.VirtualMachine {
	s.t.Helper()
	var properties mo.VirtualMachine
	s.must(vm.Properties(s.ctx, vm.Reference(), nil, &properties))
	return properties
}

// web is a plain HTTPS client's answer: status and body.
func (s *site) web(method, path string, who *url.Userinfo, body io.Reader) (int, string) {
	s.t.Helper()
	address := url.URL{Scheme: "https", Host: s.server.URL.Host, Path: path, RawQuery: "dcPath=DC0&dsName=" + store}
	request, err := http.NewRequest(method, address.String(), body)
	s.must(err)
	if who != nil {
		secret, _ := who.Password()
		request.SetBasicAuth(who.Username(), secret)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	s.must(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	s.must(err)
	return answer.StatusCode, string(text)
}

func expect[F types.BaseMethodFault](t *testing.T, err error) {
	t.Helper()
	var wanted F
	if !fault.Is(err, wanted) {
		t.Errorf("expected %T, got %v", wanted, err)
	}
}

func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
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

func TestNothingButLoopbackIsListenedOn(t *testing.T) {
	for _, address := range []string{"0.0.0.0:1", "192.0.2.1:1", "example.com:1", ":1", "[::]:1"} {
		if onLoopback(address) == nil {
			t.Errorf("%s is accepted", address)
		}
	}
	if err := onLoopback("127.77.1.2:443"); err != nil {
		t.Error(err)
	}
}

func TestNothingIsLeftInTheTemporaryFolder(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)

	start(t, t.TempDir())

	left, err := filepath.Glob(filepath.Join(temporary, "govcsim*"))
	if err != nil || len(left) != 0 {
		t.Fatalf("left %v, %v", left, err)
	}
}

func TestTheCenterAndItsHostsTellTheirVersions(t *testing.T) {
	one := start(t, t.TempDir())
	wanted := map[string]string{"DC0_C0_H0": "6.5.0", "DC0_C0_H1": "7.0.3", "DC0_C0_H2": "8.0.2", "DC0_H0": "8.0.2"}

	for name, version := range wanted {
		var host mo.HostSystem
		one.must(one.host(name).Properties(one.ctx, one.host(name).Reference(), []string{"config.product", "summary.config.product"}, &host))
		if host.Config.Product.Version != version || host.Summary.Config.Product.Version != version {
			t.Errorf("%s says %s and %s", name, host.Config.Product.Version, host.Summary.Config.Product.Version)
		}
	}
	if about := one.client.ServiceContent.About; about.Version != "8.0.2" || about.ApiType != "VirtualCenter" {
		t.Errorf("vCenter says %s, %s", about.Version, about.ApiType)
	}
}

func TestASingleHostSaysThatItIsOne(t *testing.T) {
	one := startSized(t, t.TempDir(), size{ESX: true, Datastores: 1})

	about := one.client.ServiceContent.About
	hosts, err := one.finder.HostSystemList(one.ctx, "*")
	one.must(err)
	var host mo.HostSystem
	one.must(hosts[0].Properties(one.ctx, hosts[0].Reference(), []string{"summary"}, &host))

	if about.ApiType != "HostAgent" || about.Version != "8.0.2" || len(hosts) != 1 || host.Summary.ManagementServerIp != "" {
		t.Errorf("%s %s, %d hosts, managed by %q", about.ApiType, about.Version, len(hosts), host.Summary.ManagementServerIp)
	}
}

func TestASingleHostKeepsItsMachinesToo(t *testing.T) {
	one := startSized(t, t.TempDir(), size{ESX: true, Datastores: 1})
	where, err := one.finder.DefaultResourcePool(one.ctx)
	one.must(err)
	folder, err := one.finder.DefaultFolder(one.ctx)
	one.must(err)
	spec := named("photon")
	spec.Files = &types.VirtualMachineFileInfo{VmPathName: "[" + store + "]"}
	one.done(folder.CreateVM(one.ctx, spec, where, nil))

	again := one.afterKill()

	if before, after := one.machines(), again.machines(); before["photon"] == "" || before["photon"] != after["photon"] {
		t.Errorf("before %v, after %v", before, after)
	}
}

func TestTheSizeOfTheSiteIsTheFlags(t *testing.T) {
	one := startSized(t, t.TempDir(), size{Datacenters: 1, Clusters: 2, ClusterHosts: 4, Hosts: 2, Datastores: 2, Pools: 1})

	hosts, err := one.finder.HostSystemList(one.ctx, "*")
	one.must(err)
	stores, err := one.finder.DatastoreList(one.ctx, "*")
	one.must(err)

	if len(hosts) != 10 || len(stores) != 2 {
		t.Errorf("%d hosts, %d datastores", len(hosts), len(stores))
	}
}

func TestADatacenterListsEachNetworkOnce(t *testing.T) {
	one := start(t, t.TempDir())
	center, err := one.finder.DefaultDatacenter(one.ctx)
	one.must(err)
	var properties mo.Datacenter
	one.must(center.Properties(one.ctx, center.Reference(), []string{"network"}, &properties))

	seen := map[types.ManagedObjectReference]bool{}
	for _, ref := range properties.Network {
		if seen[ref] {
			t.Errorf("%s is listed twice", ref.Value)
		}
		seen[ref] = true
	}
}
