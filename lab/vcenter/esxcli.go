package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// The simulator makes these two objects on a host's first esxcli call. They aren't managed objects to it, and every
// search through the whole inventory (FindByUuid, RegisterVM_Task) crashes on them; inside of one they do no harm.

type dynamicTypes struct {
	mo.SearchIndex
	*simulator.DynamicTypeManager
}

func (d *dynamicTypes) Reference() types.ManagedObjectReference {
	return d.DynamicTypeManager.Reference()
}

type methodExecuter struct {
	mo.SearchIndex
	*simulator.ManagedMethodExecuter
}

func (m *methodExecuter) Reference() types.ManagedObjectReference {
	return m.ManagedMethodExecuter.Reference()
}
