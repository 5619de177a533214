package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// The methods by which someone disables methods of an object are not in the public API, but clients like vic-machine call
// them. Their types' names are those of the elements in calls and answers.

// DisableMethods disables methods of objects for a source; only that one can enable them again.
type DisableMethods struct {
	This   types.ManagedObjectReference   `xml:"_this"`
	Entity []types.ManagedObjectReference `xml:"entity"`
	Method []disabledMethod               `xml:"method"`
	Source string                         `xml:"sourceId"`
	Scope  bool                           `xml:"sessionScope"`
}

type disabledMethod struct {
	Method string `xml:"method"`
	Reason string `xml:"reasonId"`
}

// EnableMethods takes back what a source has disabled.
type EnableMethods struct {
	This   types.ManagedObjectReference   `xml:"_this"`
	Entity []types.ManagedObjectReference `xml:"entity"`
	Method []string                       `xml:"method"`
	Source string                         `xml:"sourceId"`
}

// QueryDisabledMethods asks which methods of an object are disabled, by whom and why.
type QueryDisabledMethods struct {
	This   types.ManagedObjectReference `xml:"_this"`
	Entity types.ManagedObjectReference `xml:"entity"`
}

// DisableMethodsResponse is the empty answer.
type DisableMethodsResponse struct{}

// EnableMethodsResponse is the empty answer.
type EnableMethodsResponse struct{}

// QueryDisabledMethodsResponse is the answer: one entry for each method and source.
type QueryDisabledMethodsResponse struct {
	Returnval []disabledInfo `xml:"returnval"`
}

type disabledInfo struct {
	Method string `xml:"method" json:"method"`
	Reason string `xml:"reasonId" json:"reason"`
	Source string `xml:"sourceId" json:"source"`
}

type disableMethodsBody struct {
	Res    *DisableMethodsResponse `xml:"urn:vim25 DisableMethodsResponse,omitempty"`
	Fault_ *soap.Fault
}

func (b *disableMethodsBody) Fault() *soap.Fault { return b.Fault_ }

type enableMethodsBody struct {
	Res    *EnableMethodsResponse `xml:"urn:vim25 EnableMethodsResponse,omitempty"`
	Fault_ *soap.Fault
}

func (b *enableMethodsBody) Fault() *soap.Fault { return b.Fault_ }

type queryDisabledMethodsBody struct {
	Res    *QueryDisabledMethodsResponse `xml:"urn:vim25 QueryDisabledMethodsResponse,omitempty"`
	Fault_ *soap.Fault
}

func (b *queryDisabledMethodsBody) Fault() *soap.Fault { return b.Fault_ }

func init() {
	for _, one := range []any{DisableMethods{}, EnableMethods{}, QueryDisabledMethods{}} {
		types.Add(reflect.TypeOf(one).Name(), reflect.TypeOf(one))
	}
}

// disabledMethods are those of all objects.
type disabledMethods struct {
	mo.SearchIndex
	mu  sync.Mutex
	all map[types.ManagedObjectReference][]disabledInfo
}

func (*disabledMethods) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "LabRules", Value: "disabled"}
}

func (*disabledMethods) PutObject(*simulator.Context, mo.Reference) {}

func (*disabledMethods) UpdateObject(*simulator.Context, mo.Reference, []types.PropertyChange) {}

func (d *disabledMethods) RemoveObject(_ *simulator.Context, ref types.ManagedObjectReference) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.all, ref)
}

func (d *disabledMethods) of(ref types.ManagedObjectReference) []disabledInfo {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.all[ref])
}

// set gives an object other disabled methods, and gives back all of them, each once.
func (d *disabledMethods) set(
	ref types.ManagedObjectReference, change func([]disabledInfo) []disabledInfo,
) (names []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all == nil {
		d.all = map[types.ManagedObjectReference][]disabledInfo{}
	}
	d.all[ref] = change(slices.Clone(d.all[ref]))
	if len(d.all[ref]) == 0 {
		delete(d.all, ref)
	}
	for _, one := range d.all[ref] {
		if !slices.Contains(names, one.Method) {
			names = append(names, one.Method)
		}
	}
	return names
}

// checkDisabled refuses a method that someone has disabled on its object.
func (r *rules) checkDisabled(on types.ManagedObjectReference, method string) types.BaseMethodFault {
	for _, one := range r.disabled.of(on) {
		if one.Method == method {
			return &types.MethodDisabled{Source: one.Source}
		}
	}
	return nil
}

// DisableMethods leaves out what the same source has disabled already.
func (a *authorization) DisableMethods(ctx *simulator.Context, req *DisableMethods) soap.HasFault {
	for _, one := range req.Method {
		if !isMethod(one.Method) {
			return &disableMethodsBody{Fault_: explained(&types.InvalidArgument{InvalidProperty: "method"})}
		}
	}
	fault := a.changeDisabled(ctx, req.Entity, func(list []disabledInfo) []disabledInfo {
		for _, one := range req.Method {
			list = append(lifted(list, one.Method, req.Source), disabledInfo{one.Method, one.Reason, req.Source})
		}
		return list
	})
	if fault != nil {
		return &disableMethodsBody{Fault_: explained(fault)}
	}
	return &disableMethodsBody{Res: new(DisableMethodsResponse)}
}

// EnableMethods leaves alone what another source has disabled.
func (a *authorization) EnableMethods(ctx *simulator.Context, req *EnableMethods) soap.HasFault {
	fault := a.changeDisabled(ctx, req.Entity, func(list []disabledInfo) []disabledInfo {
		for _, name := range req.Method {
			list = lifted(list, name, req.Source)
		}
		return list
	})
	if fault != nil {
		return &enableMethodsBody{Fault_: explained(fault)}
	}
	return &enableMethodsBody{Res: new(EnableMethodsResponse)}
}

func (a *authorization) QueryDisabledMethods(req *QueryDisabledMethods) soap.HasFault {
	if a.rules.registry.Get(req.Entity) == nil {
		return &queryDisabledMethodsBody{Fault_: explained(&types.ManagedObjectNotFound{Obj: req.Entity})}
	}
	return &queryDisabledMethodsBody{Res: &QueryDisabledMethodsResponse{Returnval: a.rules.disabled.of(req.Entity)}}
}

func lifted(list []disabledInfo, method, source string) []disabledInfo {
	return slices.DeleteFunc(list, func(one disabledInfo) bool { return one.Method == method && one.Source == source })
}

// changeDisabled changes the disabled methods of all objects, or of none if one of them isn't there.
func (a *authorization) changeDisabled(
	ctx *simulator.Context, entities []types.ManagedObjectReference, change func([]disabledInfo) []disabledInfo,
) types.BaseMethodFault {
	for _, ref := range entities {
		if _, ok := a.rules.registry.Get(ref).(mo.Entity); !ok {
			return &types.ManagedObjectNotFound{Obj: ref}
		}
	}
	for _, ref := range entities {
		if entity, ok := a.rules.registry.Get(ref).(mo.Entity); ok {
			ctx.WithLock(entity, func() { a.rules.showDisabled(ctx, entity, change) })
		}
	}
	return nil
}

// showDisabled changes an object's disabled methods, and what it says of them.
func (r *rules) showDisabled(ctx *simulator.Context, entity mo.Entity, change func([]disabledInfo) []disabledInfo) {
	var before []string
	for _, one := range r.disabled.of(entity.Reference()) {
		before = append(before, one.Method)
	}
	names := r.disabled.set(entity.Reference(), change)
	others := slices.DeleteFunc(slices.Clone(entity.Entity().DisabledMethod), func(name string) bool {
		return slices.Contains(before, name)
	})
	ctx.Update(entity, []types.PropertyChange{{Name: "disabledMethod", Val: append(others, names...)}})
}

// record gives all disabled methods for the journal, by the object's reference.
func (d *disabledMethods) record() map[string][]disabledInfo {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.all) == 0 {
		return nil
	}
	kept := map[string][]disabledInfo{}
	for ref, list := range d.all {
		kept[ref.String()] = slices.Clone(list)
	}
	return kept
}

// restore takes them from there, for objects that are still the same.
func (d *disabledMethods) restore(registry *simulator.Registry, kept map[string][]disabledInfo) error {
	for text, list := range kept {
		var ref types.ManagedObjectReference
		if !ref.FromString(text) {
			return fmt.Errorf("%q is no reference", strings.ToValidUTF8(text, "?"))
		}
		entity, ok := registry.Get(ref).(mo.Entity)
		if !ok {
			continue
		}
		names := d.set(ref, func([]disabledInfo) []disabledInfo { return list })
		for _, name := range names {
			if !slices.Contains(entity.Entity().DisabledMethod, name) {
				entity.Entity().DisabledMethod = append(slices.Clone(entity.Entity().DisabledMethod), name)
			}
		}
	}
	return nil
}
