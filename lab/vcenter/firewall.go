package main

import (
	"net"
	"reflect"
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
	born types.HostFirewallInfo // what a new host's is
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
	host.Config.Firewall = copyOfInfo(system.FirewallInfo)
	registry.Put(&firewall{system, host, *copyOfInfo(system.FirewallInfo)})
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
	info := copyOfInfo(f.FirewallInfo)
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
// What a ruleset points to is shared, so it may be replaced and never changed.
func (f *firewall) change(
	ctx *simulator.Context, id string, how func(*types.HostFirewallRuleset) types.BaseMethodFault,
) types.BaseMethodFault {
	if fault := f.reachable(); fault != nil {
		return fault
	}
	info := copyOfInfo(f.FirewallInfo)
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

// copyOfInfo is a copy with a list of rulesets of its own.
func copyOfInfo(from *types.HostFirewallInfo) *types.HostFirewallInfo {
	to := *from
	to.Ruleset = slices.Clone(from.Ruleset)
	return &to
}

// changes are what differs from a new host; nothing where nothing does.
func (f *firewall) changes() (*types.HostFirewallDefaultPolicy, []rulesetRecord) {
	var policy *types.HostFirewallDefaultPolicy
	if now := f.FirewallInfo.DefaultPolicy; !reflect.DeepEqual(now, f.born.DefaultPolicy) {
		policy = &now
	}
	var changed []rulesetRecord
	for i, now := range f.FirewallInfo.Ruleset {
		if before := f.born.Ruleset[i]; now.Enabled != before.Enabled || !reflect.DeepEqual(now.AllowedHosts, before.AllowedHosts) {
			changed = append(changed, rulesetRecord{now.Key, now.Enabled, now.AllowedHosts})
		}
	}
	return policy, changed
}

// restore makes a new host's firewall what the records say; a ruleset that it doesn't have any more is left out.
func (f *firewall) restore(policy *types.HostFirewallDefaultPolicy, changed []rulesetRecord) {
	info := copyOfInfo(f.FirewallInfo)
	if policy != nil {
		info.DefaultPolicy = *policy
	}
	for _, one := range changed {
		for i := range info.Ruleset {
			if info.Ruleset[i].Key == one.Key {
				info.Ruleset[i].Enabled, info.Ruleset[i].AllowedHosts = one.Enabled, one.AllowedHosts
			}
		}
	}
	f.FirewallInfo, f.host.Config.Firewall = info, copyOfInfo(info)
}
