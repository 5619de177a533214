package main

import (
	"strconv"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/vim25/types"
)

// release is one of VMware's products as it names itself.
type release struct{ version, api, build string }

var (
	vcenter = release{"8.0.2", "8.0.2.0", "22385739"}
	newest  = release{"8.0.2", "8.0.2.0", "22380479"}

	// clusterReleases are those of a cluster's hosts, in turn: an old one, on which only vSPC exists, among newer ones.
	clusterReleases = []release{{"6.5.0", "6.5", "4564106"}, {"7.0.3", "7.0.3.0", "18644231"}, newest}
)

// describe makes an "about" say the release's version.
func (r release) describe(about *types.AboutInfo, product string) {
	about.Version, about.ApiVersion, about.Build = r.version, r.api, r.build
	about.FullName = product + " " + r.version + " build-" + r.build
}

// since says whether the release is of the given version or a later one.
func (r release) since(major, minor int) bool {
	parts := append(strings.Split(r.version, "."), "0")
	a, _ := strconv.Atoi(parts[0])
	b, _ := strconv.Atoi(parts[1])
	return a > major || a == major && b >= minor
}

// hostCertificate is what the simulator's hosts have, all the same one.
var hostCertificate = esx.HostSystem.Config.Certificate

// lighten takes out of the simulator's template of a host what furnish gives: each new host is a copy by way of XML,
// and two thirds of the time go into these.
func lighten() {
	config := *esx.HostSystem.Config
	config.Certificate, config.Firewall, config.Service = nil, nil, nil
	esx.HostSystem.Config = &config
}

// furnish gives a host what the simulator shares between hosts or leaves out.
func furnish(registry *simulator.Registry, host *simulator.HostSystem, of release) {
	host.Summary.ManagementServerIp = ""
	product := *host.Summary.Config.Product
	of.describe(&product, "VMware ESXi")
	host.Summary.Config.Product = &product
	host.Config.Product = product
	host.Config.Certificate = hostCertificate
	addFirewall(registry, host, of)
	addServices(registry, host)
	addAdvanced(registry, host, of)
	addNetworks(registry, host)
	if _, err := types.ParseESXiVersion(of.version); err != nil {
		leaveBrowsers(registry, host.Self)
	}
}

// leaveBrowsers takes a host out of the lists of hardware versions: the simulator reads the versions of all hosts there
// when another host is added, and crashes on one that it doesn't know.
func leaveBrowsers(registry *simulator.Registry, host types.ManagedObjectReference) {
	for _, object := range registry.AllReference("EnvironmentBrowser") {
		browser, ok := object.(*simulator.EnvironmentBrowser)
		if !ok {
			continue // a VM's own, which has no list
		}
		for i := range browser.QueryConfigOptionDescriptorResponse.Returnval {
			simulator.RemoveReference(&browser.QueryConfigOptionDescriptorResponse.Returnval[i].Host, host)
		}
	}
}

// checkHostState refuses what a host's state forbids (vSphere API reference: InvalidState of these four methods).
func (r *rules) checkHostState(ref types.ManagedObjectReference, allowed func(*simulator.HostSystem) bool) types.BaseMethodFault {
	host, ok := r.registry.Get(ref).(*simulator.HostSystem)
	if ok && !allowed(host) {
		return new(types.InvalidState)
	}
	return nil
}

func connected(host *simulator.HostSystem) bool {
	return host.Runtime.ConnectionState == types.HostSystemConnectionStateConnected
}

func disconnected(host *simulator.HostSystem) bool { return !connected(host) }

func inMaintenance(host *simulator.HostSystem) bool { return host.Runtime.InMaintenanceMode }

func inUse(host *simulator.HostSystem) bool {
	return connected(host) && !host.Runtime.InMaintenanceMode
}
