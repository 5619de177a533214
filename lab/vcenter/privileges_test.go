package main

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// startWith starts a site that others may log in to too: reader, nobody, and firewaller.
func startWith(t *testing.T) *site {
	t.Helper()
	wanted := settings(t, t.TempDir(), usualSize)
	credentials := `{"user": "me", "password": "pass\"word", "others": [
		{"user": "reader", "password": "r", "role": "ReadOnly"}, {"user": "nobody", "password": "n", "role": "NoAccess"},
		{"user": "firewaller", "password": "f", "role": {"privileges": ["Host.Config.NetService"]}}]}`
	if err := os.WriteFile(wanted.credentials, []byte(credentials), 0o600); err != nil {
		t.Fatal(err)
	}
	return startAs(t, wanted)
}

// as is a client of another user, whose password is the name's first letter.
func (s *site) as(user string) *govmomi.Client {
	s.t.Helper()
	client := s.second("test")
	s.must(client.Login(s.ctx, url.UserPassword(user, user[:1])))
	return client
}

// denied says that a call was refused for want of a privilege on an object.
func denied(t *testing.T, what string, err error, privilege string, on types.ManagedObjectReference) {
	t.Helper()
	var missing *types.NoPermission
	if _, is := fault.As(err, &missing); !is {
		t.Errorf("%s: %v", what, err)
		return
	}
	listed := missing.MissingPrivileges
	if missing.PrivilegeId != privilege || missing.Object == nil || *missing.Object != on ||
		len(listed) != 1 || listed[0].Entity != on || len(listed[0].PrivilegeIds) != 1 || listed[0].PrivilegeIds[0] != privilege {
		t.Errorf("%s: %+v", what, missing)
	}
	if soap.IsSoapFault(err) && !strings.Contains(err.Error(), "Permission to perform this operation was denied.") {
		t.Errorf("%s: the sentence is %q", what, err)
	}
}

func TestWhoMayOnlyReadIsToldWhichPrivilegeIsMissing(t *testing.T) {
	one := startWith(t)
	client := one.as("reader")
	host, cluster := one.host("DC0_C0_H1"), one.cluster("DC0_C0")
	wall, served, set := one.firewall("DC0_C0_H1"), one.services("DC0_C0_H1"), one.options("DC0_C0_H1")
	root := client.ServiceContent.RootFolder
	hosted := object.NewHostSystem(client.Client, host.Reference())
	call := func(do func() (any, error)) error { _, err := do(); return err }

	for what, one := range map[string]struct {
		err       error
		privilege string
		on        types.ManagedObjectReference
	}{
		"enable": {call(func() (any, error) {
			return methods.EnableRuleset(one.ctx, client, &types.EnableRuleset{This: wall, Id: "vSPC"})
		}), "Host.Config.NetService", host.Reference()},
		"unknown ruleset": {call(func() (any, error) {
			return methods.DisableRuleset(one.ctx, client, &types.DisableRuleset{This: wall, Id: "nothing"})
		}), "Host.Config.NetService", host.Reference()},
		"update": {call(func() (any, error) {
			return methods.UpdateRuleset(one.ctx, client, &types.UpdateRuleset{This: wall, Id: "vSPC"})
		}), "Host.Config.NetService", host.Reference()},
		"policy": {call(func() (any, error) {
			return methods.UpdateDefaultPolicy(one.ctx, client, &types.UpdateDefaultPolicy{This: wall})
		}), "Host.Config.NetService", host.Reference()},
		"refresh": {call(func() (any, error) {
			return methods.RefreshFirewall(one.ctx, client, &types.RefreshFirewall{This: wall})
		}), "Host.Config.NetService", host.Reference()},
		"start": {call(func() (any, error) {
			return methods.StartService(one.ctx, client, &types.StartService{This: served, Id: "ntpd"})
		}), "Host.Config.NetService", host.Reference()},
		"service policy": {call(func() (any, error) {
			return methods.UpdateServicePolicy(one.ctx, client, &types.UpdateServicePolicy{This: served, Id: "ntpd", Policy: "on"})
		}), "Host.Config.NetService", host.Reference()},
		"option": {call(func() (any, error) {
			return methods.UpdateOptions(one.ctx, client, &types.UpdateOptions{This: set})
		}), "Host.Config.AdvancedConfig", host.Reference()},
		"disconnect":  {call(func() (any, error) { return hosted.Disconnect(one.ctx) }), "Host.Config.Connection", host.Reference()},
		"maintenance": {call(func() (any, error) { return hosted.EnterMaintenanceMode(one.ctx, 0, false, nil) }), "Host.Config.Maintenance", host.Reference()},
		"remove":      {call(func() (any, error) { return hosted.Destroy(one.ctx) }), "Host.Inventory.RemoveHostFromCluster", host.Reference()},
		"add": {call(func() (any, error) {
			return object.NewClusterComputeResource(client.Client, cluster).AddHost(one.ctx, types.HostConnectSpec{HostName: "new"}, true, nil, nil)
		}), "Host.Inventory.AddHostToCluster", cluster},
		"sessions": {client.SessionManager.TerminateSession(one.ctx, []string{"x"}), "Sessions.TerminateSession", root},
		"folder": {call(func() (any, error) {
			return object.NewFolder(client.Client, root).CreateFolder(one.ctx, "new")
		}), "Folder.Create", root},
	} {
		denied(t, what, one.err, one.privilege, one.on)
	}
	if one.rulesets("DC0_C0_H1")["vSPC"].Enabled {
		t.Error("it is enabled nevertheless")
	}
}

func (s *site) cluster(name string) types.ManagedObjectReference {
	s.t.Helper()
	cluster, err := s.finder.ClusterComputeResource(s.ctx, name)
	s.must(err)
	return cluster.Reference()
}

func TestWhoMayOnlyReadSeesEverything(t *testing.T) {
	one := startWith(t)
	client := one.as("reader")

	found, err := view.NewManager(client.Client).CreateContainerView(one.ctx, client.ServiceContent.RootFolder, []string{"HostSystem"}, true)
	one.must(err)
	var hosts []mo.HostSystem
	one.must(found.Retrieve(one.ctx, []string{"HostSystem"}, []string{"name", "config.firewall"}, &hosts))
	_, err = methods.QueryOptions(one.ctx, client, &types.QueryOptions{This: one.options("DC0_C0_H1")})
	one.must(err)
	one.must(found.Destroy(one.ctx))
	one.must(client.Logout(one.ctx))

	if len(hosts) != 4 || hosts[0].Name == "" || hosts[0].Config == nil {
		t.Errorf("sees %+v", hosts)
	}
}

func TestAPrivilegeIsEnoughForItsMethodsAndForNoOthers(t *testing.T) {
	one := startWith(t)
	client := one.as("firewaller")

	_, err := methods.EnableRuleset(one.ctx, client, &types.EnableRuleset{This: one.firewall("DC0_C0_H1"), Id: "vSPC"})
	one.must(err)
	_, err = methods.StartService(one.ctx, client, &types.StartService{This: one.services("DC0_C0_H1"), Id: "ntpd"})
	one.must(err)
	_, err = methods.UpdateOptions(one.ctx, client, &types.UpdateOptions{This: one.options("DC0_C0_H1")})

	denied(t, "option", err, "Host.Config.AdvancedConfig", one.host("DC0_C0_H1").Reference())
	if !one.rulesets("DC0_C0_H1")["vSPC"].Enabled {
		t.Error("it is not enabled")
	}
}

func TestWhatSomeoneMayIsToldAsItIs(t *testing.T) {
	one := startWith(t)
	client := one.as("firewaller")
	host := one.host("DC0_C0_H1").Reference()
	ids := []string{"Host.Config.NetService", "Host.Config.AdvancedConfig", "System.Read"}
	manager := *client.ServiceContent.AuthorizationManager

	own, err := methods.HasPrivilegeOnEntity(one.ctx, client, &types.HasPrivilegeOnEntity{This: manager, Entity: host, PrivId: ids})
	one.must(err)
	named, err := methods.HasUserPrivilegeOnEntities(one.ctx, client, &types.HasUserPrivilegeOnEntities{
		This: manager, Entities: []types.ManagedObjectReference{host}, UserName: "reader", PrivId: ids,
	})
	one.must(err)
	all, err := methods.FetchUserPrivilegeOnEntities(one.ctx, client, &types.FetchUserPrivilegeOnEntities{
		This: manager, Entities: []types.ManagedObjectReference{host}, UserName: "firewaller",
	})
	one.must(err)

	if got := own.Returnval; !got[0] || got[1] || !got[2] {
		t.Errorf("has %v of %v", got, ids)
	}
	if got := named.Returnval[0].PrivAvailability; got[0].IsGranted || got[1].IsGranted || !got[2].IsGranted {
		t.Errorf("the reader has %+v", got)
	}
	if got := all.Returnval[0].Privileges; len(got) != 4 {
		t.Errorf("in all %v", got)
	}
}

func TestWhoHasNoAccessSeesNothing(t *testing.T) {
	one := startWith(t)
	client := one.as("nobody")
	host := one.host("DC0_C0_H1").Reference()
	root := client.ServiceContent.RootFolder
	asked := types.RetrievePropertiesEx{
		This: client.ServiceContent.PropertyCollector,
		SpecSet: []types.PropertyFilterSpec{{
			PropSet: []types.PropertySpec{{Type: "HostSystem", PathSet: []string{"name"}}, {Type: "ClusterComputeResource", PathSet: []string{"name"}}},
			ObjectSet: []types.ObjectSpec{{Obj: one.cluster("DC0_C0"), SelectSet: []types.BaseSelectionSpec{
				&types.TraversalSpec{Type: "ComputeResource", Path: "host"},
			}}},
		}},
	}

	answer, err := methods.RetrievePropertiesEx(one.ctx, client, &asked)
	one.must(err)
	_, viewed := view.NewManager(client.Client).CreateContainerView(one.ctx, root, nil, true)
	waited := property.Wait(one.ctx, property.DefaultCollector(client.Client), host, []string{"name"}, func([]types.PropertyChange) bool { return true })
	_, found := object.NewSearchIndex(client.Client).FindByInventoryPath(one.ctx, "/DC0")
	_, enabled := methods.EnableRuleset(one.ctx, client, &types.EnableRuleset{This: one.firewall("DC0_C0_H1"), Id: "vSPC"})

	objects := answer.Returnval.Objects
	if len(objects) != 1 || len(objects[0].PropSet) != 0 || len(objects[0].MissingSet) != 1 {
		t.Fatalf("sees %+v", objects)
	}
	denied(t, "property", soap.WrapVimFault(objects[0].MissingSet[0].Fault.Fault), "System.Read", one.cluster("DC0_C0"))
	denied(t, "view", viewed, "System.View", root)
	denied(t, "wait", waited, "System.View", host)
	denied(t, "enable", enabled, "Host.Config.NetService", host)
	denied(t, "find", found, "System.View", root)
	one.must(client.Logout(one.ctx))
}

func TestThereIsAPrivilegeForEachMethodOnce(t *testing.T) {
	seen := map[string]string{}
	for privilege, names := range methodPrivileges {
		for _, name := range strings.Fields(names) {
			if other, twice := seen[name]; twice {
				t.Errorf("%s needs %s and %s", name, privilege, other)
			}
			seen[name] = privilege
		}
	}
}

func TestAPathThatNamesNoPropertyFailsTheWholeCall(t *testing.T) {
	one := start(t, t.TempDir())
	ask := func(paths ...string) error {
		var host mo.HostSystem
		return one.client.RetrieveOne(one.ctx, one.host("DC0_C0_H1").Reference(), append([]string{"name"}, paths...), &host)
	}

	one.must(ask("runtime.connectionState"))
	for _, path := range []string{"nothing", "runtime.nothing", `runtime["x"]`, `config.firewall.ruleset["vSPC`} {
		var wrong *types.InvalidProperty
		if _, is := fault.As(ask(path), &wrong); !is || wrong.Name != path {
			t.Errorf("%s: %+v", path, wrong)
		}
	}
	if _, err := methods.RetrieveServiceContent(one.ctx, one.client, &types.RetrieveServiceContent{This: vim25.ServiceInstance}); err != nil {
		t.Error(err)
	}
}

func TestAClientIsToldOfMissingPrivilegesInWordsOfItsVersion(t *testing.T) {
	one := startWith(t)
	client := one.as("reader")
	request := &types.EnableRuleset{This: one.firewall("DC0_C0_H1"), Id: "vSPC"}

	for version, listed := range map[string]bool{"8.0.2.0": true, "7.0.3.2": true, "7.0.3.1": false, "7.0": false, "6.7.3": false, "": false} {
		client.Version = version
		_, err := methods.EnableRuleset(one.ctx, client, request)
		var missing *types.NoPermission
		if _, is := fault.As(err, &missing); !is || missing.PrivilegeId == "" || (len(missing.MissingPrivileges) > 0) != listed {
			t.Errorf("%s: %+v", version, missing)
		}
	}
}
