package main

import (
	"testing"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

// ask reads properties of one object as they stand in the answer.
func (s *site) ask(of types.ManagedObjectReference, paths ...string) types.ObjectContent {
	s.t.Helper()
	answer, err := methods.RetrievePropertiesEx(s.ctx, s.client, &types.RetrievePropertiesEx{
		This: s.client.ServiceContent.PropertyCollector,
		SpecSet: []types.PropertyFilterSpec{{
			PropSet:   []types.PropertySpec{{Type: of.Type, PathSet: paths}},
			ObjectSet: []types.ObjectSpec{{Obj: of}},
		}},
	})
	s.must(err)
	return answer.Returnval.Objects[0]
}

func TestOneElementOfAListIsReadByItsKey(t *testing.T) {
	one := start(t, t.TempDir())
	one.must(one.enable("DC0_C0_H1", "vSPC"))
	one.must(one.set("DC0_C0_H1", "Syslog.global.logHost", "tcp://log"))
	system, served, set := one.firewall("DC0_C0_H1"), one.services("DC0_C0_H1"), one.options("DC0_C0_H1")
	host := one.host("DC0_C0_H1").Reference()

	for path, of := range map[string]types.ManagedObjectReference{
		`firewallInfo.ruleset["vSPC"]`: system, `config.firewall.ruleset["vSPC"]`: host,
	} {
		rule, ok := one.ask(of, path).PropSet[0].Val.(types.HostFirewallRuleset)
		if !ok || rule.Key != "vSPC" || !rule.Enabled || rule.AllowedHosts == nil {
			t.Errorf("%s is %+v", path, rule)
		}
	}
	if enabled := one.ask(system, `firewallInfo.ruleset["vSPC"].enabled`).PropSet[0].Val; enabled != true {
		t.Errorf("it is %v", enabled)
	}
	if service, ok := one.ask(served, `serviceInfo.service["ntpd"]`).PropSet[0].Val.(types.HostService); !ok || service.Key != "ntpd" {
		t.Errorf("the service is %+v", service)
	}
	if option, ok := one.ask(set, `setting["Syslog.global.logHost"]`).PropSet[0].Val.(types.OptionValue); !ok || option.Value != "tcp://log" {
		t.Errorf("the option is %+v", option)
	}
	if def, ok := one.ask(set, `supportedOption["Syslog.global.logHost"]`).PropSet[0].Val.(types.OptionDef); !ok || def.Key != "Syslog.global.logHost" {
		t.Errorf("its definition is %+v", def)
	}
}

func TestAKeyThatAListLacksIsLeftOut(t *testing.T) {
	one := start(t, t.TempDir())

	for path, of := range map[string]types.ManagedObjectReference{
		`firewallInfo.ruleset["nothing"]`:         one.firewall("DC0_C0_H1"),
		`firewallInfo.ruleset["nothing"].enabled`: one.firewall("DC0_C0_H1"),
		`firewallInfo.ruleset["vic-engine"]`:      one.firewall("DC0_C0_H0"),
		`serviceInfo.service["nothing"]`:          one.services("DC0_C0_H1"),
		`setting["nothing"]`:                      one.options("DC0_C0_H1"),
		`supportedOption["nothing"]`:              one.options("DC0_C0_H1"),
		`config.option["nothing"]`:                one.host("DC0_C0_H1").Reference(),
	} {
		if got := one.ask(of, path); len(got.PropSet) != 0 || len(got.MissingSet) != 0 {
			t.Errorf("%s: %+v", path, got)
		}
	}
}
