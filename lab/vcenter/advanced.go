package main

import (
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// advanced is one host's own advanced options; the simulator's know no types and take any key.
type advanced struct {
	mo.OptionManager
	host    *simulator.HostSystem
	product release
}

// addAdvanced gives a host the options that its release has, each at its default.
func addAdvanced(registry *simulator.Registry, host *simulator.HostSystem, of release) {
	options := &advanced{host: host, product: of}
	options.Self = *host.ConfigManager.AdvancedOption
	for _, one := range advancedOptions {
		if of.since(one.major, one.minor) {
			options.SupportedOption = append(options.SupportedOption, one.def)
			options.Setting = append(options.Setting, &types.OptionValue{Key: one.def.Key, Value: defaultOf(one.def)})
		}
	}
	registry.Put(options)
	host.Config.Option, host.Config.OptionDef = slices.Clone(options.Setting), options.SupportedOption
}

// QueryOptions gives one option, or all below a name that ends with a dot (vSphere API reference).
func (a *advanced) QueryOptions(req *types.QueryOptions) soap.HasFault {
	if !connected(a.host) {
		return &methods.QueryOptionsBody{Fault_: explained(new(types.HostNotConnected))}
	}
	var found []types.BaseOptionValue
	for _, setting := range a.Setting {
		key := setting.GetOptionValue().Key
		if req.Name == "" || key == req.Name || strings.HasSuffix(req.Name, ".") && strings.HasPrefix(key, req.Name) {
			found = append(found, setting)
		}
	}
	if found == nil {
		return &methods.QueryOptionsBody{Fault_: explained(&types.InvalidName{Name: req.Name})}
	}
	return &methods.QueryOptionsBody{Res: &types.QueryOptionsResponse{Returnval: found}}
}

// UpdateOptions changes one option after the other and ends at the first that it refuses: those before it are changed
// (vSphere API reference: "the operation is not atomic").
func (a *advanced) UpdateOptions(ctx *simulator.Context, req *types.UpdateOptions) soap.HasFault {
	if !connected(a.host) {
		return &methods.UpdateOptionsBody{Fault_: explained(new(types.HostNotConnected))}
	}
	settings := slices.Clone(a.Setting)
	var fault types.BaseMethodFault
	for _, change := range req.ChangedValue {
		wanted := change.GetOptionValue()
		if fault = a.wrong(wanted); fault != nil {
			break
		}
		settings[a.place(wanted.Key)] = &types.OptionValue{Key: wanted.Key, Value: wanted.Value}
	}
	a.put(ctx, settings)
	if fault != nil {
		return &methods.UpdateOptionsBody{Fault_: explained(fault)}
	}
	return &methods.UpdateOptionsBody{Res: new(types.UpdateOptionsResponse)}
}

// put makes new settings the host's; who waits for updates of the options or of the host hears of it.
func (a *advanced) put(ctx *simulator.Context, settings []types.BaseOptionValue) {
	ctx.Update(a, []types.PropertyChange{{Name: "setting", Val: settings}})
	ctx.Map.AtomicUpdate(ctx, a.host, []types.PropertyChange{{Name: "config.option", Val: slices.Clone(settings)}})
}

// place is where an option stands in both lists; -1 if the host has none of the name.
func (a *advanced) place(key string) int {
	return slices.IndexFunc(a.SupportedOption, func(def types.OptionDef) bool { return def.Key == key })
}

// wrong says why a host would not take a value. One before 7.0 doesn't say of which option
// (https://github.com/ansible/ansible/issues/41212).
func (a *advanced) wrong(wanted *types.OptionValue) types.BaseMethodFault {
	place := a.place(wanted.Key)
	if place < 0 {
		return &types.InvalidName{Name: wanted.Key}
	}
	kind := a.SupportedOption[place].OptionType
	if locked := kind.GetOptionType().ValueIsReadonly; locked != nil && *locked || !takes(kind, wanted.Value) {
		fault := new(types.InvalidArgument)
		if a.product.since(7, 0) {
			fault.InvalidProperty = wanted.Key
		}
		return fault
	}
	return nil
}

// takes says whether a value is of the option's very type, and one that it allows: an xsd:int is no xsd:long.
func takes(kind types.BaseOptionType, value types.AnyType) bool {
	switch kind := kind.(type) {
	case *types.BoolOption:
		_, ok := value.(bool)
		return ok
	case *types.IntOption:
		number, ok := value.(int32)
		return ok && kind.Min <= number && number <= kind.Max
	case *types.LongOption:
		number, ok := value.(int64)
		return ok && kind.Min <= number && number <= kind.Max
	case *types.StringOption:
		_, ok := value.(string)
		return ok
	case *types.ChoiceOption:
		choice, ok := value.(string)
		return ok && slices.ContainsFunc(kind.ChoiceInfo, func(one types.BaseElementDescription) bool {
			return one.GetElementDescription().Key == choice
		})
	}
	return false
}

func defaultOf(def types.OptionDef) types.AnyType {
	switch kind := def.OptionType.(type) {
	case *types.BoolOption:
		return kind.DefaultValue
	case *types.IntOption:
		return kind.DefaultValue
	case *types.LongOption:
		return kind.DefaultValue
	case *types.StringOption:
		return kind.DefaultValue
	case *types.ChoiceOption:
		return kind.ChoiceInfo[kind.DefaultIndex].GetElementDescription().Key
	}
	return nil
}

// changes are the options that differ from a new host's, by key.
func (a *advanced) changes() map[string]any {
	var changed map[string]any
	for i, setting := range a.Setting {
		if one := setting.GetOptionValue(); one.Value != defaultOf(a.SupportedOption[i]) {
			if changed == nil {
				changed = map[string]any{}
			}
			changed[one.Key] = one.Value
		}
	}
	return changed
}

// restore makes a new host's options what the record says; JSON has one kind of number, the option knows which it is.
func (a *advanced) restore(changed map[string]any) {
	for i, def := range a.SupportedOption {
		value, ok := changed[def.Key]
		if !ok {
			continue
		}
		if number, ok := value.(float64); ok {
			value = numberOf(def.OptionType, number)
		}
		a.Setting[i] = &types.OptionValue{Key: def.Key, Value: value}
	}
	a.host.Config.Option = slices.Clone(a.Setting)
}

func numberOf(kind types.BaseOptionType, number float64) types.AnyType {
	if _, ok := kind.(*types.IntOption); ok {
		return int32(number)
	}
	return int64(number)
}
