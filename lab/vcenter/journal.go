package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	firstReference = 1000
	// From the last used reference to a new VM's own: one for the task of CreateVM_Task, one for the VM.
	// The journal's tests fail if govmomi changes it.
	referencesBeforeMachine = 2

	lookPause   = 40 * time.Millisecond
	stillToCome = 10 * time.Second // a task goes on after the call that started it
)

// journal keeps what clients changed in a file, and makes it so again at the next start, under the same references.
type journal struct {
	model *simulator.Model
	file  string

	mu      sync.Mutex
	written []byte
	wake    chan struct{}
	done    chan struct{}
}

// record is the file's content. VMs are kept as govmomi's own JSON, which tells the devices' types.
type record struct {
	Machines []json.RawMessage     `json:"machines"`
	Hosts    map[string]hostRecord `json:"hosts"`
}

type hostRecord struct {
	Connection  types.HostSystemConnectionState `json:"connection"`
	Maintenance bool                            `json:"maintenance"`
	Policy      types.HostFirewallDefaultPolicy `json:"policy"`
	Rulesets    []types.HostFirewallRuleset     `json:"rulesets"`
	Services    []types.HostService             `json:"services"`
}

func newJournal(model *simulator.Model, file string) *journal {
	return &journal{model: model, file: file, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// close ends follow.
func (j *journal) close() { close(j.done) }

// changed tells that a call may change the inventory, now or in a task that it starts.
func (j *journal) changed() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// follow writes changes as they come; it looks again and again for a while after each changing call.
func (j *journal) follow() {
	var until time.Time
	look := time.NewTicker(lookPause)
	defer look.Stop()
	for {
		select {
		case <-j.done:
			return
		case <-j.wake:
			until = time.Now().Add(stillToCome)
		case <-look.C:
			if time.Now().Before(until) {
				j.write()
			}
		}
	}
}

// write saves the inventory if it differs from what is saved; the file is replaced whole, so it is never half a file.
func (j *journal) write() {
	j.mu.Lock()
	defer j.mu.Unlock()
	data, err := j.snapshot()
	if err != nil {
		log.Printf("journal: %s", err)
		return
	}
	if bytes.Equal(data, j.written) {
		return
	}
	if err := replaceFile(j.file, data); err != nil {
		log.Printf("journal: %s", err)
		return
	}
	j.written = data
}

func (j *journal) snapshot() ([]byte, error) {
	kept := record{Machines: []json.RawMessage{}, Hosts: map[string]hostRecord{}}
	ctx := j.model.Service.Context
	for _, entity := range byReference(j.model.Map().All("VirtualMachine")) {
		vm := entity.(*simulator.VirtualMachine)
		var text bytes.Buffer
		var err error
		j.model.Map().WithLock(ctx, vm, func() { err = types.NewJSONEncoder(&text).Encode(vm.VirtualMachine) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", vm.Name, err)
		}
		kept.Machines = append(kept.Machines, json.RawMessage(bytes.TrimSpace(text.Bytes())))
	}
	for _, entity := range j.model.Map().All("HostSystem") {
		host := entity.(*simulator.HostSystem)
		one := hostRecord{Connection: host.Runtime.ConnectionState, Maintenance: host.Runtime.InMaintenanceMode}
		if system := firewallOf(j.model, host); system != nil {
			one.Policy, one.Rulesets = system.FirewallInfo.DefaultPolicy, system.FirewallInfo.Ruleset
		}
		if system := servicesOf(j.model, host); system != nil {
			one.Services = system.ServiceInfo.Service
		}
		kept.Hosts[host.Self.Value] = one
	}
	return json.Marshal(kept)
}

// replay makes the inventory as the file says; without a file there is nothing to make. What is made after that
// gets references from firstReference on, so that there is always room before a VM's for making it again.
func (j *journal) replay() error {
	if err := j.replayFile(); err != nil {
		return err
	}
	return j.countUpTo(firstReference)
}

func (j *journal) replayFile() error {
	data, err := os.ReadFile(j.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var kept record
	if err := json.Unmarshal(data, &kept); err != nil {
		return fmt.Errorf("%s: %w", j.file, err)
	}
	for _, entity := range j.model.Map().All("HostSystem") {
		host := entity.(*simulator.HostSystem)
		if one, ok := kept.Hosts[host.Self.Value]; ok {
			j.restoreHost(host, one)
		}
	}
	for _, text := range kept.Machines {
		if err := j.restoreMachine(text); err != nil {
			return fmt.Errorf("%s: %w", j.file, err)
		}
	}
	return nil
}

func (j *journal) restoreHost(host *simulator.HostSystem, one hostRecord) {
	host.Runtime.ConnectionState, host.Runtime.InMaintenanceMode = one.Connection, one.Maintenance
	if system := firewallOf(j.model, host); system != nil {
		system.FirewallInfo.DefaultPolicy, system.FirewallInfo.Ruleset = one.Policy, one.Rulesets
	}
	if system := servicesOf(j.model, host); system != nil {
		system.ServiceInfo.Service = one.Services
	}
}

// restoreMachine makes a VM through the API, so that everything in the simulator that must know it does,
// under its old reference, and then gives it back all of its properties.
func (j *journal) restoreMachine(text json.RawMessage) error {
	var old mo.VirtualMachine
	if err := types.NewJSONDecoder(bytes.NewReader(text)).Decode(&old); err != nil {
		return err
	}
	goal, err := number(old.Self)
	if err != nil {
		return err
	}
	if err := j.countUpTo(goal - referencesBeforeMachine); err != nil {
		return err
	}
	made, err := j.create(old)
	if err != nil {
		return fmt.Errorf("%s: %w", old.Name, err)
	}
	if made.Self != old.Self {
		return fmt.Errorf("%s came back as %s instead of %s", old.Name, made.Self.Value, old.Self.Value)
	}
	browser := made.EnvironmentBrowser
	made.VirtualMachine = old
	made.EnvironmentBrowser = browser
	made.Summary.Vm = &made.Self
	return nil
}

func (j *journal) create(old mo.VirtualMachine) (*simulator.VirtualMachine, error) {
	ctx := context.Background()
	client, err := vim25.NewClient(ctx, j.model.Service)
	if err != nil {
		return nil, err
	}
	var store object.DatastorePath
	store.FromString(old.Config.Files.VmPathName)
	temporary := fmt.Sprintf(".replay-%s", old.Self.Value)
	spec := types.VirtualMachineConfigSpec{
		Name:         old.Name,
		Uuid:         old.Config.Uuid,
		InstanceUuid: old.Config.InstanceUuid,
		Files:        &types.VirtualMachineFileInfo{VmPathName: fmt.Sprintf("[%s] %s/", store.Datastore, temporary)},
	}
	folder := object.NewFolder(client, *old.Parent)
	task, err := folder.CreateVM(ctx, spec, object.NewResourcePool(client, *old.ResourcePool), object.NewHostSystem(client, *old.Runtime.Host))
	if err != nil {
		return nil, err
	}
	info, err := task.WaitForResult(ctx)
	if err != nil {
		return nil, err
	}
	made := j.model.Map().Get(info.Result.(types.ManagedObjectReference)).(*simulator.VirtualMachine)
	for _, ref := range made.Datastore {
		_ = os.RemoveAll(filepath.Join(j.model.Map().Get(ref).(*simulator.Datastore).Summary.Url, temporary))
	}
	return made, nil
}

// countUpTo uses up references until the given number is used.
func (j *journal) countUpTo(goal int) error {
	for {
		now, err := number(j.model.Map().NewEntity(new(mo.Folder)).Reference())
		if err != nil || now >= goal {
			return err
		}
	}
}

func number(ref types.ManagedObjectReference) (int, error) {
	return strconv.Atoi(ref.Value[strings.LastIndexFunc(ref.Value, func(r rune) bool { return r < '0' || r > '9' })+1:])
}

func byReference(all []mo.Entity) []mo.Entity {
	sort.Slice(all, func(i, j int) bool {
		a, _ := number(all[i].Reference())
		b, _ := number(all[j].Reference())
		return a < b
	})
	return all
}

func firewallOf(model *simulator.Model, host *simulator.HostSystem) *firewall {
	if host.ConfigManager.FirewallSystem == nil {
		return nil
	}
	system, _ := model.Map().Get(*host.ConfigManager.FirewallSystem).(*firewall)
	return system
}

func servicesOf(model *simulator.Model, host *simulator.HostSystem) *services {
	if host.ConfigManager.ServiceSystem == nil {
		return nil
	}
	system, _ := model.Map().Get(*host.ConfigManager.ServiceSystem).(*services)
	return system
}

func replaceFile(file string, data []byte) error {
	unfinished := file + ".unfinished"
	out, err := os.OpenFile(unfinished, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = out.Write(data); err == nil {
		err = out.Sync()
	}
	if closing := out.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Rename(unfinished, file)
}
