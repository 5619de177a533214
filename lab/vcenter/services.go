package main

import (
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

func addServices(model *simulator.Model, host *simulator.HostSystem) {
	system := &services{host: host}
	system.Self = types.ManagedObjectReference{Type: "HostServiceSystem", Value: "serviceSystem-" + host.Self.Value}
	for _, key := range []string{"TSM-SSH", "TSM", "ntpd", "vpxa"} {
		system.ServiceInfo.Service = append(system.ServiceInfo.Service, types.HostService{Key: key, Label: key, Policy: "off"})
	}
	model.Map().Put(system)
	host.ConfigManager.ServiceSystem = &system.Self
}

func (s *services) StartService(req *types.StartService) soap.HasFault {
	body := &methods.StartServiceBody{}
	if fault := s.change(req.Id, func(one *types.HostService) { one.Running = true }); fault != nil {
		body.Fault_ = simulator.Fault("", fault)
	} else {
		body.Res = new(types.StartServiceResponse)
	}
	return body
}

func (s *services) StopService(req *types.StopService) soap.HasFault {
	body := &methods.StopServiceBody{}
	if fault := s.change(req.Id, func(one *types.HostService) { one.Running = false }); fault != nil {
		body.Fault_ = simulator.Fault("", fault)
	} else {
		body.Res = new(types.StopServiceResponse)
	}
	return body
}

func (s *services) UpdateServicePolicy(req *types.UpdateServicePolicy) soap.HasFault {
	body := &methods.UpdateServicePolicyBody{}
	if fault := s.change(req.Id, func(one *types.HostService) { one.Policy = req.Policy }); fault != nil {
		body.Fault_ = simulator.Fault("", fault)
	} else {
		body.Res = new(types.UpdateServicePolicyResponse)
	}
	return body
}

func (s *services) change(id string, how func(*types.HostService)) types.BaseMethodFault {
	if s.host.Runtime.ConnectionState != types.HostSystemConnectionStateConnected {
		return &types.HostNotConnected{}
	}
	for i := range s.ServiceInfo.Service {
		if s.ServiceInfo.Service[i].Key == id {
			how(&s.ServiceInfo.Service[i])
			return nil
		}
	}
	return new(types.NotFound)
}
