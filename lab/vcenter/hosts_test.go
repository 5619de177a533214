package main

import (
	"testing"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func (s *site) services(host string) types.ManagedObjectReference {
	s.t.Helper()
	var properties mo.HostSystem
	s.must(s.host(host).Properties(s.ctx, s.host(host).Reference(), []string{"configManager.serviceSystem"}, &properties))
	return *properties.ConfigManager.ServiceSystem
}

func (s *site) service(host, key string) types.HostService {
	s.t.Helper()
	var system mo.HostServiceSystem
	s.must(s.client.RetrieveOne(s.ctx, s.services(host), []string{"serviceInfo"}, &system))
	for _, one := range system.ServiceInfo.Service {
		if one.Key == key {
			return one
		}
	}
	s.t.Fatalf("%s has no service %s", host, key)
	return types.HostService{}
}

func (s *site) runtime(host string) types.HostRuntimeInfo {
	s.t.Helper()
	var properties mo.HostSystem
	s.must(s.host(host).Properties(s.ctx, s.host(host).Reference(), []string{"runtime"}, &properties))
	return properties.Runtime
}

func TestAServiceIsStartedStoppedAndGivenAPolicyOnOneHost(t *testing.T) {
	one := start(t, t.TempDir())
	system := one.services("DC0_C0_H1")

	_, err := methods.StartService(one.ctx, one.client, &types.StartService{This: system, Id: "TSM-SSH"})
	one.must(err)
	_, err = methods.UpdateServicePolicy(one.ctx, one.client, &types.UpdateServicePolicy{This: system, Id: "TSM-SSH", Policy: "on"})
	one.must(err)

	if got := one.service("DC0_C0_H1", "TSM-SSH"); !got.Running || got.Policy != "on" {
		t.Errorf("got %+v", got)
	}
	if other := one.service("DC0_C0_H2", "TSM-SSH"); other.Running || other.Policy != "off" {
		t.Errorf("another host's: %+v", other)
	}
	_, err = methods.StopService(one.ctx, one.client, &types.StopService{This: system, Id: "TSM-SSH"})
	one.must(err)
	if one.service("DC0_C0_H1", "TSM-SSH").Running {
		t.Error("it runs")
	}
}

func TestWhatAServiceSystemRefuses(t *testing.T) {
	one := start(t, t.TempDir())
	system := one.services("DC0_C0_H1")

	_, unknown := methods.StartService(one.ctx, one.client, &types.StartService{This: system, Id: "nothing"})
	_, required := methods.StopService(one.ctx, one.client, &types.StopService{This: system, Id: "vmsyslogd"})
	_, policy := methods.UpdateServicePolicy(one.ctx, one.client, &types.UpdateServicePolicy{This: system, Id: "TSM", Policy: "maybe"})

	_, fixed := methods.UpdateServicePolicy(one.ctx, one.client, &types.UpdateServicePolicy{This: system, Id: "vmsyslogd", Policy: "off"})

	expect[*types.NotFound](t, unknown)
	expect[*types.HostConfigFault](t, required)
	expect[*types.InvalidArgument](t, policy)
	expect[*types.InvalidArgument](t, fixed)
}

func TestAServiceThatRunsMayBeStartedAndOneThatDoesNotStopped(t *testing.T) {
	one := start(t, t.TempDir())

	_, started := methods.StartService(one.ctx, one.client, &types.StartService{This: one.services("DC0_C0_H1"), Id: "DCUI"})
	_, stopped := methods.StopService(one.ctx, one.client, &types.StopService{This: one.services("DC0_C0_H1"), Id: "TSM"})

	one.must(started)
	one.must(stopped)
	if !one.service("DC0_C0_H1", "DCUI").Running || one.service("DC0_C0_H1", "TSM").Running {
		t.Error("they are not as they were")
	}
}

func TestAHostGoesIntoMaintenanceModeAndOutOfIt(t *testing.T) {
	one := start(t, t.TempDir())
	host := one.host("DC0_C0_H1")

	one.done(host.EnterMaintenanceMode(one.ctx, 0, false, nil))
	within := one.runtime("DC0_C0_H1").InMaintenanceMode
	one.done(host.ExitMaintenanceMode(one.ctx, 0))

	if after := one.runtime("DC0_C0_H1").InMaintenanceMode; !within || after {
		t.Errorf("within %v, after %v", within, after)
	}
}

func TestAHostInMaintenanceModeHasAFirewallThatCanBeChanged(t *testing.T) {
	one := start(t, t.TempDir())
	one.done(one.host("DC0_C0_H1").EnterMaintenanceMode(one.ctx, 0, false, nil))

	one.must(one.enable("DC0_C0_H1", "vSPC"))
}

func TestAStateThatAHostHasAlreadyIsRefused(t *testing.T) {
	one := start(t, t.TempDir())
	host := one.host("DC0_C0_H1")

	expect[*types.InvalidState](t, one.failed(host.Reconnect(one.ctx, nil, nil)))
	expect[*types.InvalidState](t, one.failed(host.ExitMaintenanceMode(one.ctx, 0)))
	one.done(host.EnterMaintenanceMode(one.ctx, 0, false, nil))
	expect[*types.InvalidState](t, one.failed(host.EnterMaintenanceMode(one.ctx, 0, false, nil)))
	one.done(host.Disconnect(one.ctx))
	expect[*types.InvalidState](t, one.failed(host.Disconnect(one.ctx)))
}

func TestAHostThatIsAddedHasAFirewallOfItsOwn(t *testing.T) {
	one := start(t, t.TempDir())
	cluster, err := one.finder.ClusterComputeResource(one.ctx, "DC0_C0")
	one.must(err)

	one.done(cluster.AddHost(one.ctx, types.HostConnectSpec{HostName: "esx-new"}, true, nil, nil))
	one.must(one.enable("esx-new", "vic-engine"))

	if one.rulesets("DC0_C0_H1")["vic-engine"].Enabled || !one.rulesets("esx-new")["vic-engine"].Enabled {
		t.Error("the hosts share their rulesets")
	}
	if one.service("esx-new", "TSM").Running {
		t.Error("the services are missing")
	}
}
