package main

import (
	"context"
	"encoding/json"
	"reflect"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// hostRecord is what differs between a host and a new one.
type hostRecord struct {
	Connection  types.HostSystemConnectionState  `json:"connection,omitempty"`
	Maintenance bool                             `json:"maintenance,omitempty"`
	Policy      *types.HostFirewallDefaultPolicy `json:"policy,omitempty"`
	Rulesets    []rulesetRecord                  `json:"rulesets,omitempty"`
	Services    []serviceRecord                  `json:"services,omitempty"`
	Options     map[string]any                   `json:"options,omitempty"`
	Network     *networkRecord                   `json:"network,omitempty"`
}

// rulesetRecord is what can change of a ruleset.
type rulesetRecord struct {
	Key          string                           `json:"key"`
	Enabled      bool                             `json:"enabled"`
	AllowedHosts *types.HostFirewallRulesetIpList `json:"allowedHosts,omitempty"`
}

// serviceRecord is what can change of a service.
type serviceRecord struct {
	Key     string `json:"key"`
	Running bool   `json:"running"`
	Policy  string `json:"policy"`
}

// hostRecords are those of all hosts that differ from a new one, each encoded when it was last changed.
type hostRecords struct {
	mo.SearchIndex
	model   *simulator.Model
	changed func()
	encoded map[string]json.RawMessage
	mu      sync.Mutex
	touched map[types.ManagedObjectReference]bool // since they were encoded
}

func newHostRecords(model *simulator.Model, changed func()) *hostRecords {
	return &hostRecords{
		model:   model,
		changed: changed,
		encoded: map[string]json.RawMessage{},
		touched: map[types.ManagedObjectReference]bool{},
	}
}

// touch makes a host be encoded anew.
func (h *hostRecords) touch(ref types.ManagedObjectReference) {
	if ref.Type != "HostSystem" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.touched[ref] = true
}

// take gives the hosts that were touched; from then on they count as encoded.
func (h *hostRecords) take() map[types.ManagedObjectReference]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	touched := h.touched
	h.touched = map[types.ManagedObjectReference]bool{}
	return touched
}

// encode gives the records of all hosts that differ from a new one.
func (h *hostRecords) encode(locked func(mo.Reference, func())) (map[string]json.RawMessage, error) {
	touched := h.take()
	for ref := range touched {
		if err := h.encodeOne(ref, locked); err != nil {
			for again := range touched {
				h.touch(again)
			}
			return nil, err
		}
	}
	return h.encoded, nil
}

func (h *hostRecords) encodeOne(ref types.ManagedObjectReference, locked func(mo.Reference, func())) error {
	delete(h.encoded, ref.Value)
	host, ok := h.model.Map().Get(ref).(*simulator.HostSystem)
	if !ok {
		return nil // it is gone
	}
	one := h.recordOf(host, locked)
	if reflect.ValueOf(one).IsZero() {
		return nil
	}
	text, err := json.Marshal(one)
	if err == nil {
		h.encoded[ref.Value] = text
	}
	return err
}

func (h *hostRecords) recordOf(host *simulator.HostSystem, locked func(mo.Reference, func())) hostRecord {
	var one hostRecord
	locked(host, func() {
		one.Maintenance = host.Runtime.InMaintenanceMode
		if host.Runtime.ConnectionState != types.HostSystemConnectionStateConnected {
			one.Connection = host.Runtime.ConnectionState
		}
	})
	if system := firewallOf(h.model, host); system != nil {
		locked(system, func() { one.Policy, one.Rulesets = system.changes() })
	}
	if system := servicesOf(h.model, host); system != nil {
		locked(system, func() { one.Services = system.changes() })
	}
	if options := advancedOf(h.model, host); options != nil {
		locked(options, func() { one.Options = options.changes() })
	}
	if system := networkOfHost(h.model, host); system != nil {
		locked(system, func() { one.Network = system.changes(h.model.Map()) })
	}
	return one
}

func firewallOf(model *simulator.Model, host *simulator.HostSystem) *firewall {
	system, _ := model.Map().Get(*host.ConfigManager.FirewallSystem).(*firewall)
	return system
}

func servicesOf(model *simulator.Model, host *simulator.HostSystem) *services {
	system, _ := model.Map().Get(*host.ConfigManager.ServiceSystem).(*services)
	return system
}

func advancedOf(model *simulator.Model, host *simulator.HostSystem) *advanced {
	options, _ := model.Map().Get(*host.ConfigManager.AdvancedOption).(*advanced)
	return options
}

// restore makes a new host what its record says.
func (h *hostRecords) restore(host *simulator.HostSystem, one hostRecord) {
	if one.Connection != "" {
		host.Runtime.ConnectionState = one.Connection
	}
	host.Runtime.InMaintenanceMode = one.Maintenance
	if system := firewallOf(h.model, host); system != nil {
		system.restore(one.Policy, one.Rulesets)
	}
	if system := servicesOf(h.model, host); system != nil {
		system.restore(one.Services)
	}
	if options := advancedOf(h.model, host); options != nil {
		options.restore(one.Options)
	}
	if system := networkOfHost(h.model, host); system != nil {
		system.restore(&simulator.Context{Context: context.Background(), Map: h.model.Map()}, one.Network)
	}
	h.touch(host.Self)
}

func (*hostRecords) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "LabRules", Value: "hosts"}
}

func (h *hostRecords) PutObject(_ *simulator.Context, object mo.Reference) {
	h.look(object.Reference())
}

// UpdateObject comes while the object is still locked: nobody can have seen the change yet.
func (h *hostRecords) UpdateObject(_ *simulator.Context, object mo.Reference, _ []types.PropertyChange) {
	h.look(object.Reference())
}

func (h *hostRecords) RemoveObject(_ *simulator.Context, ref types.ManagedObjectReference) {
	h.look(ref)
}

func (h *hostRecords) look(ref types.ManagedObjectReference) {
	if ref.Type == "HostSystem" {
		h.touch(ref)
		h.changed()
	}
}
