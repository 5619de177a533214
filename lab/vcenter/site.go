package main

import (
	"os"
	"path/filepath"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

const vcenterVersion = "8.0.2"

// hostVersions are the versions of the cluster's hosts, in turn: an old one, on which only vSPC exists, among newer ones.
var hostVersions = []string{"6.5.0", "7.0.3", "8.0.2"}

// newSite makes the inventory: always the same objects in the same order, so that their references stay the same.
func newSite(o options) (*simulator.Model, error) {
	model := simulator.VPX()
	if o.esx {
		model = simulator.ESX()
	} else {
		model.ClusterHost = o.clusterHosts
		model.Host = o.hosts
		model.ServiceContent.About.Version = vcenterVersion
		model.ServiceContent.About.ApiVersion = vcenterVersion + ".0"
		model.ServiceContent.About.FullName = "VMware vCenter Server " + vcenterVersion + " (lab)"
	}
	model.Machine = 0
	if err := model.Create(); err != nil {
		return nil, err
	}
	for index, entity := range inOrder(model, "HostSystem") {
		host := entity.(*simulator.HostSystem)
		host.Summary.ManagementServerIp = ""
		version := hostVersions[len(hostVersions)-1]
		if host.Parent.Type == "ClusterComputeResource" {
			version = hostVersions[index%len(hostVersions)]
		}
		setVersion(host, version)
		addFirewall(model, host, version)
		addServices(model, host)
	}
	return model, moveDatastores(model, filepath.Join(o.state, "datastores"))
}

func setVersion(host *simulator.HostSystem, version string) {
	product := *host.Summary.Config.Product
	product.Version = version
	product.ApiVersion = version
	product.FullName = "VMware ESXi " + version + " (lab)"
	host.Summary.Config.Product = &product
	if host.Config != nil {
		config := *host.Config
		config.Product = product
		host.Config = &config
	}
}

// moveDatastores puts what a datastore holds under the lab's state folder, where it outlives the process.
func moveDatastores(model *simulator.Model, root string) error {
	for _, entity := range model.Map().All("Datastore") {
		store := entity.(*simulator.Datastore)
		folder := filepath.Join(root, store.Name)
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
	return nil
}
