package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// firstReference is the number from which clients' objects are numbered, well behind those of a new site.
const firstReference = 1000

// replay makes the inventory as the file says.
func (j *journal) replay() error {
	kept, err := j.load()
	if err != nil {
		return err
	}
	highest := max(kept.Highest, firstReference)
	for _, list := range [][]json.RawMessage{kept.Folders, kept.Pools, kept.Apps, kept.Machines, kept.Snapshots} {
		for _, text := range list {
			highest = max(highest, number(selfOf(text)))
		}
	}
	for _, one := range kept.Joined {
		highest = max(highest, one.highest())
	}
	for _, text := range kept.Hosts {
		var one hostRecord
		if err := json.Unmarshal(text, &one); err == nil && one.Network != nil {
			highest = max(highest, one.Network.highest())
		}
	}
	j.kept.Highest = highest
	j.countUpTo(highest)
	if err := j.restoreMembers(kept); err != nil {
		return err
	}
	if err := j.restoreHosts(kept); err != nil {
		return err
	}
	if err := j.restoreClusters(kept); err != nil {
		return fmt.Errorf("%s: clusters: %w", j.file.path, err)
	}
	if err := j.restoreContainers(kept); err != nil {
		return err
	}
	for _, text := range kept.Machines {
		if err := j.restoreMachine(text); err != nil {
			log.Printf("%s can't be made again and stays in %s alone: %s", selfOf(text).Value, journalName, err)
			j.asideVMs = append(j.asideVMs, text)
		}
	}
	for _, text := range kept.Snapshots {
		snapshot := &simulator.VirtualMachineSnapshot{DataSets: map[string]*simulator.DataSet{}}
		if err := decode(text, &snapshot.VirtualMachineSnapshot); err != nil {
			return err
		}
		j.model.Map().Put(snapshot)
	}
	return j.disabled.restore(j.model.Map(), kept.Disabled)
}

func (j *journal) restoreHosts(kept *record) error {
	for value, text := range kept.Hosts {
		host, ok := j.model.Map().Get(hostReference(value)).(*simulator.HostSystem)
		if !ok {
			continue
		}
		var one hostRecord
		if err := json.Unmarshal(text, &one); err != nil {
			return fmt.Errorf("%s: %s: %w", j.file.path, value, err)
		}
		if kept.Size == nil { // written before there were all of the services
			one.Services = nil
		}
		j.hosts.restore(host, one)
	}
	return nil
}

// restoreContainers makes folders, pools and vApps first, and then puts each into its parent, which may be any of them.
func (j *journal) restoreContainers(kept *record) error {
	var made []mo.Entity
	for _, text := range kept.Folders {
		folder := new(simulator.Folder)
		if err := decode(text, &folder.Folder); err != nil {
			return err
		}
		folder.ChildEntity = nil
		made = append(made, folder)
	}
	for _, text := range kept.Pools {
		pool := new(simulator.ResourcePool)
		if err := decode(text, &pool.ResourcePool); err != nil {
			return err
		}
		pool.ResourcePool.ResourcePool, pool.Vm = nil, nil
		made = append(made, pool)
	}
	for _, text := range kept.Apps {
		app := new(simulator.VirtualApp)
		if err := decode(text, &app.VirtualApp); err != nil {
			return err
		}
		app.ResourcePool.ResourcePool, app.Vm = nil, nil
		made = append(made, app)
	}
	for _, entity := range made {
		j.model.Map().Put(entity)
	}
	for _, entity := range made {
		switch parent := j.model.Map().Get(*entity.Entity().Parent).(type) {
		case *simulator.Folder:
			parent.ChildEntity = append(parent.ChildEntity, entity.Reference())
		case *simulator.ResourcePool:
			parent.ResourcePool.ResourcePool = append(parent.ResourcePool.ResourcePool, entity.Reference())
		case *simulator.VirtualApp:
			parent.ResourcePool.ResourcePool = append(parent.ResourcePool.ResourcePool, entity.Reference())
		default:
			return fmt.Errorf("%s: %s has no parent", j.file.path, entity.Reference())
		}
	}
	return nil
}

// restoreMachine registers what lies in the datastore, so that everything in the simulator that must know a VM does,
// and then gives the VM its old reference and all of its properties.
func (j *journal) restoreMachine(text json.RawMessage) error {
	var old mo.VirtualMachine
	if err := decode(text, &old); err != nil {
		return err
	}
	if old.Config == nil || old.Parent == nil || old.Runtime.Host == nil {
		return errors.New("it is not whole")
	}
	made, err := j.register(&old)
	if err != nil {
		return err
	}
	temporary, browser := made.Self, made.EnvironmentBrowser
	ctx := &simulator.Context{Context: context.Background(), Map: j.model.Map()}
	j.model.Map().Remove(ctx, temporary)
	for _, list := range j.listsWith(made) {
		for i := range *list {
			if (*list)[i] == temporary {
				(*list)[i] = old.Self
			}
		}
	}
	if pool, ok := j.model.Map().Get(*made.ResourcePool).(*simulator.ResourcePool); ok && old.ResourcePool == nil {
		simulator.RemoveReference(&pool.Vm, old.Self) // a template is in no pool
	}
	made.VirtualMachine = old
	made.EnvironmentBrowser = browser
	made.Summary.Vm = &made.Self
	j.model.Map().Put(made)
	return nil
}

// listsWith are the lists of other objects that a VM stands in.
func (j *journal) listsWith(vm *simulator.VirtualMachine) []*[]types.ManagedObjectReference {
	registry := j.model.Map()
	var lists []*[]types.ManagedObjectReference
	for _, ref := range slices.Concat([]types.ManagedObjectReference{*vm.Parent, *vm.ResourcePool, *vm.Runtime.Host}, vm.Datastore) {
		switch one := registry.Get(ref).(type) {
		case *simulator.Folder:
			lists = append(lists, &one.ChildEntity)
		case *simulator.ResourcePool:
			lists = append(lists, &one.Vm)
		case *simulator.VirtualApp:
			lists = append(lists, &one.Vm)
		case *simulator.HostSystem:
			lists = append(lists, &one.Vm)
		case *simulator.Datastore:
			lists = append(lists, &one.Vm)
		}
	}
	return lists
}

func (j *journal) register(old *mo.VirtualMachine) (*simulator.VirtualMachine, error) {
	registry := j.model.Map()
	pool, err := j.poolOf(old)
	if err != nil {
		return nil, err
	}
	if err := j.ensureFiles(old); err != nil {
		return nil, err
	}
	if _, ok := registry.Get(*old.Parent).(*simulator.Folder); !ok {
		return nil, fmt.Errorf("its folder %s is gone", old.Parent.Value)
	}
	ctx := context.Background()
	client, err := vim25.NewClient(ctx, j.model.Service)
	if err != nil {
		return nil, err
	}
	host := object.NewHostSystem(client, *old.Runtime.Host)
	vmx := old.Config.Files.VmPathName
	task, err := object.NewFolder(client, *old.Parent).RegisterVM(ctx, vmx, baseName(vmx), false, object.NewResourcePool(client, pool), host)
	if err != nil {
		return nil, err
	}
	info, err := task.WaitForResult(ctx)
	if err != nil {
		return nil, err
	}
	return registry.Get(info.Result.(types.ManagedObjectReference)).(*simulator.VirtualMachine), nil
}

// poolOf is a VM's pool; a template has none and is registered in its host's.
func (j *journal) poolOf(old *mo.VirtualMachine) (types.ManagedObjectReference, error) {
	var none types.ManagedObjectReference
	host, ok := j.model.Map().Get(*old.Runtime.Host).(*simulator.HostSystem)
	if !ok {
		return none, fmt.Errorf("its host %s is gone", old.Runtime.Host.Value)
	}
	if old.ResourcePool != nil {
		if j.model.Map().Get(*old.ResourcePool) == nil {
			return none, fmt.Errorf("its pool %s is gone", old.ResourcePool.Value)
		}
		return *old.ResourcePool, nil
	}
	switch parent := j.model.Map().Get(*host.Parent).(type) {
	case *simulator.ClusterComputeResource:
		return *parent.ResourcePool, nil
	case *mo.ComputeResource:
		return *parent.ResourcePool, nil
	}
	return none, fmt.Errorf("its host %s has no pool", host.Name)
}

// ensureFiles makes the files that a registration opens, where someone has removed them by hand.
func (j *journal) ensureFiles(old *mo.VirtualMachine) error {
	var file object.DatastorePath
	if !file.FromString(old.Config.Files.VmPathName) {
		return fmt.Errorf("no path in a datastore: %q", old.Config.Files.VmPathName)
	}
	for _, entity := range j.model.Map().All("Datastore") {
		store := entity.(*simulator.Datastore)
		if store.Name != file.Datastore {
			continue
		}
		folder := filepath.Join(store.Summary.Url, path.Dir(file.Path))
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
		name := baseName(old.Config.Files.VmPathName)
		for _, one := range []string{name + ".vmx", name + ".nvram", "vmware.log"} {
			out, err := os.OpenFile(filepath.Join(folder, one), os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			_ = out.Close()
		}
		return nil
	}
	return fmt.Errorf("its datastore %s is gone", file.Datastore)
}

func baseName(vmx string) string { return strings.TrimSuffix(path.Base(vmx), ".vmx") }

// countUpTo uses up references until the given number is used.
func (j *journal) countUpTo(goal int) {
	for number(j.model.Map().NewEntity(new(mo.Folder)).Reference()) < goal {
	}
}

func decode(text json.RawMessage, into any) error {
	return types.NewJSONDecoder(bytes.NewReader(text)).Decode(into)
}

func selfOf(text json.RawMessage) types.ManagedObjectReference {
	var kept struct {
		Self types.ManagedObjectReference `json:"self"`
	}
	_ = json.Unmarshal(text, &kept)
	return kept.Self
}

// number is the one at the end of a reference, 0 if there is none.
func number(ref types.ManagedObjectReference) int {
	digits := ref.Value[strings.LastIndexFunc(ref.Value, notDigit)+1:]
	value, _ := strconv.Atoi(digits)
	return value
}

func notDigit(r rune) bool { return r < '0' || r > '9' }

func byNumber(all []mo.Reference) []mo.Reference {
	sort.Slice(all, func(i, j int) bool { return number(all[i].Reference()) < number(all[j].Reference()) })
	return all
}
