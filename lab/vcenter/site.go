package main

import (
	"os"
	"path/filepath"
	"slices"
	"sort"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// size says how much of each kind a new site has. The journal keeps it: another size gives other references.
type size struct {
	ESX          bool `json:"esx"`
	Datacenters  int  `json:"datacenters"`
	Clusters     int  `json:"clusters"`
	ClusterHosts int  `json:"cluster_hosts"`
	Hosts        int  `json:"hosts"`
	Pools        int  `json:"pools"`
	Datastores   int  `json:"datastores"`
	PortGroups   int  `json:"port_groups"`
}

// taskLook is how often the end of a task is looked for while the inventory is made.
const taskLook = 20 * time.Microsecond

var usualSize = size{Datacenters: 1, Clusters: 1, ClusterHosts: 3, Hosts: 1, Datastores: 1, PortGroups: 1}

// newSite makes the inventory: always the same objects in the same order, so that their references stay the same.
func newSite(size size, state string) (*simulator.Model, error) {
	model := simulator.VPX()
	if size.ESX {
		model = simulator.ESX()
		model.Datastore = size.Datastores
		newest.describe(&model.ServiceContent.About, "VMware ESXi")
	} else {
		model.Datacenter, model.Cluster, model.ClusterHost = size.Datacenters, size.Clusters, size.ClusterHosts
		model.Host, model.Pool = size.Hosts, size.Pools
		model.Datastore, model.Portgroup = size.Datastores, size.PortGroups
		vcenter.describe(&model.ServiceContent.About, "VMware vCenter Server")
	}
	model.Machine = 0
	if err := create(model); err != nil {
		return nil, err
	}
	for index, entity := range inOrder(model.Map(), "HostSystem") {
		host := entity.(*simulator.HostSystem)
		of := newest
		if host.Parent.Type == "ClusterComputeResource" {
			of = clusterReleases[index%len(clusterReleases)]
		}
		furnish(model.Map(), host, of)
	}
	for _, entity := range model.Map().All("Datacenter") {
		center := entity.(*simulator.Datacenter)
		center.Network = withoutSwitches(eachOnce(center.Network))
	}
	return model, moveDatastores(model, state)
}

// create makes the model's objects without its waiting: the simulator's own client looks for a task's end every 20 ms,
// and each host is two tasks. Here it looks when the task is over.
func create(model *simulator.Model) error {
	lighten()
	wanted := *model
	model.Datacenter, model.Datastore = 0, 0
	if err := model.Create(); err != nil {
		return err
	}
	registry := model.Map()
	model.Datacenter, model.Datastore = wanted.Datacenter, wanted.Datastore
	tasks := newRunningTasks(func(*mo.Task) {})
	registry.AddHandler(tasks)
	registry.Handler = func(_ *simulator.Context, method *simulator.Method) (mo.Reference, types.BaseMethodFault) {
		if method.Name == "CreatePropertyCollector" { // the first step of waiting
			for tasks.any() {
				time.Sleep(taskLook)
			}
		}
		return nil, nil
	}
	err := model.CreateInfrastructure(model.Service.Context)
	registry.Handler = nil
	registry.RemoveHandler(tasks)
	return err
}

// eachOnce drops repetitions: the simulator lists a datacenter's port groups twice.
func eachOnce(list []types.ManagedObjectReference) []types.ManagedObjectReference {
	var once []types.ManagedObjectReference
	for _, ref := range list {
		if !slices.Contains(once, ref) {
			once = append(once, ref)
		}
	}
	return once
}

// inOrder lists the objects of a kind by name: the registry's own order is that of a Go map.
func inOrder(registry *simulator.Registry, kind string) []mo.Entity {
	all := registry.All(kind)
	sort.Slice(all, func(i, j int) bool { return all[i].Entity().Name < all[j].Entity().Name })
	return all
}

// moveDatastores puts what a datastore holds under the lab's state folder, where it outlives the process.
func moveDatastores(model *simulator.Model, state string) error {
	for _, entity := range model.Map().All("Datastore") {
		store := entity.(*simulator.Datastore)
		folder := filepath.Join(state, "datastores", store.Name)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
		info := store.Info.GetDatastoreInfo()
		_ = os.RemoveAll(info.Url)
		info.Url = folder
		if local, ok := store.Info.(*types.LocalDatastoreInfo); ok {
			local.Path = folder
		}
		store.Summary.Url = folder
	}
	return moveHome(model, filepath.Join(state, "home"))
}

// moveHome takes the place of the simulator's temporary folder, which nobody would clean up after a kill.
func moveHome(model *simulator.Model, home string) error {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	for _, setting := range model.Map().OptionManager().Setting {
		if option := setting.GetOptionValue(); option.Key == "vcsim.home" {
			_ = os.RemoveAll(option.Value.(string))
			option.Value = home
		}
	}
	return nil
}
