package main

import (
	"bytes"
	"maps"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// unlocked is in objects of which many calls may be at work at once: they lock what they work on.
type unlocked struct{}

func (unlocked) Lock()   {}
func (unlocked) Unlock() {}

// machines do what the simulator lacks, or does by halves, on VMs, vApps, pools and folders. Calls are sent here by
// rules.redirect, under the methods' own names.
type machines struct {
	mo.SearchIndex
	unlocked
	registry *simulator.Registry
	files    *configFiles
	rules    *rules
}

var machinesReference = types.ManagedObjectReference{Type: "LabRules", Value: "machines"}

// ended waits for a task of the simulator's that is a part of one of ours.
func ended(ctx *simulator.Context, ref types.ManagedObjectReference) (types.AnyType, types.BaseMethodFault) {
	task, ok := ctx.Map.Get(ref).(*simulator.Task)
	if !ok {
		return nil, &types.ManagedObjectNotFound{Obj: ref}
	}
	task.Wait()
	if task.Info.Error != nil {
		return nil, task.Info.Error.Fault.(types.BaseMethodFault)
	}
	return task.Info.Result, nil
}

// CreateVMTask makes a VM with a secret setting.
func (m *machines) CreateVMTask(ctx *simulator.Context, req *types.CreateVM_Task) soap.HasFault {
	folder := m.registry.Get(req.This).(*simulator.Folder)
	task := simulator.CreateTask(folder, "createVm", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		return m.create(ctx, folder, req)
	})
	return &methods.CreateVM_TaskBody{Res: &types.CreateVM_TaskResponse{Returnval: task.Run(ctx)}}
}

// CreateChildVMTask is CreateVMTask in a vApp.
func (m *machines) CreateChildVMTask(ctx *simulator.Context, req *types.CreateChildVM_Task) soap.HasFault {
	folder := m.registry.Get(m.rules.folderOf(req.This)).(*simulator.Folder)
	wanted := &types.CreateVM_Task{This: folder.Self, Config: req.Config, Pool: req.This, Host: req.Host}
	task := simulator.CreateTask(folder, "createVm", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		return m.create(ctx, folder, wanted)
	})
	return &methods.CreateChildVM_TaskBody{Res: &types.CreateChildVM_TaskResponse{Returnval: task.Run(ctx)}}
}

func (m *machines) create(
	ctx *simulator.Context, folder *simulator.Folder, req *types.CreateVM_Task,
) (types.AnyType, types.BaseMethodFault) {
	secret, _ := takeSecret(&req.Config)
	body := folder.CreateVMTask(ctx, req).(*methods.CreateVM_TaskBody)
	made, fault := ended(ctx, body.Res.Returnval)
	if fault != nil {
		return nil, fault
	}
	if vm, ok := m.registry.Get(made.(types.ManagedObjectReference)).(*simulator.VirtualMachine); ok {
		ctx.WithLock(vm, func() {
			m.files.setSecret(vm.Self, secret)
			m.files.write(&vm.VirtualMachine)
		})
	}
	return made, nil
}

// ReconfigVMTask changes a VM's secret setting, with others.
func (m *machines) ReconfigVMTask(ctx *simulator.Context, req *types.ReconfigVM_Task) soap.HasFault {
	vm := m.registry.Get(req.This).(*simulator.VirtualMachine)
	task := simulator.CreateTask(vm, "reconfigVm", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		secret, _ := takeSecret(&req.Spec)
		body := vm.ReconfigVMTask(ctx, req).(*methods.ReconfigVM_TaskBody)
		if _, fault := ended(ctx, body.Res.Returnval); fault != nil {
			return nil, fault
		}
		m.files.setSecret(vm.Self, secret)
		m.files.write(&vm.VirtualMachine)
		return nil, nil
	})
	return &methods.ReconfigVM_TaskBody{Res: &types.ReconfigVM_TaskResponse{Returnval: task.Run(ctx)}}
}

// takeSecret takes the secret setting out of a VM's new ones.
func takeSecret(spec *types.VirtualMachineConfigSpec) (secret string, there bool) {
	spec.ExtraConfig = slices.DeleteFunc(spec.ExtraConfig, func(option types.BaseOptionValue) bool {
		if !isSecret(option) {
			return false
		}
		secret, _ = option.GetOptionValue().Value.(string)
		there = true
		return true
	})
	return secret, there
}

func hasSecret(spec *types.VirtualMachineConfigSpec) bool {
	return slices.ContainsFunc(spec.ExtraConfig, isSecret)
}

func isSecret(option types.BaseOptionValue) bool { return option.GetOptionValue().Key == secretKey }

// copyOf is a copy that shares nothing with its original.
func copyOf[T any](original T) (T, error) {
	var text bytes.Buffer
	var made T
	if err := types.NewJSONEncoder(&text).Encode(original); err != nil {
		return made, err
	}
	return made, decode(text.Bytes(), &made)
}

func sorted[V any](values map[string]V) []string { return slices.Sorted(maps.Keys(values)) }
