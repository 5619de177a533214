package main

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// newPools lets one pool be made at a time: until it is mended, its summary is one that the simulator's pools share.
var newPools sync.Mutex

// shares are what each level stands for in a pool (vSphere API reference: SharesInfo).
type shares map[types.SharesLevel]int32

var (
	cpuShares = shares{
		types.SharesLevelLow: 2000, types.SharesLevelNormal: 4000, types.SharesLevelHigh: 8000,
	}
	memoryShares = shares{
		types.SharesLevelLow: 81920, types.SharesLevelNormal: 163840, types.SharesLevelHigh: 327680,
	}
)

// poolOf is what a pool and a vApp have in common; nil for anything else.
func poolOf(object mo.Reference) *mo.ResourcePool {
	switch one := object.(type) {
	case *simulator.ResourcePool:
		return &one.ResourcePool
	case *simulator.VirtualApp:
		return &one.ResourcePool
	}
	return nil
}

// mendPool gives a pool a summary of its own, and a vApp its state.
func mendPool(object mo.Reference) {
	pool := poolOf(object)
	summary := *pool.Summary.GetResourcePoolSummary()
	summary.Name, summary.Config = pool.Name, pool.Config
	if _, ok := object.(*simulator.VirtualApp); !ok {
		pool.Summary = &summary
		return
	}
	state := types.VirtualAppVAppStateStopped
	if before, ok := pool.Summary.(*types.VirtualAppSummary); ok {
		state = before.VAppState
	}
	pool.Summary = &types.VirtualAppSummary{ResourcePoolSummary: summary, VAppState: state}
}

func (m *machines) CreateResourcePool(ctx *simulator.Context, req *types.CreateResourcePool) soap.HasFault {
	if fault := m.checkNewPool(req.This, req.Name, &req.Spec); fault != nil {
		return &methods.CreateResourcePoolBody{Fault_: explained(fault)}
	}
	newPools.Lock()
	defer newPools.Unlock()
	var made soap.HasFault
	parent := m.registry.Get(req.This)
	ctx.WithLock(parent, func() {
		switch one := parent.(type) {
		case *simulator.ResourcePool:
			made = one.CreateResourcePool(ctx, req)
		case *simulator.VirtualApp:
			made = m.createInApp(one, func(as *simulator.ResourcePool) soap.HasFault { return as.CreateResourcePool(ctx, req) })
		}
	})
	return made
}

func (m *machines) CreateVApp(ctx *simulator.Context, req *types.CreateVApp) soap.HasFault {
	if m.registry.IsESX() { // only a vCenter has vApps
		return &methods.CreateVAppBody{Fault_: explained(new(types.MethodDisabled))}
	}
	if fault := m.checkNewPool(req.This, req.Name, &req.ResSpec); fault != nil {
		return &methods.CreateVAppBody{Fault_: explained(fault)}
	}
	newPools.Lock()
	defer newPools.Unlock()
	var made soap.HasFault
	parent := m.registry.Get(req.This)
	ctx.WithLock(parent, func() {
		switch one := parent.(type) {
		case *simulator.ResourcePool:
			made = one.CreateVApp(ctx, req)
		case *simulator.VirtualApp:
			made = m.createInApp(one, func(as *simulator.ResourcePool) soap.HasFault { return as.CreateVApp(ctx, req) })
		}
	})
	return made
}

// createInApp lets a vApp do what a pool does.
func (m *machines) createInApp(app *simulator.VirtualApp, do func(*simulator.ResourcePool) soap.HasFault) soap.HasFault {
	as := &simulator.ResourcePool{ResourcePool: app.ResourcePool}
	made := do(as)
	app.ResourcePool.ResourcePool = as.ResourcePool.ResourcePool
	return made
}

// checkNewPool refuses a name that there is, and fills in what the levels of shares stand for.
func (m *machines) checkNewPool(
	parent types.ManagedObjectReference, name string, spec *types.ResourceConfigSpec,
) types.BaseMethodFault {
	if fault := m.checkPoolName(parent, name); fault != nil {
		return fault
	}
	cpuShares.fillIn(&spec.CpuAllocation)
	memoryShares.fillIn(&spec.MemoryAllocation)
	return first(
		checkAllocation("spec.cpuAllocation", &spec.CpuAllocation), checkAllocation("spec.memoryAllocation", &spec.MemoryAllocation),
	)
}

func (m *machines) checkPoolName(parent types.ManagedObjectReference, name string) types.BaseMethodFault {
	pool := poolOf(m.registry.Get(parent))
	if pool == nil {
		return nil
	}
	var twin mo.Entity
	m.rules.journal.locked(pool.Self, func() { twin = m.registry.FindByName(name, pool.ResourcePool) })
	if twin != nil {
		return &types.DuplicateName{Name: name, Object: twin.Reference()}
	}
	return nil
}

func (s shares) fillIn(allocation *types.ResourceAllocationInfo) {
	if allocation.Shares == nil {
		return
	}
	if number, ok := s[allocation.Shares.Level]; ok {
		allocation.Shares.Shares = number
	}
}

// checkAllocation refuses what no pool can have (vSphere API reference: ResourceAllocationInfo).
func checkAllocation(property string, allocation *types.ResourceAllocationInfo) types.BaseMethodFault {
	reserved, limit := allocation.Reservation, allocation.Limit
	wrong := reserved != nil && *reserved < 0 || limit != nil && *limit < -1 ||
		reserved != nil && limit != nil && *limit >= 0 && *reserved > *limit ||
		allocation.Shares != nil && allocation.Shares.Shares < 0
	if wrong {
		return &types.InvalidArgument{InvalidProperty: property}
	}
	return nil
}

// UpdateConfig changes a pool's, or a vApp's, name and allocations; what a change leaves out stays as it is.
func (m *machines) UpdateConfig(ctx *simulator.Context, req *types.UpdateConfig) soap.HasFault {
	object := m.registry.Get(req.This)
	pool := poolOf(object)
	if req.Name != "" && req.Name != pool.Name {
		if fault := m.checkPoolName(*pool.Parent, req.Name); fault != nil {
			return &methods.UpdateConfigBody{Fault_: explained(fault)}
		}
	}
	var fault types.BaseMethodFault
	ctx.WithLock(object, func() { fault = updatePool(ctx, object, pool, req) })
	if fault != nil {
		return &methods.UpdateConfigBody{Fault_: explained(fault)}
	}
	return &methods.UpdateConfigBody{Res: new(types.UpdateConfigResponse)}
}

func updatePool(
	ctx *simulator.Context, object mo.Reference, pool *mo.ResourcePool, req *types.UpdateConfig,
) types.BaseMethodFault {
	config := pool.Config
	if req.Config != nil {
		config.CpuAllocation = cpuShares.merged(config.CpuAllocation, req.Config.CpuAllocation)
		config.MemoryAllocation = memoryShares.merged(config.MemoryAllocation, req.Config.MemoryAllocation)
		now := time.Now()
		config.LastModified, config.ChangeVersion = &now, strconv.FormatInt(now.UnixNano(), 10)
	}
	fault := first(
		checkAllocation("spec.cpuAllocation", &config.CpuAllocation), checkAllocation("spec.memoryAllocation", &config.MemoryAllocation),
	)
	if fault != nil {
		return fault
	}
	changes := []types.PropertyChange{{Name: "config", Val: config}}
	if req.Name != "" {
		changes = append(changes, types.PropertyChange{Name: "name", Val: req.Name})
	}
	ctx.Update(object, changes)
	mendPool(object)
	return nil
}

func (s shares) merged(before, wanted types.ResourceAllocationInfo) types.ResourceAllocationInfo {
	if wanted.Reservation != nil {
		before.Reservation = wanted.Reservation
	}
	if wanted.ExpandableReservation != nil {
		before.ExpandableReservation = wanted.ExpandableReservation
	}
	if wanted.Limit != nil {
		before.Limit = wanted.Limit
	}
	if wanted.Shares != nil {
		before.Shares = wanted.Shares
		s.fillIn(&before)
	}
	return before
}

// MoveIntoResourcePool moves VMs into a pool or vApp of the same compute resource, all of them or none.
func (m *machines) MoveIntoResourcePool(ctx *simulator.Context, req *types.MoveIntoResourcePool) soap.HasFault {
	into := poolOf(m.registry.Get(req.This))
	var list []*simulator.VirtualMachine
	for _, ref := range req.List {
		vm, ok := m.registry.Get(ref).(*simulator.VirtualMachine)
		if !ok || vm.ResourcePool == nil { // pools can be moved in a real one
			return &methods.MoveIntoResourcePoolBody{Fault_: explained(new(types.NotSupported))}
		}
		if from := poolOf(m.registry.Get(*vm.ResourcePool)); from == nil || from.Owner != into.Owner {
			return &methods.MoveIntoResourcePoolBody{Fault_: explained(&types.InvalidArgument{InvalidProperty: "list"})}
		}
		list = append(list, vm)
	}
	for _, vm := range list {
		m.moveToPool(ctx, vm, into)
	}
	return &methods.MoveIntoResourcePoolBody{Res: new(types.MoveIntoResourcePoolResponse)}
}

func (m *machines) moveToPool(ctx *simulator.Context, vm *simulator.VirtualMachine, into *mo.ResourcePool) {
	if from := poolOf(m.registry.Get(*vm.ResourcePool)); from != nil {
		ctx.WithLock(from.Self, func() { simulator.RemoveReference(&from.Vm, vm.Self) })
	}
	ctx.WithLock(into.Self, func() { into.Vm = append(into.Vm, vm.Self) })
	var app types.AnyType
	if into.Self.Type == "VirtualApp" {
		app = into.Self
	}
	ctx.WithLock(vm, func() {
		ctx.Update(vm, []types.PropertyChange{
			{Name: "resourcePool", Val: into.Self}, {Name: "parentVApp", Val: app},
		})
	})
}

// destroyPool takes a pool away: what is in it goes to where it was.
func (m *machines) destroyPool(ctx *simulator.Context, pool *simulator.ResourcePool) types.BaseMethodFault {
	if strings.HasSuffix(pool.Parent.Type, "ComputeResource") {
		return new(types.InvalidArgument)
	}
	parentRef := *pool.Parent
	parent := poolOf(m.registry.Get(parentRef))
	if parent == nil {
		return &types.ManagedObjectNotFound{Obj: parentRef}
	}
	for _, ref := range pool.ResourcePool.ResourcePool {
		if child := poolOf(m.registry.Get(ref)); child != nil {
			ctx.WithLock(ref, func() { child.Parent = &parentRef })
		}
	}
	for _, ref := range pool.Vm {
		if vm, ok := m.registry.Get(ref).(*simulator.VirtualMachine); ok {
			ctx.WithLock(vm, func() {
				ctx.Update(vm, []types.PropertyChange{{Name: "resourcePool", Val: parentRef}})
			})
		}
	}
	ctx.WithLock(parentRef, func() {
		simulator.RemoveReference(&parent.ResourcePool, pool.Self)
		parent.ResourcePool = append(parent.ResourcePool, pool.ResourcePool.ResourcePool...)
		parent.Vm = append(parent.Vm, pool.Vm...)
	})
	m.registry.Remove(ctx, pool.Self)
	return nil
}
