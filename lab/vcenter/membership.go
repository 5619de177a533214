package main

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// joinedHost is a host that a client added; what differs from a new host stands in its hostRecord.
type joinedHost struct {
	Self   types.ManagedObjectReference `json:"self"`
	Name   string                       `json:"name"`
	Parent types.ManagedObjectReference `json:"parent"`
	Parts  types.HostConfigManager      `json:"parts"`
	Alone  *aloneHost                   `json:"alone,omitempty"` // not in a cluster
}

// aloneHost are the objects that come with a host beside the clusters.
type aloneHost struct {
	Folder  types.ManagedObjectReference `json:"folder"`
	Pool    types.ManagedObjectReference `json:"pool"`
	Browser types.ManagedObjectReference `json:"browser"`
}

// checkJoin refuses a host that the vCenter has already (vSphere API reference: faults of AddHost_Task).
func (r *rules) checkJoin(where types.ManagedObjectReference, name string) types.BaseMethodFault {
	for _, entity := range r.registry.All("HostSystem") {
		host, ok := entity.(*simulator.HostSystem)
		if !ok || host.Name != name || name == "" {
			continue
		}
		if *host.Parent == where {
			return &types.DuplicateName{Name: name, Object: host.Self}
		}
		return &types.AlreadyConnected{Name: name}
	}
	return nil
}

// mountAll gives a host the datastores of its datacenter: as for all hosts of the site, their storage is shared. On a host
// without any, the simulator mixes up the cluster's list of hosts when it looks for a place for a VM.
func mountAll(ctx *simulator.Context, registry *simulator.Registry, host *simulator.HostSystem) {
	parts, ok := registry.Get(*host.ConfigManager.DatastoreSystem).(*simulator.HostDatastoreSystem)
	if !ok {
		return
	}
	for _, entity := range inOrder(registry, "Datastore") {
		store := entity.(*simulator.Datastore)
		if simulator.FindReference(host.Datastore, store.Self) != nil || datacenterOf(registry, store) != datacenterOf(registry, host) {
			continue
		}
		ctx.WithLock(store, func() {
			store.Host = append(store.Host, types.DatastoreHostMount{Key: host.Self, MountInfo: types.HostMountInfo{
				AccessMode: string(types.HostMountModeReadWrite), Mounted: types.NewBool(true), Accessible: types.NewBool(true),
			}})
		})
		ctx.WithLock(host, func() {
			parts.Datastore = append(slices.Clip(parts.Datastore), store.Self)
			host.Datastore = parts.Datastore
		})
		if alone, ok := registry.Get(*host.Parent).(*mo.ComputeResource); ok {
			registry.AddReference(ctx, alone, &alone.Datastore, store.Self)
		}
	}
}

// datacenterOf is the datacenter that an object is in.
func datacenterOf(registry *simulator.Registry, entity mo.Entity) types.ManagedObjectReference {
	for entity.Entity().Parent != nil {
		above, ok := registry.Get(*entity.Entity().Parent).(mo.Entity)
		if !ok {
			break
		}
		if above.Reference().Type == "Datacenter" {
			return above.Reference()
		}
		entity = above
	}
	return types.ManagedObjectReference{}
}

// redirect sends the calls here that the simulator lacks, or that leave half of a host behind there.
func (r *rules) redirect(method *simulator.Method) {
	switch call := method.Body.(type) {
	case *types.Destroy_Task:
		if on := method.This.Type; on == "HostSystem" || on == "ComputeResource" {
			method.Body = &leaving{on: method.This}
			method.Name, method.This = "Leave", r.Self
			return
		}
		folder, ok := r.registry.Get(method.This).(*simulator.Folder)
		r.sendToMachines(method, "Folder", ok && slices.Contains(folder.ChildType, "VirtualMachine"))
		r.sendToMachines(method, "ResourcePool", true)
		r.sendToMachines(method, "VirtualApp", true)
	case *types.MoveInto_Task:
		r.sendMove(method, &moved{into: method.This, hosts: call.Host, single: false})
	case *types.MoveHostInto_Task:
		r.sendMove(method, &moved{into: method.This, hosts: []types.ManagedObjectReference{call.Host}, single: true})
	case *types.CreateVM_Task:
		r.sendToMachines(method, "Folder", hasSecret(&call.Config))
	case *types.CreateChildVM_Task:
		r.sendToMachines(method, "VirtualApp", hasSecret(&call.Config))
	case *types.ReconfigVM_Task:
		keepPlace(&call.Spec)
		r.sendToMachines(method, "VirtualMachine", hasSecret(&call.Spec))
	case *types.CreateSnapshot_Task, *types.CreateSnapshotEx_Task, *types.RevertToCurrentSnapshot_Task,
		*types.RemoveAllSnapshots_Task:
		r.sendToMachines(method, "VirtualMachine", true)
	case *types.CreateResourcePool, *types.CreateVApp, *types.UpdateConfig, *types.MoveIntoResourcePool:
		r.sendToMachines(method, "ResourcePool", true)
		r.sendToMachines(method, "VirtualApp", true)
	case *types.PowerOnVApp_Task, *types.PowerOffVApp_Task:
		r.sendToMachines(method, "VirtualApp", true)
	case *types.MakeDirectory, *types.DeleteDatastoreFile_Task, *types.MoveDatastoreFile_Task, *types.CopyDatastoreFile_Task:
		r.sendTo(filesReference, method, "FileManager", true)
	case *types.SearchDatastore_Task, *types.SearchDatastoreSubFolders_Task:
		r.sendTo(filesReference, method, "HostDatastoreBrowser", true)
	case *types.ShutdownGuest, *types.RebootGuest:
		r.sendToMachines(method, "VirtualMachine", true)
	case *types.RevertToSnapshot_Task, *types.RemoveSnapshot_Task, *types.RenameSnapshot:
		r.sendToMachines(method, "VirtualMachineSnapshot", true)
	}
}

// sendToMachines sends a call on, as it is, if it is one for our own machines.
func (r *rules) sendToMachines(method *simulator.Method, kind string, wanted bool) {
	r.sendTo(machinesReference, method, kind, wanted)
}

func (r *rules) sendTo(ours types.ManagedObjectReference, method *simulator.Method, kind string, wanted bool) {
	if wanted && method.This.Type == kind && r.registry.Get(method.This) != nil {
		method.This = ours
	}
}

func (r *rules) sendMove(method *simulator.Method, call *moved) {
	method.Body, method.Name, method.This = call, "Move", r.Self
}

// leaving is a host's, or a lone host's compute resource's, removal from the inventory.
type leaving struct{ on types.ManagedObjectReference }

// Leave removes a host. A lone one goes by its compute resource only, one in a cluster must be out of use.
func (r *rules) Leave(ctx *simulator.Context, call *leaving) soap.HasFault {
	unlock := r.lockAll(ctx, r.placesOf(call.on))
	task := simulator.CreateTask(call.on, "destroy", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		defer unlock()
		host, fault := r.removable(call.on)
		if fault != nil {
			return nil, fault
		}
		leave(ctx, r.registry, host)
		return nil, nil
	})
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: task.Run(ctx)}}
}

// removable is the host that a removal is about, or why it can't be removed.
func (r *rules) removable(on types.ManagedObjectReference) (*simulator.HostSystem, types.BaseMethodFault) {
	compute, lone := r.registry.Get(on).(*mo.ComputeResource)
	if lone && len(compute.Host) > 0 {
		on = compute.Host[0]
	}
	host, ok := r.registry.Get(on).(*simulator.HostSystem)
	switch {
	case !ok:
		return nil, &types.ManagedObjectNotFound{Obj: on}
	case !lone && host.Parent.Type == "ComputeResource":
		return nil, new(types.NotSupported)
	case !lone && inUse(host):
		return nil, new(types.InvalidState)
	case len(host.Vm) > 0:
		return nil, &types.ResourceInUse{Type: "HostSystem", Name: host.Name}
	}
	return host, nil
}

// moved are hosts on their way into a cluster.
type moved struct {
	into   types.ManagedObjectReference
	hosts  []types.ManagedObjectReference
	single bool // MoveHostInto_Task, else MoveInto_Task
}

// Move puts hosts into a cluster, or none of them: one that comes from another cluster must be in maintenance mode.
func (r *rules) Move(ctx *simulator.Context, call *moved) soap.HasFault {
	places := []types.ManagedObjectReference{call.into}
	for _, ref := range call.hosts {
		places = append(places, r.placesOf(ref)...)
	}
	unlock := r.lockAll(ctx, places)
	task := simulator.CreateTask(call.into, "moveInto", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		defer unlock()
		cluster, ok := r.registry.Get(call.into).(*simulator.ClusterComputeResource)
		if !ok {
			return nil, &types.ManagedObjectNotFound{Obj: call.into}
		}
		var hosts []*simulator.HostSystem
		for _, ref := range call.hosts {
			host, fault := r.movable(ref, call.into)
			if fault != nil {
				return nil, fault
			}
			hosts = append(hosts, host)
		}
		for _, host := range hosts {
			move(ctx, r.registry, host, cluster)
		}
		return nil, nil
	})
	if call.single {
		return &methods.MoveHostInto_TaskBody{Res: &types.MoveHostInto_TaskResponse{Returnval: task.Run(ctx)}}
	}
	return &methods.MoveInto_TaskBody{Res: &types.MoveInto_TaskResponse{Returnval: task.Run(ctx)}}
}

func (r *rules) movable(ref, into types.ManagedObjectReference) (*simulator.HostSystem, types.BaseMethodFault) {
	host, ok := r.registry.Get(ref).(*simulator.HostSystem)
	switch {
	case !ok:
		return nil, &types.ManagedObjectNotFound{Obj: ref}
	case *host.Parent == into:
		return nil, &types.DuplicateName{Name: host.Name, Object: ref}
	case host.Parent.Type == "ClusterComputeResource" && !host.Runtime.InMaintenanceMode:
		return nil, new(types.InvalidState)
	}
	return host, nil
}

// placesOf are the objects whose lists a host stands in.
func (r *rules) placesOf(ref types.ManagedObjectReference) []types.ManagedObjectReference {
	switch one := r.registry.Get(ref).(type) {
	case *simulator.HostSystem:
		return append(r.placesOf(*one.Parent), *one.Parent)
	case *mo.ComputeResource:
		return []types.ManagedObjectReference{*one.Parent}
	}
	return nil
}

// lockAll locks objects in one order for all calls; a host is locked after what it is in, as when one is added.
func (r *rules) lockAll(ctx *simulator.Context, all []types.ManagedObjectReference) (unlock func()) {
	slices.SortFunc(all, func(a, b types.ManagedObjectReference) int { return strings.Compare(a.Value, b.Value) })
	var unlocks []func()
	for _, ref := range slices.Compact(all) {
		if one := r.registry.Get(ref); one != nil {
			unlocks = append(unlocks, r.registry.AcquireLock(ctx, one))
		}
	}
	return func() {
		for _, one := range unlocks {
			one()
		}
	}
}

// leave takes a host out of everything that knows it.
func leave(ctx *simulator.Context, registry *simulator.Registry, host *simulator.HostSystem) {
	leaveParent(ctx, registry, host)
	leaveBrowsers(registry, host.Self)
	for _, entity := range registry.All("Datastore") {
		store := entity.(*simulator.Datastore)
		ctx.WithLock(store, func() {
			store.Host = slices.DeleteFunc(slices.Clone(store.Host), func(mount types.DatastoreHostMount) bool {
				return mount.Key == host.Self
			})
		})
	}
	for _, entity := range registry.All("") {
		switch one := entity.(type) {
		case *simulator.DistributedVirtualSwitch:
			registry.RemoveReference(ctx, one, &one.Summary.HostMember, host.Self)
		case *simulator.DistributedVirtualPortgroup:
			registry.RemoveReference(ctx, one, &one.Host, host.Self)
		case *mo.Network:
			registry.RemoveReference(ctx, one, &one.Host, host.Self)
		}
	}
	for _, part := range mo.References(host.ConfigManager) {
		if !shared(registry, host, part) {
			registry.Remove(ctx, part)
		}
	}
	registry.Remove(ctx, host.Self)
}

// shared says whether another host has the same part: the simulator makes some of them once for all.
func shared(registry *simulator.Registry, host *simulator.HostSystem, part types.ManagedObjectReference) bool {
	return slices.ContainsFunc(registry.All("HostSystem"), func(entity mo.Entity) bool {
		other, ok := entity.(*simulator.HostSystem)
		return ok && other != host && manages(other, part)
	})
}

// leaveParent takes a host out of its cluster; with a lone one goes what came with it.
func leaveParent(ctx *simulator.Context, registry *simulator.Registry, host *simulator.HostSystem) {
	switch parent := registry.Get(*host.Parent).(type) {
	case *simulator.ClusterComputeResource:
		without := slices.Clone(parent.Host)
		simulator.RemoveReference(&without, host.Self)
		ctx.Update(parent, []types.PropertyChange{{Name: "host", Val: without}})
		count(parent.Summary.GetComputeResourceSummary(), host, -1)
	case *mo.ComputeResource:
		if folder, ok := registry.Get(*parent.Parent).(*simulator.Folder); ok {
			simulator.RemoveReference(&folder.ChildEntity, parent.Self)
			ctx.Update(folder, []types.PropertyChange{{Name: "childEntity", Val: folder.ChildEntity}})
		}
		for _, ref := range []*types.ManagedObjectReference{parent.ResourcePool, parent.EnvironmentBrowser} {
			if ref != nil {
				registry.Remove(ctx, *ref)
			}
		}
		registry.Remove(ctx, parent.Self)
	}
}

// move puts a host into a cluster, with its VMs; what was in a lone host's own pool goes to the cluster's.
func move(
	ctx *simulator.Context, registry *simulator.Registry, host *simulator.HostSystem, into *simulator.ClusterComputeResource,
) {
	if alone, ok := registry.Get(*host.Parent).(*mo.ComputeResource); ok && alone.ResourcePool != nil {
		movePool(ctx, registry, *alone.ResourcePool, *into.ResourcePool)
	}
	leaveParent(ctx, registry, host)
	leaveBrowsers(registry, host.Self)
	if browser, ok := registry.Get(*into.EnvironmentBrowser).(*simulator.EnvironmentBrowser); ok {
		if _, err := types.ParseESXiVersion(host.Config.Product.Version); err == nil {
			joinBrowser(browser, host.Self)
		}
	}
	with := append(slices.Clone(into.Host), host.Self)
	ctx.Update(into, []types.PropertyChange{{Name: "host", Val: with}})
	count(into.Summary.GetComputeResourceSummary(), host, 1)
	ctx.Map.AtomicUpdate(ctx, host, []types.PropertyChange{{Name: "parent", Val: into.Self}})
}

func joinBrowser(browser *simulator.EnvironmentBrowser, host types.ManagedObjectReference) {
	for i := range browser.QueryConfigOptionDescriptorResponse.Returnval {
		list := &browser.QueryConfigOptionDescriptorResponse.Returnval[i].Host
		*list = append(*list, host)
	}
}

func movePool(ctx *simulator.Context, registry *simulator.Registry, from, to types.ManagedObjectReference) {
	old, isPool := registry.Get(from).(*simulator.ResourcePool)
	root, rootIsPool := registry.Get(to).(*simulator.ResourcePool)
	if !isPool || !rootIsPool {
		return
	}
	for _, ref := range old.Vm {
		if vm, ok := registry.Get(ref).(*simulator.VirtualMachine); ok {
			ctx.WithLock(vm, func() { vm.ResourcePool = &root.Self })
			registry.AppendReference(ctx, root, &root.Vm, ref)
		}
	}
	for _, ref := range old.ResourcePool.ResourcePool {
		if child, ok := registry.Get(ref).(mo.Entity); ok {
			ctx.WithLock(child, func() { child.Entity().Parent = &root.Self })
			registry.AppendReference(ctx, root, &root.ResourcePool.ResourcePool, ref)
		}
	}
}

// count adds a host to a cluster's sums, or takes it out of them.
func count(sums *types.ComputeResourceSummary, host *simulator.HostSystem, by int32) {
	hardware := host.Summary.Hardware
	sums.TotalCpu += by * hardware.CpuMhz
	sums.TotalMemory += int64(by) * hardware.MemorySize
	sums.NumCpuCores += int16(by) * hardware.NumCpuCores
	sums.NumCpuThreads += int16(by) * hardware.NumCpuThreads
	sums.EffectiveCpu += by * hardware.CpuMhz
	sums.EffectiveMemory += int64(by) * hardware.MemorySize
	sums.NumHosts += by
	sums.NumEffectiveHosts += by
}

// recordHosts notes which hosts joined, moved and left.
func (j *journal) recordHosts(kept *record) {
	there := map[types.ManagedObjectReference]bool{}
	for _, entity := range inOrder(j.model.Map(), "HostSystem") {
		host := entity.(*simulator.HostSystem)
		there[host.Self] = true
		var parent types.ManagedObjectReference
		j.locked(host, func() { parent = *host.Parent })
		before, first := j.firstHosts[host.Self]
		switch {
		case !first:
			if one, whole := j.joined(host, parent); whole {
				kept.Joined = append(kept.Joined, one)
				kept.Highest = max(kept.Highest, one.highest())
			}
		case parent != before:
			if kept.Moved == nil {
				kept.Moved = map[string]types.ManagedObjectReference{}
			}
			kept.Moved[host.Self.Value] = parent
		}
	}
	for ref := range j.firstHosts {
		if !there[ref] {
			kept.Left = append(kept.Left, ref.Value)
		}
	}
	slices.Sort(kept.Left)
}

// joined is the record of a host that a client added; false as long as it is being made.
func (j *journal) joined(host *simulator.HostSystem, in types.ManagedObjectReference) (joinedHost, bool) {
	one := joinedHost{Self: host.Self, Name: host.Name, Parent: in, Parts: host.ConfigManager}
	switch parent := j.model.Map().Get(in).(type) {
	case *simulator.ClusterComputeResource:
		j.locked(parent, func() {}) // until the host is whole, the cluster is locked
	case *mo.ComputeResource:
		j.locked(parent.Parent, func() {})
		one.Alone = &aloneHost{Folder: *parent.Parent, Pool: *parent.ResourcePool, Browser: *parent.EnvironmentBrowser}
	default:
		return one, false
	}
	return one, true
}

// highest is the highest number of the references that come with a host.
func (h *joinedHost) highest() int {
	most := max(number(h.Self), number(h.Parent))
	if h.Alone != nil {
		most = max(most, number(h.Alone.Pool), number(h.Alone.Browser))
	}
	for _, part := range mo.References(h.Parts) {
		most = max(most, number(part))
	}
	return most
}

// restoreMembers makes the hosts of a new site those that there were.
func (j *journal) restoreMembers(kept *record) error {
	registry := j.model.Map()
	ctx := &simulator.Context{Context: context.Background(), Map: registry}
	for _, value := range kept.Left {
		if host, ok := registry.Get(hostReference(value)).(*simulator.HostSystem); ok {
			leave(ctx, registry, host)
		}
	}
	for _, one := range kept.Joined {
		if err := j.restoreJoined(ctx, one); err != nil {
			return fmt.Errorf("%s: host %s: %w", j.file.path, one.Name, err)
		}
	}
	for value, parent := range kept.Moved {
		host, known := registry.Get(hostReference(value)).(*simulator.HostSystem)
		cluster, there := registry.Get(parent).(*simulator.ClusterComputeResource)
		if known && there {
			move(ctx, registry, host, cluster)
		}
	}
	return nil
}

func hostReference(value string) types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "HostSystem", Value: value}
}

// restoreJoined adds a host as the client did, and then gives it and its parts their old references.
func (j *journal) restoreJoined(ctx *simulator.Context, one joinedHost) error {
	made, err := j.addAgain(one)
	if err != nil {
		return err
	}
	registry := j.model.Map()
	temporary := made.Self
	j.rename(ctx, made, one.Self)
	made.Config.Host = one.Self
	for _, entity := range registry.AllReference("EnvironmentBrowser") {
		if browser, ok := entity.(*simulator.EnvironmentBrowser); ok {
			for _, option := range browser.QueryConfigOptionDescriptorResponse.Returnval {
				replace(option.Host, temporary, one.Self)
			}
		}
	}
	switch parent := registry.Get(*made.Parent).(type) {
	case *simulator.ClusterComputeResource:
		replace(parent.Host, temporary, one.Self)
	case *mo.ComputeResource:
		replace(parent.Host, temporary, one.Self)
		j.restoreAlone(ctx, parent, one)
	}
	j.restoreParts(ctx, made, one.Parts)
	furnish(registry, made, newest)
	mountAll(ctx, registry, made)
	return nil
}

func (j *journal) addAgain(one joinedHost) (*simulator.HostSystem, error) {
	ctx := context.Background()
	client, err := vim25.NewClient(ctx, j.model.Service)
	if err != nil {
		return nil, err
	}
	spec := types.HostConnectSpec{HostName: one.Name}
	var task *object.Task
	if one.Alone != nil {
		task, err = object.NewFolder(client, one.Alone.Folder).AddStandaloneHost(ctx, spec, true, nil, nil)
	} else {
		task, err = object.NewClusterComputeResource(client, one.Parent).AddHost(ctx, spec, true, nil, nil)
	}
	if err != nil {
		return nil, err
	}
	info, err := task.WaitForResult(ctx)
	if err != nil {
		return nil, err
	}
	return j.model.Map().Get(info.Result.(types.ManagedObjectReference)).(*simulator.HostSystem), nil
}

func (j *journal) restoreAlone(ctx *simulator.Context, compute *mo.ComputeResource, one joinedHost) {
	registry := j.model.Map()
	if folder, ok := registry.Get(*compute.Parent).(*simulator.Folder); ok {
		replace(folder.ChildEntity, compute.Self, one.Parent)
	}
	pool, isPool := registry.Get(*compute.ResourcePool).(*simulator.ResourcePool)
	browser := registry.Get(*compute.EnvironmentBrowser)
	j.rename(ctx, compute, one.Parent)
	if isPool {
		j.rename(ctx, pool, one.Alone.Pool)
		pool.Owner = one.Parent
	}
	if browser != nil {
		j.rename(ctx, browser, one.Alone.Browser)
	}
}

// restoreParts gives a new host's parts the references that they had.
func (j *journal) restoreParts(ctx *simulator.Context, host *simulator.HostSystem, kept types.HostConfigManager) {
	now, old := reflect.ValueOf(&host.ConfigManager).Elem(), reflect.ValueOf(kept)
	for i := range now.NumField() {
		is, isRef := now.Field(i).Interface().(*types.ManagedObjectReference)
		was, wasRef := old.Field(i).Interface().(*types.ManagedObjectReference)
		if !isRef || !wasRef || is == nil || was == nil || *is == *was {
			continue
		}
		if part := j.model.Map().Get(*is); part != nil {
			j.rename(ctx, part, *was)
		}
		now.Field(i).Set(reflect.ValueOf(was))
	}
}

func (j *journal) rename(ctx *simulator.Context, object mo.Reference, ref types.ManagedObjectReference) {
	j.model.Map().Remove(ctx, object.Reference())
	reflect.ValueOf(object).Elem().FieldByName("Self").Set(reflect.ValueOf(ref))
	j.model.Map().Put(object)
}

func replace(list []types.ManagedObjectReference, old, with types.ManagedObjectReference) {
	for i := range list {
		if list[i] == old {
			list[i] = with
		}
	}
}
