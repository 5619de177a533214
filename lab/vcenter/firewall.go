package main

import (
	"encoding/json"
	"net"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// firewall is one host's own firewall; the simulator's is one for all hosts and lacks half of the methods.
type firewall struct {
	*simulator.HostFirewallSystem
	host *simulator.HostSystem
}

// addFirewall gives a host rulesets of its own; vic-engine comes with vSphere 6.7 (facts/firewall.md).
func addFirewall(registry *simulator.Registry, host *simulator.HostSystem, of release) {
	system, ok := registry.Get(*host.ConfigManager.FirewallSystem).(*simulator.HostFirewallSystem)
	if !ok {
		return
	}
	if of.since(6, 7) {
		system.FirewallInfo.Ruleset = append(slices.Clip(system.FirewallInfo.Ruleset), vicEngine())
	}
	host.Config.Firewall = system.FirewallInfo
	registry.Put(&firewall{system, host})
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

func (f *firewall) EnableRuleset(ctx *simulator.Context, req *types.EnableRuleset) soap.HasFault {
	fault := f.change(ctx, req.Id, func(rule *types.HostFirewallRuleset) types.BaseMethodFault {
		rule.Enabled = true
		return nil
	})
	if fault != nil {
		return &methods.EnableRulesetBody{Fault_: explained(fault)}
	}
	return &methods.EnableRulesetBody{Res: new(types.EnableRulesetResponse)}
}

// DisableRuleset answers HostConfigFault for a required ruleset: the reference knows that and NotFound, nothing else.
func (f *firewall) DisableRuleset(ctx *simulator.Context, req *types.DisableRuleset) soap.HasFault {
	fault := f.change(ctx, req.Id, func(rule *types.HostFirewallRuleset) types.BaseMethodFault {
		if rule.Required {
			return new(types.HostConfigFault)
		}
		rule.Enabled = false
		return nil
	})
	if fault != nil {
		return &methods.DisableRulesetBody{Fault_: explained(fault)}
	}
	return &methods.DisableRulesetBody{Res: new(types.DisableRulesetResponse)}
}

func (f *firewall) UpdateRuleset(ctx *simulator.Context, req *types.UpdateRuleset) soap.HasFault {
	fault := f.change(ctx, req.Id, func(rule *types.HostFirewallRuleset) types.BaseMethodFault {
		allowed := req.Spec.AllowedHosts
		if wrong := wrongPart(allowed); wrong != "" {
			return &types.InvalidArgument{InvalidProperty: wrong}
		}
		rule.AllowedHosts = &allowed
		return nil
	})
	if fault != nil {
		return &methods.UpdateRulesetBody{Fault_: explained(fault)}
	}
	return &methods.UpdateRulesetBody{Res: new(types.UpdateRulesetResponse)}
}

func (f *firewall) RefreshFirewall(*types.RefreshFirewall) soap.HasFault {
	if fault := f.reachable(); fault != nil {
		return &methods.RefreshFirewallBody{Fault_: explained(fault)}
	}
	return &methods.RefreshFirewallBody{Res: new(types.RefreshFirewallResponse)}
}

// UpdateDefaultPolicy leaves what isn't set as it was, as the reference says.
func (f *firewall) UpdateDefaultPolicy(ctx *simulator.Context, req *types.UpdateDefaultPolicy) soap.HasFault {
	if fault := f.reachable(); fault != nil {
		return &methods.UpdateDefaultPolicyBody{Fault_: explained(fault)}
	}
	info := copyOf(f.FirewallInfo)
	if incoming := req.DefaultPolicy.IncomingBlocked; incoming != nil {
		info.DefaultPolicy.IncomingBlocked = incoming
	}
	if outgoing := req.DefaultPolicy.OutgoingBlocked; outgoing != nil {
		info.DefaultPolicy.OutgoingBlocked = outgoing
	}
	f.put(ctx, info)
	return &methods.UpdateDefaultPolicyBody{Res: new(types.UpdateDefaultPolicyResponse)}
}

// change does something to one ruleset, or says why it can't be done. It works on a copy: all hosts start with one list.
func (f *firewall) change(
	ctx *simulator.Context, id string, how func(*types.HostFirewallRuleset) types.BaseMethodFault,
) types.BaseMethodFault {
	if fault := f.reachable(); fault != nil {
		return fault
	}
	info := copyOf(f.FirewallInfo)
	for i := range info.Ruleset {
		if info.Ruleset[i].Key == id {
			fault := how(&info.Ruleset[i])
			if fault == nil {
				f.put(ctx, info)
			}
			return fault
		}
	}
	return new(types.NotFound)
}

// put makes new settings the host's; who waits for updates of the firewall or of the host hears of it.
func (f *firewall) put(ctx *simulator.Context, info *types.HostFirewallInfo) {
	ctx.Update(f, []types.PropertyChange{{Name: "firewallInfo", Val: *info}})
	ctx.Map.AtomicUpdate(ctx, f.host, []types.PropertyChange{{Name: "config.firewall", Val: *info}})
}

func (f *firewall) reachable() types.BaseMethodFault {
	if connected(f.host) {
		return nil
	}
	return new(types.HostNotConnected)
}

// wrongPart names the first part of a list of allowed hosts that a host would not take; empty means that all is well.
func wrongPart(list types.HostFirewallRulesetIpList) string {
	for _, address := range list.IpAddress {
		if net.ParseIP(address) == nil {
			return "spec.allowedHosts.ipAddress"
		}
	}
	for _, network := range list.IpNetwork {
		ip := net.ParseIP(network.Network)
		if ip == nil || network.PrefixLength < 0 || int(network.PrefixLength) > bits(ip) {
			return "spec.allowedHosts.ipNetwork"
		}
	}
	return ""
}

func bits(ip net.IP) int {
	if ip.To4() != nil {
		return 8 * net.IPv4len
	}
	return 8 * net.IPv6len
}

// copyOf is a deep copy of plain data.
func copyOf[T any](from *T) *T {
	to := new(T)
	data, _ := json.Marshal(from)
	_ = json.Unmarshal(data, to)
	return to
}
