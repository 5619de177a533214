package main

import (
	"reflect"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// propertyCollector is the simulator's, with a Fetch that pyVmomi understands, and with what a real one refuses.
type propertyCollector struct{ simulator.PropertyCollector }

func mendPropertyCollector(registry *simulator.Registry) {
	for _, old := range registry.AllReference("PropertyCollector") {
		if plain, ok := old.(*simulator.PropertyCollector); ok {
			mended := new(propertyCollector)
			mended.Self = plain.Self
			registry.Put(mended)
		}
	}
}

// RetrievePropertiesEx fails as a whole if a path names no property of its object (vSphere API reference: InvalidProperty);
// the simulator lists the path among those that are missing, where nobody may look.
func (c *propertyCollector) RetrievePropertiesEx(ctx *simulator.Context, req *types.RetrievePropertiesEx) soap.HasFault {
	rules, _ := ctx.Map.Get(rulesReference).(*rules)
	hiding := rules != nil && ctx.Session != nil && !rules.who(ctx).may(systemRead)
	if hiding {
		req.Options.MaxObjects = 0 // else the rest would be fetched unseen
	}
	answer := c.PropertyCollector.RetrievePropertiesEx(ctx, req)
	body, ok := answer.(*methods.RetrievePropertiesExBody)
	if !ok || body.Res == nil || body.Res.Returnval == nil {
		return answer
	}
	for _, one := range body.Res.Returnval.Objects {
		for _, missing := range one.MissingSet {
			if fault, ok := missing.Fault.Fault.(*types.InvalidProperty); ok {
				return &methods.RetrievePropertiesExBody{Fault_: explained(fault)}
			}
		}
	}
	if hiding {
		body.Res.Returnval.Objects = rules.hide(body.Res.Returnval.Objects, req.SpecSet)
	}
	return body
}

// RetrieveProperties is RetrievePropertiesEx of old.
func (c *propertyCollector) RetrieveProperties(ctx *simulator.Context, req *types.RetrieveProperties) soap.HasFault {
	answer := c.RetrievePropertiesEx(ctx, &types.RetrievePropertiesEx{This: req.This, SpecSet: req.SpecSet})
	body, ok := answer.(*methods.RetrievePropertiesExBody)
	if !ok || body.Res == nil {
		return &methods.RetrievePropertiesBody{Fault_: answer.Fault()}
	}
	var found []types.ObjectContent
	if body.Res.Returnval != nil {
		found = body.Res.Returnval.Objects
	}
	return &methods.RetrievePropertiesBody{Res: &types.RetrievePropertiesResponse{Returnval: found}}
}

// FetchResponse is the answer to Fetch; without a value, the property is unset. Its name is the element's in the answer.
type FetchResponse struct {
	Returnval types.AnyType `xml:"returnval,typeattr,omitempty"`
}

type fetchBody struct {
	Res *FetchResponse `xml:"urn:vim25 FetchResponse,omitempty"`
}

func (*fetchBody) Fault() *soap.Fault { return nil }

// Fetch leaves an unset property out of its answer. The simulator answers it as another method, on which pyVmomi fails.
// The request's type is govmomi's own secret, so it is handed on unseen.
func (c *propertyCollector) Fetch(ctx *simulator.Context, request any) soap.HasFault {
	if fault := hiddenFrom(ctx, request); fault != nil {
		return &methods.RetrievePropertiesExBody{Fault_: explained(fault)}
	}
	fetch := reflect.ValueOf(&c.PropertyCollector).MethodByName("Fetch")
	answer := fetch.Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(request)})[0].Interface().(soap.HasFault)
	if other, ok := answer.(*methods.RetrievePropertiesExBody); ok && other.Fault_ == nil {
		return &fetchBody{Res: new(FetchResponse)}
	}
	return answer
}

// hiddenFrom is the fault for an object that the caller doesn't see.
func hiddenFrom(ctx *simulator.Context, request any) types.BaseMethodFault {
	rules, _ := ctx.Map.Get(rulesReference).(*rules)
	on, ok := reflect.ValueOf(request).Elem().FieldByName("This").Interface().(types.ManagedObjectReference)
	if rules == nil || !ok || ctx.Session == nil || rules.who(ctx).may(systemRead) {
		return nil
	}
	if entity, inInventory := rules.entityOf(on); inInventory {
		return noPermission(entity, systemRead)
	}
	return nil
}
