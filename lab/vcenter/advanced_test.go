package main

import (
	"fmt"
	"testing"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func (s *site) options(host string) types.ManagedObjectReference {
	s.t.Helper()
	var properties mo.HostSystem
	s.must(s.host(host).Properties(s.ctx, s.host(host).Reference(), []string{"configManager.advancedOption"}, &properties))
	return *properties.ConfigManager.AdvancedOption
}

func (s *site) query(host, name string) ([]types.BaseOptionValue, error) {
	answer, err := methods.QueryOptions(s.ctx, s.client, &types.QueryOptions{This: s.options(host), Name: name})
	if err != nil {
		return nil, err
	}
	return answer.Returnval, nil
}

func (s *site) option(host, key string) types.AnyType {
	s.t.Helper()
	found, err := s.query(host, key)
	s.must(err)
	return found[0].GetOptionValue().Value
}

// set changes options one after the other, given as key, value, key, value.
func (s *site) set(host string, pairs ...any) error {
	request := &types.UpdateOptions{This: s.options(host)}
	for i := 0; i < len(pairs); i += 2 {
		request.ChangedValue = append(request.ChangedValue, &types.OptionValue{Key: pairs[i].(string), Value: pairs[i+1]})
	}
	_, err := methods.UpdateOptions(s.ctx, s.client, request)
	return err
}

func TestAnAdvancedOptionIsChangedOnOneHostAndThere(t *testing.T) {
	one := start(t, t.TempDir())

	one.must(one.set("DC0_C0_H1", "Syslog.global.logHost", "udp://192.0.2.1:514", "UserVars.SuppressShellWarning", int64(1)))

	if got := one.option("DC0_C0_H1", "Syslog.global.logHost"); got != "udp://192.0.2.1:514" {
		t.Errorf("got %v", got)
	}
	if got := one.option("DC0_C0_H2", "Syslog.global.logHost"); got != "" {
		t.Errorf("another host has %v", got)
	}
	var host mo.HostSystem
	one.must(one.host("DC0_C0_H1").Properties(one.ctx, one.host("DC0_C0_H1").Reference(), []string{"config.option"}, &host))
	for _, setting := range host.Config.Option {
		if value := setting.GetOptionValue(); value.Key == "UserVars.SuppressShellWarning" && value.Value != int64(1) {
			t.Errorf("config.option says %v", value.Value)
		}
	}
}

func TestOptionsAreFoundByNameOrByWhatTheyAreBelow(t *testing.T) {
	one := start(t, t.TempDir())

	single, err := one.query("DC0_C0_H1", "UserVars.DcuiTimeOut")
	one.must(err)
	below, err := one.query("DC0_C0_H1", "Syslog.global.")
	one.must(err)
	all, err := one.query("DC0_C0_H1", "")
	one.must(err)

	if len(single) != 1 || len(below) != 5 || len(all) < 60 {
		t.Errorf("%d of a name, %d below one, %d in all", len(single), len(below), len(all))
	}
	for _, name := range []string{"Syslog.global", "UserVars.Dcui", "nothing", "nothing."} {
		if _, err := one.query("DC0_C0_H1", name); !fault.Is(err, new(types.InvalidName)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnOptionTakesValuesOfItsTypeAndRangeAlone(t *testing.T) {
	one := start(t, t.TempDir())
	taken := map[string][]any{
		"UserVars.SuppressShellWarning":                {int64(0), int64(1)},
		"NFS.MaxQueueDepth":                            {int64(4294967295)},
		"Security.AccountUnlockTime":                   {int32(0), int32(900)},
		"Config.HostAgent.plugins.solo.enableMob":      {true, false},
		"Config.HostAgent.log.level":                   {"none", "trivia"},
		"Security.PasswordQualityControl":              {"", "retry=3"},
		"Config.HostAgent.vmacore.soap.sessionTimeout": {int32(10)},
	}
	refused := map[string][]any{
		"UserVars.SuppressShellWarning":           {int32(1), "1", true, int64(-1), int64(2), int16(1)},
		"Security.AccountUnlockTime":              {int64(900), int32(-1), "900"},
		"Config.HostAgent.plugins.solo.enableMob": {"true", int32(1), int64(1)},
		"Config.HostAgent.log.level":              {"loud", "Info", int32(1)},
		"Syslog.global.logHost":                   {int64(1), true},
		"ScratchConfig.CurrentScratchLocation":    {"/tmp/other"},
	}

	for key, values := range taken {
		for _, value := range values {
			one.must(one.set("DC0_C0_H1", key, value))
			if got := one.option("DC0_C0_H1", key); got != value {
				t.Errorf("%s: %T %v became %T %v", key, value, value, got, got)
			}
		}
	}
	for key, values := range refused {
		before := one.option("DC0_C0_H1", key)
		for _, value := range values {
			var wrong *types.InvalidArgument
			if _, is := fault.As(one.set("DC0_C0_H1", key, value), &wrong); !is || wrong.InvalidProperty != key {
				t.Errorf("%s: %T %v: %+v", key, value, value, wrong)
			}
		}
		if got := one.option("DC0_C0_H1", key); got != before {
			t.Errorf("%s became %v", key, got)
		}
	}
}

func TestAnOldHostDoesNotSayWhichOptionIsWrong(t *testing.T) {
	one := start(t, t.TempDir())
	var wrong *types.InvalidArgument

	_, is := fault.As(one.set("DC0_C0_H0", "UserVars.SuppressShellWarning", int32(1)), &wrong)

	if !is || wrong.InvalidProperty != "" {
		t.Errorf("got %+v", wrong)
	}
}

func TestAnOptionThatAHostLacksIsAnInvalidName(t *testing.T) {
	one := start(t, t.TempDir())

	for host, key := range map[string]string{"DC0_C0_H1": "Nothing.here", "DC0_C0_H0": "Security.PasswordMaxDays"} {
		var wrong *types.InvalidName
		if _, is := fault.As(one.set(host, key, int32(1)), &wrong); !is || wrong.Name != key {
			t.Errorf("%s: %+v", key, wrong)
		}
	}
}

func TestOptionsBeforeARefusedOneAreChanged(t *testing.T) {
	one := start(t, t.TempDir())

	err := one.set("DC0_C0_H1", "UserVars.DcuiTimeOut", int64(60), "Nothing.here", "", "UserVars.ESXiShellTimeOut", int64(60))

	expect[*types.InvalidName](t, err)
	if first, last := one.option("DC0_C0_H1", "UserVars.DcuiTimeOut"), one.option("DC0_C0_H1", "UserVars.ESXiShellTimeOut"); first != int64(60) || last != int64(0) {
		t.Errorf("the first is %v, the last %v", first, last)
	}
}

func TestEachOptionHasADefinitionThatItsValueFits(t *testing.T) {
	one := start(t, t.TempDir())
	kinds := map[string]int{}

	for _, host := range everyHost {
		var options mo.OptionManager
		one.must(one.client.RetrieveOne(one.ctx, one.options(host), []string{"setting", "supportedOption"}, &options))
		if len(options.Setting) != len(options.SupportedOption) {
			t.Fatalf("%d settings, %d definitions", len(options.Setting), len(options.SupportedOption))
		}
		for i, def := range options.SupportedOption {
			value := options.Setting[i].GetOptionValue()
			if value.Key != def.Key || def.Label == "" || def.Summary == "" || !takes(def.OptionType, value.Value) {
				t.Errorf("%+v is %+v", def, value)
			}
			kinds[fmt.Sprintf("%T", def.OptionType)]++
		}
	}

	if len(kinds) != 5 {
		t.Errorf("the types are %v", kinds)
	}
}

func TestOptionsOfADisconnectedHostAreShownAndNotChanged(t *testing.T) {
	one := start(t, t.TempDir())
	one.must(one.set("DC0_C0_H1", "UserVars.DcuiTimeOut", int64(60)))
	one.done(one.host("DC0_C0_H1").Disconnect(one.ctx))

	_, asked := one.query("DC0_C0_H1", "UserVars.DcuiTimeOut")
	changed := one.set("DC0_C0_H1", "UserVars.DcuiTimeOut", int64(0))

	expect[*types.HostNotConnected](t, asked)
	expect[*types.HostNotConnected](t, changed)
	var options mo.OptionManager
	one.must(one.client.RetrieveOne(one.ctx, one.options("DC0_C0_H1"), []string{"setting"}, &options))
	for _, setting := range options.Setting {
		if value := setting.GetOptionValue(); value.Key == "UserVars.DcuiTimeOut" && value.Value != int64(60) {
			t.Errorf("it is %v", value.Value)
		}
	}
}

func TestOptionsComeBackAsTheyWere(t *testing.T) {
	one := start(t, t.TempDir())
	wanted := []any{
		"Syslog.global.logHost", "tcp://log", "NFS.MaxQueueDepth", int64(4294967294), "Security.AccountUnlockTime", int32(60),
		"VMkernel.Boot.hyperthreading", false, "Config.HostAgent.log.level", "verbose",
	}
	one.must(one.set("DC0_C0_H1", wanted...))

	again := one.afterKill()

	for i := 0; i < len(wanted); i += 2 {
		if got := again.option("DC0_C0_H1", wanted[i].(string)); got != wanted[i+1] {
			t.Errorf("%s is %T %v", wanted[i], got, got)
		}
	}
	if got := again.option("DC0_C0_H2", "Syslog.global.logHost"); got != "" {
		t.Errorf("another host has %v", got)
	}
}
