package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// rules stand in front of every call: they refuse what a real vCenter refuses, and mend what the simulator gets wrong.
type rules struct {
	model   *simulator.Model
	journal *journal
	search  *searchIndex
}

func newRules(model *simulator.Model, kept *journal) *rules {
	search := &searchIndex{model: model}
	search.Self = types.ManagedObjectReference{Type: "SearchIndex", Value: "DrydockSearchIndex"}
	model.Map().Put(search)
	return &rules{model: model, journal: kept, search: search}
}

func (r *rules) install() {
	r.model.Map().Handler = r.before
	r.model.Map().AddHandler(&swapPlacement{})
	for _, entity := range r.model.Map().All("VirtualMachine") {
		inherit(entity)
	}
}

// readOnly are the calls that change nothing; every other one may, so the journal looks after it.
var readOnly = map[string]bool{
	"RetrieveProperties": true, "RetrievePropertiesEx": true, "ContinueRetrievePropertiesEx": true,
	"RetrieveServiceContent": true, "WaitForUpdates": true, "WaitForUpdatesEx": true, "CreateFilter": true,
	"CreateContainerView": true, "CreateListView": true, "DestroyView": true, "DestroyPropertyFilter": true,
	"Login": true, "Logout": true, "FindByUuid": true, "FindByInventoryPath": true, "CurrentTime": true,
	"CreatePropertyCollector": true, "DestroyPropertyCollector": true, "QueryOptions": true,
}

func (r *rules) before(ctx *simulator.Context, method *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if !readOnly[method.Name] {
		r.journal.changed()
	}
	switch body := method.Body.(type) {
	case *types.CreateVM_Task:
		return nil, r.newMachine(method.This, body.Config)
	case *types.CloneVM_Task:
		return nil, r.freeName(body.Folder, body.Name)
	case *types.ReconfigVM_Task:
		return nil, r.disksThere(body.Spec)
	case *types.FindByUuid:
		method.This = r.search.Self // a session's own objects come before what we return
	case *types.RetrieveProperties:
		canonical(body.SpecSet)
	case *types.RetrievePropertiesEx:
		canonical(body.SpecSet)
	}
	giveBrowsers(r.model)
	if own, ok := r.model.Map().Get(method.This).(*browser); ok && method.Name != "QueryConfigOption" {
		method.This = own.host.Self
	}
	if isCluster(method.This) {
		method.This.Type = "ClusterComputeResource"
	}
	return r.model.Map().Get(method.This), nil
}

func (r *rules) newMachine(folder types.ManagedObjectReference, spec types.VirtualMachineConfigSpec) types.BaseMethodFault {
	if fault := r.freeName(folder, spec.Name); fault != nil {
		return fault
	}
	return r.disksThere(spec)
}

// freeName refuses a second VM of a name in a folder (vSphere API reference: CreateVM_Task, DuplicateName).
func (r *rules) freeName(folder types.ManagedObjectReference, name string) types.BaseMethodFault {
	found, ok := r.model.Map().Get(folder).(*simulator.Folder)
	if !ok {
		return nil
	}
	if twin := r.model.Map().FindByName(name, found.ChildEntity); twin != nil {
		return &types.DuplicateName{Name: name, Object: twin.Reference()}
	}
	return nil
}

// disksThere refuses a CD-ROM drive with an ISO that its datastore doesn't hold.
func (r *rules) disksThere(spec types.VirtualMachineConfigSpec) types.BaseMethodFault {
	for _, change := range spec.DeviceChange {
		device := change.GetVirtualDeviceConfigSpec()
		drive, ok := device.Device.(*types.VirtualCdrom)
		if !ok || device.Operation == types.VirtualDeviceConfigSpecOperationRemove {
			continue
		}
		backing, ok := drive.Backing.(*types.VirtualCdromIsoBackingInfo)
		if ok && !r.holds(backing.FileName) {
			return &types.FileNotFound{FileFault: types.FileFault{File: backing.FileName}}
		}
	}
	return nil
}

func (r *rules) holds(path string) bool {
	var file object.DatastorePath
	if !file.FromString(path) {
		return false
	}
	for _, entity := range r.model.Map().All("Datastore") {
		if store := entity.(*simulator.Datastore); store.Name == file.Datastore {
			_, err := os.Stat(filepath.Join(store.Summary.Url, file.Path))
			return err == nil
		}
	}
	return false
}

// isCluster tells a cluster that is asked for as a ComputeResource; a real vCenter ignores the type in a reference.
func isCluster(ref types.ManagedObjectReference) bool {
	return ref.Type == "ComputeResource" && strings.HasPrefix(ref.Value, "domain-c")
}

func canonical(specs []types.PropertyFilterSpec) {
	for i := range specs {
		for k := range specs[i].ObjectSet {
			if isCluster(specs[i].ObjectSet[k].Obj) {
				specs[i].ObjectSet[k].Obj.Type = "ClusterComputeResource"
			}
		}
	}
}

// swapPlacement fills in what a real vCenter says of every VM; empty, it is a difference for ever.
type swapPlacement struct{ mo.Folder }

func (*swapPlacement) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "LabHandler", Value: "swapPlacement"}
}
func (*swapPlacement) PutObject(_ *simulator.Context, obj mo.Reference)                      { inherit(obj) }
func (*swapPlacement) UpdateObject(*simulator.Context, mo.Reference, []types.PropertyChange) {}
func (*swapPlacement) RemoveObject(*simulator.Context, types.ManagedObjectReference)         {}

func inherit(obj mo.Reference) {
	if vm, ok := obj.(*simulator.VirtualMachine); ok && vm.Config != nil && vm.Config.SwapPlacement == "" {
		vm.Config.SwapPlacement = string(types.VirtualMachineConfigInfoSwapPlacementTypeInherit)
	}
}

// searchIndex answers FindByUuid; the simulator's own crashes once any client has made an esxcli call.
type searchIndex struct {
	mo.SearchIndex
	model *simulator.Model
}

func (s *searchIndex) FindByUuid(req *types.FindByUuid) soap.HasFault {
	body := &methods.FindByUuidBody{Res: new(types.FindByUuidResponse)}
	kind := "HostSystem"
	if req.VmSearch {
		kind = "VirtualMachine"
	}
	for _, entity := range s.model.Map().All(kind) {
		if strings.EqualFold(uuidOf(entity, req.InstanceUuid != nil && *req.InstanceUuid), req.Uuid) {
			ref := entity.Reference()
			body.Res.Returnval = &ref
			break
		}
	}
	return body
}

func uuidOf(entity mo.Entity, instance bool) string {
	switch one := entity.(type) {
	case *simulator.VirtualMachine:
		if instance {
			return one.Config.InstanceUuid
		}
		return one.Config.Uuid
	case *simulator.HostSystem:
		return one.Summary.Hardware.Uuid
	}
	return ""
}

// guarded refuses datastore access to who isn't logged in, as a real vCenter does.
func guarded(model *simulator.Model, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/folder") && !loggedIn(model, r) {
			w.Header().Set("WWW-Authenticate", `Basic realm="VMware HTTP server"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func loggedIn(model *simulator.Model, r *http.Request) bool {
	if user, password, ok := r.BasicAuth(); ok {
		request := &types.Login{UserName: user, Password: password}
		return model.Map().SessionManager().Authenticate(*model.Service.Listen, request)
	}
	cookie, err := r.Cookie(soap.SessionCookieName)
	return err == nil && sessionExists(model, strings.Trim(cookie.Value, `"`))
}

func sessionExists(model *simulator.Model, key string) bool {
	asked := &simulator.Session{Registry: simulator.NewRegistry(), Map: model.Map()}
	manager, ok := asked.Get(model.Map().SessionManager().Self).(*simulator.SessionManager)
	if !ok {
		return false
	}
	for _, one := range manager.SessionList {
		if one.Key == key {
			return true
		}
	}
	return false
}
