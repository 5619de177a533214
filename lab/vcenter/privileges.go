package main

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	systemAnonymous = "System.Anonymous"
	systemRead      = "System.Read"
	systemView      = "System.View"
)

// privilegeOf is the privilege of each method that methodPrivileges lists.
var privilegeOf = byMethod(methodPrivileges)

func byMethod(byPrivilege map[string]string) map[string]string {
	found := map[string]string{}
	for privilege, names := range byPrivilege {
		for _, name := range strings.Fields(names) {
			found[name] = privilege
		}
	}
	return found
}

// may says whether an account holds a privilege. Each role that someone makes has the three of System, which vCenter
// adds by itself (vSphere API reference: AddAuthorizationRole); without any, only what is for everyone is left.
func (a account) may(privilege string) bool {
	set, all := a.privileges()
	if all || set[privilege] || privilege == systemAnonymous {
		return true
	}
	return len(set) > 0 && (privilege == systemRead || privilege == systemView)
}

// who is the account of a call; the site's own one where a call comes from inside.
func (r *rules) who(ctx *simulator.Context) account {
	if ctx.Session != nil {
		if found := r.accounts.find(ctx.Session.UserName); found != nil {
			return *found
		}
	}
	return account{Role: role{all: true}}
}

// checkPrivileges says which privileges the caller lacks; they are asked for before anything else.
func (r *rules) checkPrivileges(ctx *simulator.Context, method *simulator.Method) types.BaseMethodFault {
	caller := r.who(ctx)
	if _, all := caller.privileges(); all {
		return nil
	}
	on, inInventory := r.entityOf(method.This)
	for _, needed := range r.neededFor(method) {
		if strings.HasPrefix(needed, "System.") && !inInventory {
			continue // one of vCenter's own managers, which anyone who is logged in sees
		}
		if !caller.may(needed) {
			return noPermission(on, needed)
		}
	}
	if strings.HasPrefix(method.Name, "Find") && !caller.may(systemView) {
		return noPermission(on, systemView)
	}
	return r.checkSeen(caller, method.Body)
}

// checkSeen refuses to look from an object, or to wait for one, that the caller doesn't see.
func (r *rules) checkSeen(caller account, body any) types.BaseMethodFault {
	if caller.may(systemView) {
		return nil
	}
	var seen []types.ManagedObjectReference
	switch call := body.(type) {
	case *types.CreateContainerView:
		seen = append(seen, call.Container)
	case *types.CreateListView:
		seen = call.Obj
	case *types.CreateInventoryView:
		on, _ := r.entityOf(types.ManagedObjectReference{})
		seen = append(seen, on)
	case *types.CreateFilter:
		for _, one := range call.Spec.ObjectSet {
			seen = append(seen, one.Obj)
		}
	}
	for _, ref := range seen {
		if on, inInventory := r.entityOf(ref); inInventory {
			return noPermission(on, systemView)
		}
	}
	return nil
}

// hide takes out of an answer what the caller doesn't see: of an object that was asked for by name, each property is
// missing, and one that was found on the way isn't there.
func (r *rules) hide(found []types.ObjectContent, asked []types.PropertyFilterSpec) []types.ObjectContent {
	var shown []types.ObjectContent
	for _, one := range found {
		on, inInventory := r.entityOf(one.Obj)
		if !inInventory {
			shown = append(shown, one)
			continue
		}
		if asksFor(asked, one.Obj) {
			for _, property := range one.PropSet {
				one.MissingSet = append(one.MissingSet, types.MissingProperty{
					Path: property.Name,
					Fault: types.LocalizedMethodFault{
						Fault:            noPermission(on, systemRead),
						LocalizedMessage: sentence(new(types.NoPermission)),
					},
				})
			}
			one.PropSet = nil
			shown = append(shown, one)
		}
	}
	return shown
}

func asksFor(asked []types.PropertyFilterSpec, ref types.ManagedObjectReference) bool {
	return slices.ContainsFunc(asked, func(spec types.PropertyFilterSpec) bool {
		return slices.ContainsFunc(spec.ObjectSet, func(one types.ObjectSpec) bool { return one.Obj == ref })
	})
}

// noPermission is the fault as vSphere 7.0 U3 and later fill it; for older clients, see known.
func noPermission(on types.ManagedObjectReference, privilege string) *types.NoPermission {
	return &types.NoPermission{
		Object:            &on,
		PrivilegeId:       privilege,
		MissingPrivileges: []types.NoPermissionEntityPrivileges{{Entity: on, PrivilegeIds: []string{privilege}}},
	}
}

var (
	missingPrivileges      = regexp.MustCompile(`(?s)<missingPrivileges>.*?</missingPrivileges>`)
	missingPrivilegesSince = []int{7, 0, 3, 2}
)

// known leaves out of an answer what the client's version of the API doesn't have, as a real server does: a client that
// names an older version, or none, in its SOAPAction may not be able to read the rest.
func known(action string, answer []byte) []byte {
	if !bytes.Contains(answer, []byte("<missingPrivileges>")) || slices.Compare(versionOf(action), missingPrivilegesSince) >= 0 {
		return answer
	}
	return missingPrivileges.ReplaceAll(answer, nil)
}

// versionOf is the version in a SOAPAction like "urn:vim25/8.0.2.0".
func versionOf(action string) []int {
	_, text, _ := strings.Cut(strings.Trim(action, `"`), "/")
	var version []int
	for _, part := range strings.Split(text, ".") {
		value, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		version = append(version, value)
	}
	return version
}

// entityOf is the object of the inventory on which privileges are looked up for a call, and whether the call is about
// one: a part of a host stands for the host, and all else for the root folder.
func (r *rules) entityOf(ref types.ManagedObjectReference) (types.ManagedObjectReference, bool) {
	if _, ok := r.registry.Get(ref).(mo.Entity); ok {
		return ref, true
	}
	switch one := r.registry.Get(ref).(type) {
	case *firewall:
		return one.host.Self, true
	case *services:
		return one.host.Self, true
	case *advanced:
		return one.host.Self, true
	case *simulator.VirtualMachineSnapshot:
		return one.Vm, true
	case *browser:
		return one.machine.Self, true
	case nil:
	default:
		for _, entity := range r.registry.All("HostSystem") {
			if host, ok := entity.(*simulator.HostSystem); ok && manages(host, ref) {
				return host.Self, true
			}
		}
	}
	return r.registry.Get(vim25.ServiceInstance).(*simulator.ServiceInstance).Content.RootFolder, false
}

// neededFor are the privileges that a method needs on its object.
func (r *rules) neededFor(method *simulator.Method) []string {
	switch call := method.Body.(type) {
	case *types.UpdateOptions:
		if r.isAdvanced(method.This) {
			return []string{"Host.Config.AdvancedConfig"}
		}
		return []string{"Global.Settings"}
	case *DisableMethods:
		return []string{"Global.DisableMethods"}
	case *EnableMethods:
		return []string{"Global.EnableMethods"}
	case *types.ReconfigVM_Task:
		return reconfiguring(&call.Spec)
	case *types.Destroy_Task:
		return []string{destroying[method.This.Type]}
	case *types.Rename_Task:
		return []string{renaming[method.This.Type]}
	case *types.MoveIntoFolder_Task:
		var needed []string
		for _, ref := range call.List {
			needed = append(needed, moving[ref.Type])
		}
		return needed
	}
	switch needed, known := privilegeOf[method.Name]; {
	case known:
		return []string{needed}
	case method.Name == "Fetch":
		return []string{systemAnonymous} // what it reads is looked at one by one
	}
	return []string{systemView}
}

var destroying = map[string]string{
	"VirtualMachine": "VirtualMachine.Inventory.Delete", "HostSystem": "Host.Inventory.RemoveHostFromCluster",
	"ComputeResource": "Host.Inventory.RemoveHostFromCluster", "ClusterComputeResource": "Host.Inventory.DeleteCluster",
	"Folder": "Folder.Delete", "Datacenter": "Datacenter.Delete", "ResourcePool": "Resource.DeletePool",
	"VirtualApp": "VApp.Delete", "Datastore": "Datastore.Delete", "StoragePod": "Folder.Delete", "Network": "Network.Delete",
	"DistributedVirtualSwitch": "DVSwitch.Delete", "DistributedVirtualPortgroup": "DVPortgroup.Delete",
}

var renaming = map[string]string{
	"VirtualMachine": "VirtualMachine.Config.Rename", "ClusterComputeResource": "Host.Inventory.RenameCluster",
	"ComputeResource": "Host.Inventory.RenameCluster", "Folder": "Folder.Rename", "Datacenter": "Datacenter.Rename",
	"ResourcePool": "Resource.RenamePool", "VirtualApp": "VApp.Rename", "Datastore": "Datastore.Rename",
	"StoragePod": "Folder.Rename", "Network": "Network.Config", "DistributedVirtualSwitch": "DVSwitch.Modify",
	"DistributedVirtualPortgroup": "DVPortgroup.Modify",
}

var moving = map[string]string{
	"VirtualMachine": "VirtualMachine.Inventory.Move", "VirtualApp": "VApp.Move", "Folder": "Folder.Move",
	"Datacenter": "Datacenter.Move", "ClusterComputeResource": "Host.Inventory.MoveCluster",
	"ComputeResource": "Host.Inventory.MoveHost", "Datastore": "Datastore.Move", "Network": "Network.Move",
	"DistributedVirtualSwitch": "DVSwitch.Move", "DistributedVirtualPortgroup": "Network.Move",
}

// reconfiguring are the privileges for what a VM's new settings name (vSphere API reference: ReconfigVM_Task).
func reconfiguring(spec *types.VirtualMachineConfigSpec) []string {
	var needed []string
	for _, one := range []struct {
		wanted    bool
		privilege string
	}{
		{spec.Name != "", "Rename"},
		{spec.NumCPUs != 0, "CPUCount"},
		{spec.MemoryMB != 0, "Memory"},
		{spec.CpuAllocation != nil || spec.MemoryAllocation != nil, "Resource"},
		{spec.ExtraConfig != nil, "AdvancedConfig"},
		{spec.Annotation != "", "Annotation"},
		{spec.Files != nil || spec.GuestId != "" || spec.Flags != nil || spec.BootOptions != nil || spec.Tools != nil, "Settings"},
	} {
		if one.wanted {
			needed = append(needed, "VirtualMachine.Config."+one.privilege)
		}
	}
	for _, change := range spec.DeviceChange {
		if privilege := changing(change.GetVirtualDeviceConfigSpec()); !slices.Contains(needed, privilege) {
			needed = append(needed, privilege)
		}
	}
	if needed == nil {
		return []string{"VirtualMachine.Config.Settings"}
	}
	return needed
}

func changing(change *types.VirtualDeviceConfigSpec) string {
	_, disk := change.Device.(*types.VirtualDisk)
	switch {
	case change.Operation == types.VirtualDeviceConfigSpecOperationEdit:
		return "VirtualMachine.Config.EditDevice"
	case disk && change.Operation == types.VirtualDeviceConfigSpecOperationAdd:
		return "VirtualMachine.Config.AddNewDisk"
	case disk:
		return "VirtualMachine.Config.RemoveDisk"
	}
	return "VirtualMachine.Config.AddRemoveDevice"
}

// authorization tells the truth about what someone may do; the simulator grants everything to everyone.
type authorization struct {
	*simulator.AuthorizationManager
	rules *rules
}

func mendAuthorization(r *rules) {
	for _, old := range r.registry.AllReference("AuthorizationManager") {
		if plain, ok := old.(*simulator.AuthorizationManager); ok {
			r.registry.Put(&authorization{plain, r})
		}
	}
}

func (a *authorization) HasPrivilegeOnEntity(ctx *simulator.Context, req *types.HasPrivilegeOnEntity) soap.HasFault {
	caller := a.rules.who(ctx)
	granted := make([]bool, len(req.PrivId))
	for i, privilege := range req.PrivId {
		granted[i] = caller.may(privilege)
	}
	return &hasPrivilegeBody{Res: &HasPrivilegeOnEntityResponse{Returnval: granted}}
}

// HasPrivilegeOnEntityResponse is the answer with its noes, which govmomi's type leaves out. Its name is the element's.
type HasPrivilegeOnEntityResponse struct {
	Returnval []bool `xml:"returnval"`
}

type hasPrivilegeBody struct {
	Res *HasPrivilegeOnEntityResponse `xml:"urn:vim25 HasPrivilegeOnEntityResponse,omitempty"`
}

func (*hasPrivilegeBody) Fault() *soap.Fault { return nil }

func (a *authorization) HasPrivilegeOnEntities(ctx *simulator.Context, req *types.HasPrivilegeOnEntities) soap.HasFault {
	granted := grantedOn(a.rules.who(ctx), req.Entity, req.PrivId)
	return &methods.HasPrivilegeOnEntitiesBody{Res: &types.HasPrivilegeOnEntitiesResponse{Returnval: granted}}
}

func (a *authorization) HasUserPrivilegeOnEntities(req *types.HasUserPrivilegeOnEntities) soap.HasFault {
	granted := grantedOn(a.account(req.UserName), req.Entities, req.PrivId)
	return &methods.HasUserPrivilegeOnEntitiesBody{Res: &types.HasUserPrivilegeOnEntitiesResponse{Returnval: granted}}
}

func (a *authorization) FetchUserPrivilegeOnEntities(req *types.FetchUserPrivilegeOnEntities) soap.HasFault {
	answer := a.AuthorizationManager.FetchUserPrivilegeOnEntities(req)
	body, ok := answer.(*methods.FetchUserPrivilegeOnEntitiesBody)
	if !ok || body.Res == nil {
		return answer
	}
	user := a.account(req.UserName)
	for i, one := range body.Res.Returnval {
		held := slices.DeleteFunc(slices.Clone(one.Privileges), func(privilege string) bool { return !user.may(privilege) })
		body.Res.Returnval[i].Privileges = held
	}
	return answer
}

// account is a user's; one that isn't known may do nothing.
func (a *authorization) account(user string) account {
	if found := a.rules.accounts.find(user); found != nil {
		return *found
	}
	return account{}
}

func grantedOn(who account, entities []types.ManagedObjectReference, privileges []string) []types.EntityPrivilege {
	var granted []types.EntityPrivilege
	for _, entity := range entities {
		one := types.EntityPrivilege{Entity: entity}
		for _, privilege := range privileges {
			one.PrivAvailability = append(one.PrivAvailability, types.PrivilegeAvailability{
				PrivId: privilege, IsGranted: who.may(privilege),
			})
		}
		granted = append(granted, one)
	}
	return granted
}
