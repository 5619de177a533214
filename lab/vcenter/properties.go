package main

import (
	"reflect"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// propertyCollector is the simulator's, with a Fetch that pyVmomi understands.
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
	fetch := reflect.ValueOf(&c.PropertyCollector).MethodByName("Fetch")
	answer := fetch.Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(request)})[0].Interface().(soap.HasFault)
	if other, ok := answer.(*methods.RetrievePropertiesExBody); ok && other.Fault_ == nil {
		return &fetchBody{Res: new(FetchResponse)}
	}
	return answer
}
