package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	journalName    = "inventory.json"
	followInterval = 500 * time.Millisecond
)

// journal keeps what clients changed in a file, and makes it so again at the next start, under the same references.
// No answer that could tell a client of a change leaves before the change is written.
type journal struct {
	model *simulator.Model
	file  *keptFile
	size  size
	tasks *runningTasks
	first map[types.ManagedObjectReference]bool // what every new site has

	changes   atomic.Int64 // calls and tasks so far that may have changed something
	upTo      atomic.Int64 // how many of these the file knows
	mu        sync.Mutex   // one write at a time
	highest   int          // number of the newest reference that was ever kept: none is given out twice
	asideVMs  []json.RawMessage
	done      chan struct{}
	closeOnce sync.Once
}

// record is the file's content. Objects are kept as govmomi's own JSON, which tells the types of devices.
type record struct {
	Size      *size                 `json:"size,omitempty"`
	Highest   int                   `json:"highest"`
	Folders   []json.RawMessage     `json:"folders"`
	Pools     []json.RawMessage     `json:"pools"`
	Apps      []json.RawMessage     `json:"apps"`
	Machines  []json.RawMessage     `json:"machines"`
	Snapshots []json.RawMessage     `json:"snapshots"`
	Hosts     map[string]hostRecord `json:"hosts"`
}

type hostRecord struct {
	Connection  types.HostSystemConnectionState `json:"connection"`
	Maintenance bool                            `json:"maintenance"`
	Policy      types.HostFirewallDefaultPolicy `json:"policy"`
	Rulesets    []types.HostFirewallRuleset     `json:"rulesets"`
	Services    []types.HostService             `json:"services"`
}

// openJournal makes a new site what it was when it was left.
func openJournal(model *simulator.Model, state string, size size) (*journal, error) {
	j := &journal{
		model: model,
		file:  &keptFile{path: filepath.Join(state, journalName)},
		size:  size,
		first: map[types.ManagedObjectReference]bool{},
		done:  make(chan struct{}),
	}
	j.tasks = &runningTasks{journal: j, running: map[types.ManagedObjectReference]bool{}}
	for _, entity := range model.Map().All("") {
		j.first[entity.Reference()] = true
	}
	return j, j.replay()
}

// close ends follow and writes what is still to be written.
func (j *journal) close() {
	j.closeOnce.Do(func() { close(j.done) })
	j.write()
}

// follow writes what no answer waited for, as a task that ended when nobody looked.
func (j *journal) follow() {
	look := time.NewTicker(followInterval)
	defer look.Stop()
	for {
		select {
		case <-j.done:
			return
		case <-look.C:
			if j.behind() {
				j.write()
			}
		}
	}
}

func (j *journal) behind() bool { return j.changes.Load() != j.upTo.Load() || j.tasks.any() }

// beforeAnswer holds an answer back until what it may tell of is written.
func (j *journal) beforeAnswer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/sdk"):
			before := j.changes.Load()
			held := &heldAnswer{header: w.Header(), status: http.StatusOK}
			next.ServeHTTP(held, r)
			if j.changes.Load() != before {
				j.changes.Add(1) // another answer may have written too early for this call
			}
			if j.behind() {
				j.write()
			}
			held.send(w)
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			next.ServeHTTP(w, r)
		default: // REST: what it changes is written by follow
			next.ServeHTTP(w, r)
			j.changes.Add(1)
		}
	})
}

// heldAnswer is an answer that isn't sent yet.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *heldAnswer) Header() http.Header            { return h.header }
func (h *heldAnswer) WriteHeader(status int)         { h.status = status }
func (h *heldAnswer) Write(data []byte) (int, error) { return h.body.Write(data) }
func (h *heldAnswer) send(w http.ResponseWriter) {
	w.WriteHeader(h.status)
	_, _ = w.Write(h.body.Bytes())
}

// runningTasks are the tasks that go on after the call that started them.
type runningTasks struct {
	mo.SearchIndex
	journal *journal
	mu      sync.Mutex
	running map[types.ManagedObjectReference]bool
}

func (t *runningTasks) any() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.running) > 0
}

func (*runningTasks) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "LabRules", Value: "tasks"}
}

func (*runningTasks) PutObject(*simulator.Context, mo.Reference) {}

func (t *runningTasks) UpdateObject(_ *simulator.Context, object mo.Reference, _ []types.PropertyChange) {
	task, ok := object.(*mo.Task)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if task.Info.State == types.TaskInfoStateRunning {
		t.running[task.Self] = true
	} else if t.running[task.Self] {
		t.journal.changes.Add(1) // before it counts as ended: in between, an answer would not wait
		delete(t.running, task.Self)
	}
}

func (*runningTasks) RemoveObject(*simulator.Context, types.ManagedObjectReference) {}

// write saves the inventory if it differs from what is saved.
func (j *journal) write() {
	j.mu.Lock()
	defer j.mu.Unlock()
	upTo := j.changes.Load()
	data, err := j.snapshot()
	if err == nil {
		err = j.file.replace(data)
	}
	if err != nil {
		log.Printf("journal: %s", err)
		return
	}
	j.upTo.Store(upTo)
}

func (j *journal) snapshot() ([]byte, error) {
	kept := record{Size: &j.size, Hosts: map[string]hostRecord{}, Machines: append([]json.RawMessage{}, j.asideVMs...)}
	for _, kind := range []struct {
		name string
		list *[]json.RawMessage
	}{
		{"Folder", &kept.Folders}, {"ResourcePool", &kept.Pools}, {"VirtualApp", &kept.Apps},
		{"VirtualMachine", &kept.Machines}, {"VirtualMachineSnapshot", &kept.Snapshots},
	} {
		objects := byNumber(j.model.Map().AllReference(kind.name))
		j.waitUntilMade(objects)
		for _, object := range objects {
			if j.first[object.Reference()] {
				continue
			}
			text, err := j.textOf(object)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", object.Reference(), err)
			}
			*kind.list = append(*kind.list, text)
			j.highest = max(j.highest, number(object.Reference()))
		}
	}
	kept.Highest = j.highest
	for _, entity := range j.model.Map().All("HostSystem") {
		kept.Hosts[entity.Reference().Value] = j.hostRecord(entity.(*simulator.HostSystem))
	}
	return json.Marshal(kept)
}

// waitUntilMade lets the VMs of a list be finished: a VM is listed early, and its folder is locked until it is whole.
func (j *journal) waitUntilMade(objects []mo.Reference) {
	seen := map[types.ManagedObjectReference]bool{}
	for _, object := range objects {
		if vm, ok := object.(*simulator.VirtualMachine); ok && !seen[*vm.Parent] {
			seen[*vm.Parent] = true
			j.locked(*vm.Parent, func() {})
		}
	}
}

// textOf encodes an object under its lock.
func (j *journal) textOf(object mo.Reference) (json.RawMessage, error) {
	var text bytes.Buffer
	var err error
	j.locked(object, func() { err = types.NewJSONEncoder(&text).Encode(managed(object)) })
	return bytes.TrimSpace(text.Bytes()), err
}

func (j *journal) locked(object mo.Reference, do func()) {
	ctx := &simulator.Context{Context: context.Background(), Map: j.model.Map()}
	ctx.WithLock(object, do)
}

func (j *journal) hostRecord(host *simulator.HostSystem) hostRecord {
	var one hostRecord
	j.locked(host, func() {
		one.Connection, one.Maintenance = host.Runtime.ConnectionState, host.Runtime.InMaintenanceMode
	})
	if system := firewallOf(j.model, host); system != nil {
		j.locked(system, func() {
			info := copyOf(system.FirewallInfo)
			one.Policy, one.Rulesets = info.DefaultPolicy, info.Ruleset
		})
	}
	if system := servicesOf(j.model, host); system != nil {
		j.locked(system, func() { one.Services = copyOf(&system.ServiceInfo).Service })
	}
	return one
}

// managed is the part of an object that clients see.
func managed(object mo.Reference) any {
	switch one := object.(type) {
	case *simulator.VirtualMachine:
		return one.VirtualMachine
	case *simulator.VirtualMachineSnapshot:
		return one.VirtualMachineSnapshot
	case *simulator.Folder:
		return one.Folder
	case *simulator.ResourcePool:
		return one.ResourcePool
	case *simulator.VirtualApp:
		return one.VirtualApp
	}
	return object
}

func firewallOf(model *simulator.Model, host *simulator.HostSystem) *firewall {
	system, _ := model.Map().Get(*host.ConfigManager.FirewallSystem).(*firewall)
	return system
}

func servicesOf(model *simulator.Model, host *simulator.HostSystem) *services {
	system, _ := model.Map().Get(*host.ConfigManager.ServiceSystem).(*services)
	return system
}

// load reads the file; without one there is nothing to replay.
func (j *journal) load() (*record, error) {
	data, err := j.file.read()
	if errors.Is(err, fs.ErrNotExist) {
		return new(record), nil
	}
	if err != nil {
		return nil, err
	}
	kept := new(record)
	if err := json.Unmarshal(data, kept); err != nil {
		return nil, fmt.Errorf("%s: %w", j.file.path, err)
	}
	if kept.Size != nil && *kept.Size != j.size {
		return nil, fmt.Errorf("%s is of a site of another size (%+v, now %+v): use the same flags or another state folder",
			j.file.path, *kept.Size, j.size)
	}
	return kept, nil
}
