package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func (s *site) firewall(host string) types.ManagedObjectReference {
	s.t.Helper()
	var properties mo.HostSystem
	s.must(s.host(host).Properties(s.ctx, s.host(host).Reference(), []string{"configManager.firewallSystem"}, &properties))
	return *properties.ConfigManager.FirewallSystem
}

func (s *site) rulesets(host string) map[string]types.HostFirewallRuleset {
	s.t.Helper()
	var properties mo.HostFirewallSystem
	s.must(s.client.RetrieveOne(s.ctx, s.firewall(host), []string{"firewallInfo"}, &properties))
	found := map[string]types.HostFirewallRuleset{}
	for _, rule := range properties.FirewallInfo.Ruleset {
		found[rule.Key] = rule
	}
	return found
}

func (s *site) enable(host, key string) error {
	_, err := methods.EnableRuleset(s.ctx, s.client, &types.EnableRuleset{This: s.firewall(host), Id: key})
	return err
}

func (s *site) disable(host, key string) error {
	_, err := methods.DisableRuleset(s.ctx, s.client, &types.DisableRuleset{This: s.firewall(host), Id: key})
	return err
}

func (s *site) allow(host, key string, list types.HostFirewallRulesetIpList) error {
	spec := types.HostFirewallRulesetRulesetSpec{AllowedHosts: list}
	_, err := methods.UpdateRuleset(s.ctx, s.client, &types.UpdateRuleset{This: s.firewall(host), Id: key, Spec: spec})
	return err
}

var everyHost = []string{"DC0_C0_H0", "DC0_C0_H1", "DC0_C0_H2", "DC0_H0"}

func TestEachHostHasRulesetsOfItsOwn(t *testing.T) {
	pairs := usualSize // two hosts of each version
	pairs.ClusterHosts = 2 * len(clusterReleases)
	one := startSized(t, t.TempDir(), pairs)

	one.must(one.enable("DC0_C0_H0", "vSPC"))

	for _, host := range append([]string{"DC0_C0_H3", "DC0_C0_H4", "DC0_C0_H5"}, everyHost...) {
		if got := one.rulesets(host)["vSPC"].Enabled; got != (host == "DC0_C0_H0") {
			t.Errorf("%s: vSPC enabled is %v", host, got)
		}
	}
}

func TestVicEngineIsThereSinceVSphere67AndOpensOnePortOutward(t *testing.T) {
	one := start(t, t.TempDir())

	for _, host := range everyHost {
		rule, there := one.rulesets(host)["vic-engine"]
		if there != (host != "DC0_C0_H0") || rule.Enabled {
			t.Errorf("%s: vic-engine is there: %v, enabled: %v", host, there, rule.Enabled)
		}
		if !there {
			continue
		}
		if len(rule.Rule) != 1 || rule.Rule[0].Port != 2377 || rule.Rule[0].Direction != "outbound" || rule.Rule[0].Protocol != "tcp" {
			t.Errorf("%s: %+v", host, rule.Rule)
		}
	}
}

func TestARulesetIsDisabledAgain(t *testing.T) {
	one := start(t, t.TempDir())
	one.must(one.enable("DC0_C0_H1", "vSPC"))

	one.must(one.disable("DC0_C0_H1", "vSPC"))

	if one.rulesets("DC0_C0_H1")["vSPC"].Enabled {
		t.Error("it is enabled")
	}
}

func TestARequiredRulesetStaysEnabled(t *testing.T) {
	one := start(t, t.TempDir())

	for _, key := range []string{"sshServer", "vSphereClient"} {
		err := one.disable("DC0_C0_H1", key)
		expect[*types.HostConfigFault](t, err)
		if rule := one.rulesets("DC0_C0_H1")[key]; !rule.Required || !rule.Enabled {
			t.Errorf("%s: required %v, enabled %v", key, rule.Required, rule.Enabled)
		}
	}
}

func TestAnUnknownRulesetIsNotFound(t *testing.T) {
	one := start(t, t.TempDir())

	expect[*types.NotFound](t, one.enable("DC0_C0_H1", "nothing"))
	expect[*types.NotFound](t, one.disable("DC0_C0_H1", "nothing"))
	expect[*types.NotFound](t, one.allow("DC0_C0_H1", "nothing", types.HostFirewallRulesetIpList{AllIp: true}))
	expect[*types.NotFound](t, one.enable("DC0_C0_H0", "vic-engine"))
}

func TestAFaultComesWithASentence(t *testing.T) {
	one := start(t, t.TempDir())

	err := one.enable("DC0_C0_H1", "nothing")

	if err == nil || !strings.Contains(err.Error(), "could not be found") {
		t.Errorf("got %v", err)
	}
}

func TestAllowedHostsAreKept(t *testing.T) {
	one := start(t, t.TempDir())
	list := types.HostFirewallRulesetIpList{
		IpAddress: []string{"192.0.2.1", "2001:db8::1"},
		IpNetwork: []types.HostFirewallRulesetIpNetwork{{Network: "198.51.100.0", PrefixLength: 24}},
	}

	one.must(one.allow("DC0_C0_H1", "vSPC", list))

	got := one.rulesets("DC0_C0_H1")["vSPC"].AllowedHosts
	if got.AllIp || len(got.IpAddress) != 2 || len(got.IpNetwork) != 1 || got.IpNetwork[0].PrefixLength != 24 {
		t.Errorf("got %+v", got)
	}
	if other := one.rulesets("DC0_C0_H2")["vSPC"].AllowedHosts; len(other.IpAddress) != 0 {
		t.Errorf("another host got %+v", other)
	}
}

func TestAllowedHostsThatAreNoneAreRefused(t *testing.T) {
	one := start(t, t.TempDir())
	network := func(text string, prefix int32) types.HostFirewallRulesetIpList {
		return types.HostFirewallRulesetIpList{IpNetwork: []types.HostFirewallRulesetIpNetwork{{Network: text, PrefixLength: prefix}}}
	}

	for _, list := range []types.HostFirewallRulesetIpList{
		{IpAddress: []string{"nowhere"}}, {IpAddress: []string{"192.0.2.0/24"}},
		network("nowhere", 8), network("192.0.2.0", 33), network("192.0.2.0", -1), network("2001:db8::", 129),
	} {
		if err := one.allow("DC0_C0_H1", "vSPC", list); !fault.Is(err, new(types.InvalidArgument)) {
			t.Errorf("%+v: %v", list, err)
		}
	}
	if got := one.rulesets("DC0_C0_H1")["vSPC"].AllowedHosts; len(got.IpAddress)+len(got.IpNetwork) != 0 {
		t.Errorf("kept %+v", got)
	}
}

func TestTheDefaultPolicyIsChangedInPart(t *testing.T) {
	one := start(t, t.TempDir())
	request := &types.UpdateDefaultPolicy{This: one.firewall("DC0_C0_H1")}
	request.DefaultPolicy.OutgoingBlocked = types.NewBool(false)
	policy := func() types.HostFirewallDefaultPolicy {
		var system mo.HostFirewallSystem
		one.must(one.client.RetrieveOne(one.ctx, request.This, []string{"firewallInfo"}, &system))
		return system.FirewallInfo.DefaultPolicy
	}
	before := policy()

	_, err := methods.UpdateDefaultPolicy(one.ctx, one.client, request)
	one.must(err)

	after := policy()
	if *after.OutgoingBlocked || *after.IncomingBlocked != *before.IncomingBlocked || !*before.OutgoingBlocked {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestTheFirewallIsRefreshed(t *testing.T) {
	one := start(t, t.TempDir())

	_, err := methods.RefreshFirewall(one.ctx, one.client, &types.RefreshFirewall{This: one.firewall("DC0_C0_H1")})

	one.must(err)
}

func TestAHostTellsOfItsFirewallToo(t *testing.T) {
	one := start(t, t.TempDir())
	one.must(one.enable("DC0_C0_H1", "vSPC"))
	var host mo.HostSystem

	one.must(one.host("DC0_C0_H1").Properties(one.ctx, one.host("DC0_C0_H1").Reference(), []string{"config.firewall"}, &host))

	for _, rule := range host.Config.Firewall.Ruleset {
		if rule.Key == "vSPC" && !rule.Enabled {
			t.Error("config.firewall says that vSPC is disabled")
		}
	}
}

func TestWhoWaitsForAChangeOfTheFirewallHearsOfIt(t *testing.T) {
	one := start(t, t.TempDir())
	ctx, cancel := context.WithTimeout(one.ctx, 20*time.Second)
	defer cancel()
	first, heard := make(chan bool, 1), make(chan error, 1)
	go func() {
		heard <- property.Wait(ctx, property.DefaultCollector(one.client.Client), one.firewall("DC0_C0_H1"), []string{"firewallInfo"},
			func(changes []types.PropertyChange) bool {
				select {
				case first <- true:
				default:
				}
				for _, change := range changes {
					for _, rule := range change.Val.(types.HostFirewallInfo).Ruleset {
						if rule.Key == "vSPC" && rule.Enabled {
							return true
						}
					}
				}
				return false
			})
	}()
	<-first

	one.must(one.enable("DC0_C0_H1", "vSPC"))

	one.must(<-heard)
}

func TestADisconnectedHostCannotBeChangedUntilItIsBack(t *testing.T) {
	one := start(t, t.TempDir())
	one.done(one.host("DC0_C0_H1").Disconnect(one.ctx))

	refused := map[string]error{
		"enable":  one.enable("DC0_C0_H1", "vSPC"),
		"disable": one.disable("DC0_C0_H1", "vSPC"),
		"allow":   one.allow("DC0_C0_H1", "vSPC", types.HostFirewallRulesetIpList{AllIp: true}),
	}
	_, refused["refresh"] = methods.RefreshFirewall(one.ctx, one.client, &types.RefreshFirewall{This: one.firewall("DC0_C0_H1")})
	_, refused["policy"] = methods.UpdateDefaultPolicy(one.ctx, one.client, &types.UpdateDefaultPolicy{This: one.firewall("DC0_C0_H1")})
	_, refused["service"] = methods.StartService(one.ctx, one.client, &types.StartService{This: one.services("DC0_C0_H1"), Id: "TSM"})

	for what, err := range refused {
		if !fault.Is(err, new(types.HostNotConnected)) {
			t.Errorf("%s: %v", what, err)
		}
	}
	one.done(one.host("DC0_C0_H1").Reconnect(one.ctx, nil, nil))
	one.must(one.enable("DC0_C0_H1", "vSPC"))
}
