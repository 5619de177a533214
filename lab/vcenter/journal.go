package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
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

	firstHosts map[types.ManagedObjectReference]types.ManagedObjectReference // those among them, and what they are in
	made       *madeObjects                                                  // what clients made
	hosts      *hostRecords
	disabled   *disabledMethods

	firstClusters map[types.ManagedObjectReference]json.RawMessage // how they are configured

	changes   atomic.Int64 // calls and tasks so far that may have changed something
	others    atomic.Int64 // those among them that may have changed more than a host's own settings
	upTo      atomic.Int64 // how many of the changes the file knows
	mu        sync.Mutex   // one write at a time
	kept      record       // what was written last
	keptUpTo  int64        // how many of the others it knows
	asideVMs  []json.RawMessage
	done      chan struct{}
	closeOnce sync.Once
}

// record is the file's content. Objects are kept as govmomi's own JSON, which tells the types of devices.
type record struct {
	Size      *size                      `json:"size,omitempty"`
	Highest   int                        `json:"highest"` // number of the newest reference ever kept: none is given out twice
	Folders   []json.RawMessage          `json:"folders"`
	Pools     []json.RawMessage          `json:"pools"`
	Apps      []json.RawMessage          `json:"apps"`
	Machines  []json.RawMessage          `json:"machines"`
	Snapshots []json.RawMessage          `json:"snapshots"`
	Hosts     map[string]json.RawMessage `json:"hosts"` // hostRecords, by the host's reference
	Joined    []joinedHost               `json:"joined,omitempty"`
	Left      []string                   `json:"left,omitempty"` // hosts of a new site that are gone

	Moved map[string]types.ManagedObjectReference `json:"moved,omitempty"` // hosts of a new site, and where they are now

	Disabled map[string][]disabledInfo  `json:"disabled,omitempty"` // methods of objects
	Clusters map[string]json.RawMessage `json:"clusters,omitempty"` // how clients configured a new site's, by reference
}

// openJournal makes a new site what it was when it was left.
func openJournal(model *simulator.Model, state string, size size) (*journal, error) {
	j := &journal{
		model: model,
		file:  &keptFile{path: filepath.Join(state, journalName)},
		size:  size,
		first: map[types.ManagedObjectReference]bool{},

		firstHosts: map[types.ManagedObjectReference]types.ManagedObjectReference{},
		disabled:   new(disabledMethods),
		done:       make(chan struct{}),
	}
	j.made = newMadeObjects(func() { j.note(true) })
	j.hosts = newHostRecords(model, func() { j.note(false) })
	j.tasks = newRunningTasks(func(task *mo.Task) {
		j.hosts.touch(*task.Info.Entity)
		j.note(true)
	})
	for _, entity := range model.Map().All("") {
		j.first[entity.Reference()] = true
		if host, ok := entity.(*simulator.HostSystem); ok {
			j.firstHosts[host.Self] = *host.Parent
		}
	}
	for _, handler := range []simulator.RegisterObject{j.made, j.hosts, j.tasks, j.disabled} {
		model.Map().AddHandler(handler)
	}
	if err := j.rememberClusters(); err != nil {
		return nil, err
	}
	return j, j.replay()
}

// close ends follow and writes what is still to be written.
func (j *journal) close() {
	j.closeOnce.Do(func() { close(j.done) })
	j.note(true)
	j.write(j.soFar())
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
			j.write(j.soFar())
		}
	}
}

// note counts a change; one of a host's own settings leaves everything else as it was.
func (j *journal) note(more bool) {
	if more {
		j.others.Add(1)
	}
	j.changes.Add(1)
}

// soFar is the number of the last change that could be seen until now.
func (j *journal) soFar() int64 {
	if j.tasks.any() { // and what a task has done may be seen before the task ends
		j.note(true)
	}
	return j.changes.Load()
}

// beforeAnswer holds an answer back until what it may tell of is written.
func (j *journal) beforeAnswer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/sdk"):
			others, changes := j.others.Load(), j.changes.Load()
			held := &heldAnswer{header: w.Header(), status: http.StatusOK}
			next.ServeHTTP(held, r)
			if j.changes.Load() != changes {
				j.note(j.others.Load() != others) // another answer may have written too early for this call
			}
			j.write(j.soFar())
			held.knownTo(r.Header.Get("SOAPAction"))
			held.send(w)
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			next.ServeHTTP(w, r)
		default: // REST: what it changes is written by follow
			next.ServeHTTP(w, r)
			j.note(true)
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

// knownTo leaves out what a client of that SOAPAction doesn't know.
func (h *heldAnswer) knownTo(action string) {
	all := h.body.Bytes()
	if shown := showEntities(showSwitches(known(action, all))); !bytes.Equal(shown, all) {
		h.body = *bytes.NewBuffer(shown)
	}
}

// runningTasks are the tasks that go on after the call that started them, with what they work on.
type runningTasks struct {
	mo.SearchIndex
	ended   func(*mo.Task) // called before a task counts as ended
	mu      sync.Mutex
	running map[types.ManagedObjectReference]types.ManagedObjectReference
}

func newRunningTasks(ended func(*mo.Task)) *runningTasks {
	return &runningTasks{ended: ended, running: map[types.ManagedObjectReference]types.ManagedObjectReference{}}
}

func (t *runningTasks) any() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.running) > 0
}

// on are the objects that tasks work on.
func (t *runningTasks) on() []types.ManagedObjectReference {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Values(t.running))
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
		t.running[task.Self] = *task.Info.Entity
	} else if _, ran := t.running[task.Self]; ran {
		t.ended(task) // in between, an answer would not wait
		delete(t.running, task.Self)
	}
}

func (*runningTasks) RemoveObject(*simulator.Context, types.ManagedObjectReference) {}

// write saves the inventory, unless someone else has done so since the given change. All who wait for one write need
// only the next one: it begins after what they wait for.
func (j *journal) write(change int64) {
	if j.upTo.Load() >= change {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.upTo.Load() >= change {
		return
	}
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

// snapshot encodes what may have changed since the last one, and takes the rest from there.
func (j *journal) snapshot() ([]byte, error) {
	if others := j.others.Load(); others != j.keptUpTo || j.kept.Size == nil {
		if err := j.encodeObjects(); err != nil {
			return nil, err
		}
		j.keptUpTo = others
	}
	for _, entity := range j.tasks.on() {
		j.hosts.touch(entity)
	}
	var err error
	if j.kept.Hosts, err = j.hosts.encode(j.locked); err != nil {
		return nil, err
	}
	return json.Marshal(j.kept)
}

// encodeObjects encodes everything but the settings of hosts.
func (j *journal) encodeObjects() error {
	kept := record{Size: &j.size, Highest: j.kept.Highest, Machines: append([]json.RawMessage{}, j.asideVMs...)}
	for _, kind := range []struct {
		name string
		list *[]json.RawMessage
	}{
		{"Folder", &kept.Folders}, {"ResourcePool", &kept.Pools}, {"VirtualApp", &kept.Apps},
		{"VirtualMachine", &kept.Machines}, {"VirtualMachineSnapshot", &kept.Snapshots},
	} {
		objects := byNumber(j.made.all(kind.name))
		j.waitUntilMade(objects)
		for _, object := range objects {
			if j.first[object.Reference()] || rootPool(object) {
				continue
			}
			text, err := j.textOf(object)
			if err != nil {
				return fmt.Errorf("%s: %w", object.Reference(), err)
			}
			if text == nil {
				continue
			}
			*kind.list = append(*kind.list, text)
			kept.Highest = max(kept.Highest, number(object.Reference()))
		}
	}
	j.recordHosts(&kept)
	kept.Disabled = j.disabled.record()
	if err := j.recordClusters(&kept); err != nil {
		return err
	}
	for _, entity := range j.model.Map().All("Network") {
		if !j.first[entity.Reference()] {
			kept.Highest = max(kept.Highest, number(entity.Reference()))
		}
	}
	j.kept = kept
	return nil
}

// rootPool says whether a pool is the one that belongs to a host or a cluster, and comes with it.
func rootPool(object mo.Reference) bool {
	pool, ok := object.(*simulator.ResourcePool)
	return ok && pool.Parent.Type != "ResourcePool" && pool.Parent.Type != "VirtualApp"
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

// textOf encodes an object under its lock; nothing if it is gone. With an object goes its lock, while the task that
// destroys it still changes it.
func (j *journal) textOf(object mo.Reference) (json.RawMessage, error) {
	var text bytes.Buffer
	var err error
	there := false
	j.locked(object, func() {
		if there = j.model.Map().Get(object.Reference()) != nil; there {
			err = types.NewJSONEncoder(&text).Encode(managed(object))
		}
	})
	if !there {
		return nil, nil
	}
	return bytes.TrimSpace(text.Bytes()), err
}

func (j *journal) locked(object mo.Reference, do func()) {
	ctx := &simulator.Context{Context: context.Background(), Map: j.model.Map()}
	ctx.WithLock(object, do)
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

// madeObjects are the objects of the kinds that the journal keeps; looking for them in the registry takes long there,
// where each host is a dozen objects.
type madeObjects struct {
	mo.SearchIndex
	changed func()
	mu      sync.Mutex
	byKind  map[string]map[types.ManagedObjectReference]mo.Reference
}

func newMadeObjects(changed func()) *madeObjects {
	made := &madeObjects{changed: changed, byKind: map[string]map[types.ManagedObjectReference]mo.Reference{}}
	for _, kind := range []string{"Folder", "ResourcePool", "VirtualApp", "VirtualMachine", "VirtualMachineSnapshot"} {
		made.byKind[kind] = map[types.ManagedObjectReference]mo.Reference{}
	}
	return made
}

func (m *madeObjects) all(kind string) []mo.Reference {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.byKind[kind]))
}

func (*madeObjects) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "LabRules", Value: "made"}
}

func (m *madeObjects) PutObject(_ *simulator.Context, object mo.Reference) {
	ref := object.Reference()
	if m.byKind[ref.Type] == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.byKind[ref.Type][ref] = object
	m.changed()
}

func (*madeObjects) UpdateObject(*simulator.Context, mo.Reference, []types.PropertyChange) {}

func (m *madeObjects) RemoveObject(_ *simulator.Context, ref types.ManagedObjectReference) {
	if m.byKind[ref.Type] == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.byKind[ref.Type], ref)
	m.changed()
}
