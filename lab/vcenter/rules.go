package main

import (
	"reflect"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// rules stand in front of every call: they refuse what a real vCenter refuses. It is an object of the registry itself,
// because a call that is refused is sent to it, so that the answer can be a task that fails, with a sentence.
type rules struct {
	mo.SearchIndex
	registry *simulator.Registry
	journal  *journal
	accounts accounts
	full     fullDatastores
	disabled *disabledMethods
}

var rulesReference = types.ManagedObjectReference{Type: "LabRules", Value: "rules"}

// installRules puts the rules in front of a site. What it gives back answers for the datastores' files.
func installRules(model *simulator.Model, kept *journal, known accounts) *files {
	registry := model.Map()
	r := &rules{registry: registry, journal: kept, accounts: known, disabled: kept.disabled}
	r.Self = rulesReference
	registry.Put(r)
	mendPropertyCollector(registry)
	mendAuthorization(r)
	registry.AddHandler(&mender{registry: registry, logs: addDiagnostics(registry)})
	vmx := newConfigFiles(registry)
	registry.AddHandler(vmx)
	own := &machines{registry: registry, files: vmx, rules: r}
	own.Self = machinesReference
	registry.Put(own)
	for _, kind := range []string{"ResourcePool", "VirtualApp"} {
		for _, entity := range registry.All(kind) {
			mendPool(entity)
		}
	}
	for _, entity := range registry.All("VirtualMachine") {
		inheritSwapPlacement(entity)
		giveBrowser(registry, entity.(*simulator.VirtualMachine))
	}
	registry.Handler = r.before
	return addFiles(r)
}

// before sees each call first. A nil object leaves the choice of the object to the simulator.
func (r *rules) before(ctx *simulator.Context, method *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	switch method.Name {
	case "LoginByToken", "LoginExtensionByCertificate": // the simulator lets anyone in who has any token or certificate
		return nil, new(types.InvalidLogin)
	}
	r.recast(method)
	if own, ok := r.registry.Get(method.This).(*browser); ok && method.Name != "QueryConfigOption" {
		method.This = own.host.Self // the host's knows the rest
	}
	if ctx.Session != nil {
		if fault := r.checkPrivileges(ctx, method); fault != nil {
			r.refuse(method, &refusal{name: method.Name, on: method.This, fault: fault})
			return nil, nil
		}
	}
	if !readOnly[method.Name] {
		r.journal.note(!ofOneHost[method.This.Type] && !r.isAdvanced(method.This))
	}
	if fault := r.checkDisabled(method.This, method.Name); fault != nil {
		r.refuse(method, &refusal{name: method.Name, on: method.This, fault: fault})
		return nil, nil
	}
	if fault := r.check(method.This, method.Body); fault != nil {
		r.refuse(method, &refusal{name: method.Name, on: method.This, body: method.Body, fault: fault})
		return nil, nil
	}
	r.redirect(method)
	return nil, nil
}

// refuse sends a call to where it is refused.
func (r *rules) refuse(method *simulator.Method, how *refusal) {
	method.Body, method.Name, method.This = how, "Refuse", r.Self
}

// readOnly are the calls that change nothing; every other one may, so the journal looks after it.
var readOnly = map[string]bool{
	"RetrieveProperties": true, "RetrievePropertiesEx": true, "ContinueRetrievePropertiesEx": true, "Fetch": true,
	"RetrieveServiceContent": true, "WaitForUpdates": true, "WaitForUpdatesEx": true, "CheckForUpdates": true,
	"CancelWaitForUpdates": true, "CreateFilter": true, "DestroyPropertyFilter": true,
	"CreatePropertyCollector": true, "DestroyPropertyCollector": true,
	"CreateContainerView": true, "CreateListView": true, "CreateInventoryView": true, "DestroyView": true,
	"ModifyListView": true, "Login": true, "Logout": true, "SessionIsActive": true, "TerminateSession": true,
	"FindByUuid": true, "FindAllByUuid": true, "FindByInventoryPath": true, "FindByDatastorePath": true,
	"FindByDnsName": true, "FindByIp": true, "FindChild": true, "CurrentTime": true, "QueryOptions": true,
	"HasPrivilegeOnEntity": true, "HasPrivilegeOnEntities": true, "HasUserPrivilegeOnEntities": true,
	"FetchUserPrivilegeOnEntities": true,
}

// ofOneHost are the kinds of objects whose methods change one host's own settings and nothing else.
var ofOneHost = map[string]bool{"HostFirewallSystem": true, "HostServiceSystem": true}

// isAdvanced says whether an object is a host's advanced options; vCenter's own settings are of the same type.
func (r *rules) isAdvanced(ref types.ManagedObjectReference) bool {
	_, ok := r.registry.Get(ref).(*advanced)
	return ok
}

// check says why a real vCenter would refuse a call; nil if it would not.
func (r *rules) check(on types.ManagedObjectReference, body any) types.BaseMethodFault {
	switch call := body.(type) {
	case *types.CreateVM_Task:
		return first(r.checkName(on, call.Config.Name), r.checkNewMachine(&call.Config))
	case *types.CreateChildVM_Task:
		return first(r.checkName(r.folderOf(on), call.Config.Name), r.checkNewMachine(&call.Config))
	case *types.RegisterVM_Task:
		return r.checkName(on, registeredName(call))
	case *types.CloneVM_Task:
		return first(r.checkName(call.Folder, call.Name), r.checkSpaceOf(on))
	case *types.ReconfigureComputeResource_Task:
		return r.checkGroups(call.Spec)
	case *types.CreateVirtualDisk_Task:
		return r.checkSpaceFor(call.Name)
	case *types.Rename_Task:
		return r.checkNewName(on, call.NewName)
	case *types.MoveIntoFolder_Task:
		return r.checkMoved(on, call.List)
	case *types.ReconfigVM_Task:
		return first(
			r.checkNewName(on, call.Spec.Name), r.checkVersion(on, &call.Spec), r.checkImages(call.Spec.DeviceChange, r.ownFolder(on)),
			r.checkNetworks(on, call.Spec.DeviceChange), r.checkSpaceForDisks(on, call.Spec.DeviceChange),
		)
	case *types.PowerOnVM_Task:
		return first(r.checkSpaceOf(on), r.checkImagesOf(on))
	case *types.ShutdownGuest, *types.RebootGuest, *types.StandbyGuest:
		return r.checkTools(on)
	case *types.AddHost_Task:
		return r.checkJoin(on, call.Spec.HostName)
	case *types.AddStandaloneHost_Task:
		return r.checkJoin(on, call.Spec.HostName)
	case *types.DisconnectHost_Task:
		return r.checkHostState(on, connected)
	case *types.ReconnectHost_Task:
		return r.checkHostState(on, disconnected)
	case *types.EnterMaintenanceMode_Task:
		return r.checkHostState(on, inUse)
	case *types.ExitMaintenanceMode_Task:
		return r.checkHostState(on, inMaintenance)
	}
	return nil
}

func first(faults ...types.BaseMethodFault) types.BaseMethodFault {
	for _, fault := range faults {
		if fault != nil {
			return fault
		}
	}
	return nil
}

// refusal is a call that a rule refuses; without a body it is refused at once, whether it has a task or not.
type refusal struct {
	name  string
	on    types.ManagedObjectReference
	body  any
	fault types.BaseMethodFault
}

// Refuse answers as a vCenter does: with a task that fails where the method has a task, else with a fault.
func (r *rules) Refuse(ctx *simulator.Context, refused *refusal) soap.HasFault {
	name := strings.TrimSuffix(refused.name, "_Task")
	name = strings.ToLower(name[:1]) + name[1:]
	task := simulator.CreateTask(refused.on, name, func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		return nil, refused.fault
	})
	switch refused.body.(type) {
	case *types.CreateVM_Task:
		return &methods.CreateVM_TaskBody{Res: &types.CreateVM_TaskResponse{Returnval: task.Run(ctx)}}
	case *types.CreateChildVM_Task:
		return &methods.CreateChildVM_TaskBody{Res: &types.CreateChildVM_TaskResponse{Returnval: task.Run(ctx)}}
	case *types.RegisterVM_Task:
		return &methods.RegisterVM_TaskBody{Res: &types.RegisterVM_TaskResponse{Returnval: task.Run(ctx)}}
	case *types.CloneVM_Task:
		return &methods.CloneVM_TaskBody{Res: &types.CloneVM_TaskResponse{Returnval: task.Run(ctx)}}
	case *types.ReconfigureComputeResource_Task:
		return &methods.ReconfigureComputeResource_TaskBody{Res: &types.ReconfigureComputeResource_TaskResponse{Returnval: task.Run(ctx)}}
	case *types.CreateVirtualDisk_Task:
		return &methods.CreateVirtualDisk_TaskBody{Res: &types.CreateVirtualDisk_TaskResponse{Returnval: task.Run(ctx)}}
	case *types.Rename_Task:
		return &methods.Rename_TaskBody{Res: &types.Rename_TaskResponse{Returnval: task.Run(ctx)}}
	case *types.MoveIntoFolder_Task:
		return &methods.MoveIntoFolder_TaskBody{Res: &types.MoveIntoFolder_TaskResponse{Returnval: task.Run(ctx)}}
	case *types.ReconfigVM_Task:
		return &methods.ReconfigVM_TaskBody{Res: &types.ReconfigVM_TaskResponse{Returnval: task.Run(ctx)}}
	case *types.PowerOnVM_Task:
		return &methods.PowerOnVM_TaskBody{Res: &types.PowerOnVM_TaskResponse{Returnval: task.Run(ctx)}}
	case *types.AddHost_Task:
		return &methods.AddHost_TaskBody{Res: &types.AddHost_TaskResponse{Returnval: task.Run(ctx)}}
	case *types.AddStandaloneHost_Task:
		return &methods.AddStandaloneHost_TaskBody{Res: &types.AddStandaloneHost_TaskResponse{Returnval: task.Run(ctx)}}
	case *types.DisconnectHost_Task:
		return &methods.DisconnectHost_TaskBody{Res: &types.DisconnectHost_TaskResponse{Returnval: task.Run(ctx)}}
	case *types.ReconnectHost_Task:
		return &methods.ReconnectHost_TaskBody{Res: &types.ReconnectHost_TaskResponse{Returnval: task.Run(ctx)}}
	case *types.EnterMaintenanceMode_Task:
		return &methods.EnterMaintenanceMode_TaskBody{Res: &types.EnterMaintenanceMode_TaskResponse{Returnval: task.Run(ctx)}}
	case *types.ExitMaintenanceMode_Task:
		return &methods.ExitMaintenanceMode_TaskBody{Res: &types.ExitMaintenanceMode_TaskResponse{Returnval: task.Run(ctx)}}
	}
	return &methods.RefreshFirewallBody{Fault_: explained(refused.fault)}
}

// recast finds what a call names by a type that it derives from, as ComputeResource:domain-c1 for a cluster: a real
// vCenter knows that a cluster is one. What it is not, as a pool is no VirtualApp, stays unknown: clients ask for that.
func (r *rules) recast(method *simulator.Method) {
	one := &recasting{registry: r.registry}
	ownKinds(method.Body)
	one.reference(&method.This)
	one.all(reflect.ValueOf(method.Body))
}

// recasting is that of one call. It looks through the whole inventory once, and only if the call names something that
// isn't there under its type.
type recasting struct {
	registry *simulator.Registry
	byValue  map[string][]mo.Entity
}

func (c *recasting) all(value reflect.Value) {
	switch value.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !value.IsNil() {
			c.all(value.Elem())
		}
	case reflect.Slice:
		if value.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range value.Len() {
			c.all(value.Index(i))
		}
	case reflect.Struct:
		if value.CanAddr() {
			if ref, ok := value.Addr().Interface().(*types.ManagedObjectReference); ok {
				c.reference(ref)
				return
			}
		}
		for i := range value.NumField() {
			if value.Type().Field(i).IsExported() {
				c.all(value.Field(i))
			}
		}
	}
}

func (c *recasting) reference(ref *types.ManagedObjectReference) {
	// A session's own objects are kept elsewhere, under values like this.
	ref.Type = ownKind(ref.Type)
	if ref.Value == "" || strings.HasPrefix(ref.Value, "session[") || c.registry.Get(*ref) != nil {
		return
	}
	if c.byValue == nil {
		c.byValue = map[string][]mo.Entity{}
		for _, entity := range c.registry.All("") {
			value := entity.Reference().Value
			c.byValue[value] = append(c.byValue[value], entity)
		}
	}
	for _, entity := range c.byValue[ref.Value] {
		if derives(reflect.TypeOf(entity), ref.Type) {
			ref.Type = entity.Reference().Type
			return
		}
	}
}

// derives says whether one of the types that a type embeds has the given name.
func derives(one reflect.Type, name string) bool {
	if one.Kind() == reflect.Pointer {
		one = one.Elem()
	}
	if one.Kind() != reflect.Struct {
		return false
	}
	for i := range one.NumField() {
		if field := one.Field(i); field.Anonymous && (field.Name == name || derives(field.Type, name)) {
			return true
		}
	}
	return false
}

// mender mends objects as they are made.
type mender struct {
	mo.SearchIndex
	registry *simulator.Registry
	logs     *diagnostics
}

func (*mender) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "LabRules", Value: "mender"}
}

func (m *mender) PutObject(_ *simulator.Context, object mo.Reference) {
	switch one := object.(type) {
	case *simulator.VirtualMachine:
		inheritSwapPlacement(one)
	case *simulator.HostSystem:
		furnish(m.registry, one, newest)
	case *simulator.ResourcePool, *simulator.VirtualApp:
		mendPool(one)
	case *simulator.DynamicTypeManager:
		m.registry.Put(&dynamicTypes{mo.SearchIndex{Self: one.Reference()}, one})
	case *simulator.ManagedMethodExecuter:
		m.registry.Put(&methodExecuter{mo.SearchIndex{Self: one.Reference()}, one})
	}
}

// UpdateObject mends what a task that ends leaves behind, and what a VM says of itself when its power changes.
func (m *mender) UpdateObject(ctx *simulator.Context, object mo.Reference, changes []types.PropertyChange) {
	if vm, ok := object.(*mo.VirtualMachine); ok {
		powerChanged(ctx, vm, changes)
	}
	task, ok := object.(*mo.Task)
	if !ok {
		return
	}
	m.logs.note(task)
	switch task.Info.State {
	case types.TaskInfoStateSuccess:
		m.finish(ctx, task.Info.Result)
	case types.TaskInfoStateError:
		say(task.Info.Error)
	}
}

// finish gives what a task has made what it gets last: the simulator sets a VM's browser at the very end, and a host
// stands in its cluster then.
func (m *mender) finish(ctx *simulator.Context, result types.AnyType) {
	ref, ok := result.(types.ManagedObjectReference)
	if !ok {
		return
	}
	switch made := m.registry.Get(ref).(type) {
	case *simulator.VirtualMachine:
		ctx.WithLock(made, func() {
			giveBrowser(m.registry, made)
			joinApp(ctx, m.registry, made)
		})
	case *simulator.DistributedVirtualSwitch:
		leaveNetworks(ctx, m.registry, made)
	case *simulator.HostSystem:
		mountAll(ctx, m.registry, made)
	}
}

// say gives a task's error its sentence; the simulator puts the name of a Go type there.
func say(failed *types.LocalizedMethodFault) {
	if failed == nil {
		return
	}
	if fault, ok := failed.Fault.(types.BaseMethodFault); ok {
		if text := sentence(fault); text != "" {
			failed.LocalizedMessage = text
		}
	}
}

func (m *mender) RemoveObject(ctx *simulator.Context, ref types.ManagedObjectReference) {
	if ref.Type == "VirtualMachine" {
		m.registry.Remove(ctx, browserOf(ref))
		leaveGroups(ctx, m.registry, ref)
	}
}
