package main

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// services is one host's service system, which the simulator lacks.
type services struct {
	mo.HostServiceSystem
	host *simulator.HostSystem
}

// usualServices are what an ESXi host has after its installation.
var usualServices = []types.HostService{
	{Key: "DCUI", Label: "Direct Console UI", Running: true, Policy: "on"},
	{Key: "TSM", Label: "ESXi Shell", Policy: "off"},
	{Key: "TSM-SSH", Label: "SSH", Policy: "off", Ruleset: []string{"sshServer"}},
	{Key: "lbtd", Label: "Load-Based Teaming Daemon", Running: true, Policy: "on"},
	{Key: "ntpd", Label: "NTP Daemon", Policy: "off", Ruleset: []string{"ntpClient"}},
	{Key: "sfcbd-watchdog", Label: "CIM Server", Policy: "on", Ruleset: []string{"CIMHttpServer", "CIMHttpsServer"}},
	{Key: "snmpd", Label: "SNMP Server", Policy: "on", Ruleset: []string{"snmp"}},
	{Key: "vmsyslogd", Label: "Syslog Server", Required: true, Running: true, Policy: "on"},
	{Key: "vpxa", Label: "VMware vCenter Agent", Running: true, Policy: "on", Ruleset: []string{"vpxHeartbeats"}},
}

var servicePolicies = []string{
	string(types.HostServicePolicyOn), string(types.HostServicePolicyOff), string(types.HostServicePolicyAutomatic),
}

func addServices(registry *simulator.Registry, host *simulator.HostSystem) {
	system := &services{host: host}
	system.Self = types.ManagedObjectReference{Type: "HostServiceSystem", Value: "serviceSystem-" + host.Self.Value}
	system.ServiceInfo.Service = slices.Clone(usualServices)
	host.Config.Service = copyOfServices(&system.ServiceInfo)
	registry.Put(system)
	host.ConfigManager.ServiceSystem = &system.Self
}

// StartService answers nothing else for a service that runs: InvalidState is said to come from hosts up to 4.1 alone
// (vSphere API reference), and so for StopService of one that doesn't.
func (s *services) StartService(ctx *simulator.Context, req *types.StartService) soap.HasFault {
	fault := s.change(ctx, req.Id, func(one *types.HostService) types.BaseMethodFault {
		one.Running = true
		return nil
	})
	if fault != nil {
		return &methods.StartServiceBody{Fault_: explained(fault)}
	}
	return &methods.StartServiceBody{Res: new(types.StartServiceResponse)}
}

func (s *services) StopService(ctx *simulator.Context, req *types.StopService) soap.HasFault {
	fault := s.change(ctx, req.Id, func(one *types.HostService) types.BaseMethodFault {
		if one.Required {
			return new(types.HostConfigFault)
		}
		one.Running = false
		return nil
	})
	if fault != nil {
		return &methods.StopServiceBody{Fault_: explained(fault)}
	}
	return &methods.StopServiceBody{Res: new(types.StopServiceResponse)}
}

func (s *services) RestartService(ctx *simulator.Context, req *types.RestartService) soap.HasFault {
	fault := s.change(ctx, req.Id, func(one *types.HostService) types.BaseMethodFault {
		one.Running = true
		return nil
	})
	if fault != nil {
		return &methods.RestartServiceBody{Fault_: explained(fault)}
	}
	return &methods.RestartServiceBody{Res: new(types.RestartServiceResponse)}
}

// UpdateServicePolicy refuses a required service, as the reference says.
func (s *services) UpdateServicePolicy(ctx *simulator.Context, req *types.UpdateServicePolicy) soap.HasFault {
	fault := s.change(ctx, req.Id, func(one *types.HostService) types.BaseMethodFault {
		if one.Required {
			return &types.InvalidArgument{InvalidProperty: "id"}
		}
		if !slices.Contains(servicePolicies, req.Policy) {
			return &types.InvalidArgument{InvalidProperty: "policy"}
		}
		one.Policy = req.Policy
		return nil
	})
	if fault != nil {
		return &methods.UpdateServicePolicyBody{Fault_: explained(fault)}
	}
	return &methods.UpdateServicePolicyBody{Res: new(types.UpdateServicePolicyResponse)}
}

func (s *services) RefreshServices(*types.RefreshServices) soap.HasFault {
	if !connected(s.host) {
		return &methods.RefreshServicesBody{Fault_: explained(new(types.HostNotConnected))}
	}
	return &methods.RefreshServicesBody{Res: new(types.RefreshServicesResponse)}
}

func (s *services) change(
	ctx *simulator.Context, id string, how func(*types.HostService) types.BaseMethodFault,
) types.BaseMethodFault {
	if !connected(s.host) {
		return new(types.HostNotConnected)
	}
	info := copyOfServices(&s.ServiceInfo)
	for i := range info.Service {
		if info.Service[i].Key == id {
			fault := how(&info.Service[i])
			if fault == nil {
				s.put(ctx, info)
			}
			return fault
		}
	}
	return new(types.NotFound)
}

func (s *services) put(ctx *simulator.Context, info *types.HostServiceInfo) {
	ctx.Update(s, []types.PropertyChange{{Name: "serviceInfo", Val: *info}})
	ctx.Map.AtomicUpdate(ctx, s.host, []types.PropertyChange{{Name: "config.service", Val: *info}})
}

// copyOfServices is a copy with a list of services of its own; what a service points to is shared and never changed.
func copyOfServices(from *types.HostServiceInfo) *types.HostServiceInfo {
	return &types.HostServiceInfo{Service: slices.Clone(from.Service)}
}

// changes are the services that differ from a new host's.
func (s *services) changes() []serviceRecord {
	var changed []serviceRecord
	for i, now := range s.ServiceInfo.Service {
		if before := usualServices[i]; now.Running != before.Running || now.Policy != before.Policy {
			changed = append(changed, serviceRecord{now.Key, now.Running, now.Policy})
		}
	}
	return changed
}

// restore makes a new host's services what the records say.
func (s *services) restore(changed []serviceRecord) {
	info := copyOfServices(&s.ServiceInfo)
	for _, one := range changed {
		for i := range info.Service {
			if info.Service[i].Key == one.Key {
				info.Service[i].Running, info.Service[i].Policy = one.Running, one.Policy
			}
		}
	}
	s.ServiceInfo, s.host.Config.Service = *info, copyOfServices(info)
}
