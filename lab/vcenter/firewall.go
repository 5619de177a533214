package main

import (
	"encoding/json"
	"net"
	"sort"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// firewall is one host's own firewall; the simulator's is one for all hosts and lacks half of the methods.
type firewall struct {
	*simulator.HostFirewallSystem
	host *simulator.HostSystem
}

// addFirewall gives a host rule sets of its own; vic-engine comes with vSphere 6.7 (facts/firewall.md).
func addFirewall(model *simulator.Model, host *simulator.HostSystem, version string) {
	ref := host.ConfigManager.FirewallSystem
	if ref == nil {
		return
	}
	system, ok := model.Map().Get(*ref).(*simulator.HostFirewallSystem)
	if !ok {
		return
	}
	own := new(types.HostFirewallInfo)
	copyOf(system.FirewallInfo, own)
	if since(version, 6, 7) {
		own.Ruleset = append(own.Ruleset, vicEngine())
	}
	system.FirewallInfo = own
	if host.Config != nil {
		host.Config.Firewall = own
	}
	model.Map().Put(&firewall{system, host})
}

func vicEngine() types.HostFirewallRuleset {
	return types.HostFirewallRuleset{
		Key:   "vic-engine",
		Label: "vic-engine",
		Rule: []types.HostFirewallRule{{
			Port:      2377,
			Direction: types.HostFirewallRuleDirectionOutbound,
			PortType:  types.HostFirewallRulePortTypeDst,
			Protocol:  "tcp",
		}},
		AllowedHosts: &types.HostFirewallRulesetIpList{AllIp: true},
	}
}

func (f *firewall) EnableRuleset(req *types.EnableRuleset) soap.HasFault {
	body := &methods.EnableRulesetBody{}
	if rule, fault := f.changeable(req.Id); fault != nil {
		body.Fault_ = simulator.Fault("", fault)
	} else {
		rule.Enabled = true
		body.Res = new(types.EnableRulesetResponse)
	}
	return body
}

func (f *firewall) DisableRuleset(req *types.DisableRuleset) soap.HasFault {
	body := &methods.DisableRulesetBody{}
	rule, fault := f.changeable(req.Id)
	switch {
	case fault != nil:
		body.Fault_ = simulator.Fault("", fault)
	case rule.Required:
		body.Fault_ = simulator.Fault("Ruleset "+req.Id+" is required and cannot be disabled.", new(types.HostConfigFault))
	default:
		rule.Enabled = false
		body.Res = new(types.DisableRulesetResponse)
	}
	return body
}

func (f *firewall) UpdateRuleset(req *types.UpdateRuleset) soap.HasFault {
	body := &methods.UpdateRulesetBody{}
	rule, fault := f.changeable(req.Id)
	switch {
	case fault != nil:
		body.Fault_ = simulator.Fault("", fault)
	case !valid(req.Spec.AllowedHosts):
		body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "spec.allowedHosts"})
	default:
		allowed := req.Spec.AllowedHosts
		rule.AllowedHosts = &allowed
		body.Res = new(types.UpdateRulesetResponse)
	}
	return body
}

func (f *firewall) RefreshFirewall(*types.RefreshFirewall) soap.HasFault {
	body := &methods.RefreshFirewallBody{}
	if fault := f.reachable(); fault != nil {
		body.Fault_ = simulator.Fault("", fault)
	} else {
		body.Res = new(types.RefreshFirewallResponse)
	}
	return body
}

func (f *firewall) UpdateDefaultPolicy(req *types.UpdateDefaultPolicy) soap.HasFault {
	body := &methods.UpdateDefaultPolicyBody{}
	if fault := f.reachable(); fault != nil {
		body.Fault_ = simulator.Fault("", fault)
	} else {
		f.FirewallInfo.DefaultPolicy = req.DefaultPolicy
		body.Res = new(types.UpdateDefaultPolicyResponse)
	}
	return body
}

// changeable finds a rule set for a change, or says why it can't be changed.
func (f *firewall) changeable(id string) (*types.HostFirewallRuleset, types.BaseMethodFault) {
	if fault := f.reachable(); fault != nil {
		return nil, fault
	}
	for i := range f.FirewallInfo.Ruleset {
		if f.FirewallInfo.Ruleset[i].Key == id {
			return &f.FirewallInfo.Ruleset[i], nil
		}
	}
	return nil, new(types.NotFound)
}

func (f *firewall) reachable() types.BaseMethodFault {
	if f.host.Runtime.ConnectionState == types.HostSystemConnectionStateConnected {
		return nil
	}
	return &types.HostNotConnected{}
}

func valid(list types.HostFirewallRulesetIpList) bool {
	for _, address := range list.IpAddress {
		if net.ParseIP(address) == nil {
			return false
		}
	}
	for _, network := range list.IpNetwork {
		ip := net.ParseIP(network.Network)
		if ip == nil || network.PrefixLength < 0 || int(network.PrefixLength) > bits(ip) {
			return false
		}
	}
	return true
}

func bits(ip net.IP) int {
	if ip.To4() != nil {
		return 32
	}
	return 128
}

// since says whether a version is the given one or later.
func since(version string, major, minor int) bool {
	parts := append(strings.Split(version, "."), "0")
	a, _ := strconv.Atoi(parts[0])
	b, _ := strconv.Atoi(parts[1])
	return a > major || a == major && b >= minor
}

func copyOf(from, to any) {
	data, _ := json.Marshal(from)
	_ = json.Unmarshal(data, to)
}

// inOrder lists the objects of a kind by name: the registry's own order is that of a Go map.
func inOrder(model *simulator.Model, kind string) []mo.Entity {
	all := model.Map().All(kind)
	sort.Slice(all, func(i, j int) bool { return all[i].Entity().Name < all[j].Entity().Name })
	return all
}
