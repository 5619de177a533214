package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vmware/govmomi/vim25/types"
)

func settingsOf(pairs ...string) []types.BaseOptionValue {
	var options []types.BaseOptionValue
	for i := 0; i < len(pairs); i += 2 {
		options = append(options, &types.OptionValue{Key: pairs[i], Value: pairs[i+1]})
	}
	return options
}

func withSettings(name string, pairs ...string) types.VirtualMachineConfigSpec {
	spec := named(name)
	spec.ExtraConfig = settingsOf(pairs...)
	return spec
}

// vmx is the text of a VM's .vmx, as any client downloads it.
func (s *site) vmx(name string) string {
	s.t.Helper()
	status, text := s.web(http.MethodGet, "/folder/"+name+"/"+name+".vmx", url.UserPassword(user, password), nil)
	if status != http.StatusOK {
		s.t.Fatalf("%s.vmx: %d", name, status)
	}
	return text
}

func hasLine(t *testing.T, text, line string) {
	t.Helper()
	if !strings.Contains("\n"+text, "\n"+line+"\n") {
		t.Errorf("no line %s in\n%s", line, text)
	}
}

func TestSettingsStandInTheVmxAsVMwareWritesThem(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(withSettings("vch", "a/b~", "x|y", "quoted", `say "hi"`, "lines", "1\n2\r\t3", "gone", "x"))
	one.done(vm.Reconfigure(one.ctx, types.VirtualMachineConfigSpec{ExtraConfig: settingsOf("later", "=", "gone", "")}))

	text := one.vmx("vch")

	for _, line := range []string{
		`a/b~ = "x|7Cy"`, `quoted = "say |22hi|22"`, "lines = \"1|0A2|0D\t3\"", `later = "="`, `displayName = "vch"`, `memSize = "512"`,
	} {
		hasLine(t, text, line)
	}
	if strings.Contains(text, "gone") {
		t.Error("a setting that was removed is still there")
	}
	if got := parseVmx([]byte(text)); got["quoted"] != `say "hi"` || got["a/b~"] != "x|y" || got["lines"] != "1\n2\r\t3" {
		t.Errorf("reads as %q", got)
	}
}

func TestTheSecretSettingStandsInTheVmxAndNowhereElse(t *testing.T) {
	for how, made := range map[string]func(*site) string{
		"created": func(one *site) string {
			one.made(withSettings("vch", "plain", "1", secretKey, "a2V5=="))
			return "a2V5=="
		},
		"reconfigured": func(one *site) string {
			vm := one.made(withSettings("vch", "plain", "1"))
			one.done(vm.Reconfigure(one.ctx, types.VirtualMachineConfigSpec{ExtraConfig: settingsOf("more", "2", secretKey, "bmV3")}))
			return "bmV3"
		},
		"changed": func(one *site) string {
			vm := one.made(withSettings("vch", "plain", "1", secretKey, "b2xk"))
			one.done(vm.Reconfigure(one.ctx, types.VirtualMachineConfigSpec{ExtraConfig: settingsOf(secretKey, "bmV3")}))
			one.done(vm.Reconfigure(one.ctx, types.VirtualMachineConfigSpec{MemoryMB: 2048}))
			return "bmV3"
		},
	} {
		t.Run(how, func(t *testing.T) {
			one := start(t, t.TempDir())
			secret := made(one)
			for when, site := range map[string]*site{"now": one, "after a restart": one.afterKill()} {
				vm, err := site.finder.VirtualMachine(site.ctx, "vch")
				site.must(err)
				hasLine(t, site.vmx("vch"), secretKey+` = "`+secret+`"`)
				hasLine(t, site.vmx("vch"), `plain = "1"`)
				for _, option := range site.properties(vm).Config.ExtraConfig {
					if option.GetOptionValue().Key == secretKey {
						t.Errorf("%s: it can be read", when)
					}
				}
				site.done(vm.Reconfigure(site.ctx, types.VirtualMachineConfigSpec{Annotation: "again"}))
				hasLine(t, site.vmx("vch"), secretKey+` = "`+secret+`"`)
			}
		})
	}
}

func TestAFailedChangeLeavesTheSecretSettingAsItWas(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(withSettings("vch", secretKey, "b2xk"))
	spec := withImage("vch", "[LocalDS_0] iso/none.iso")
	spec.ExtraConfig = settingsOf(secretKey, "bmV3")
	drive := &types.VirtualDisk{}
	broken := types.VirtualMachineConfigSpec{
		ExtraConfig:  settingsOf(secretKey, "bmV3"),
		DeviceChange: []types.BaseVirtualDeviceConfigSpec{&types.VirtualDeviceConfigSpec{Operation: "edit", Device: drive}},
	}

	expect[*types.FileNotFound](t, one.failed(vm.Reconfigure(one.ctx, spec)))
	expect[*types.InvalidDeviceSpec](t, one.failed(vm.Reconfigure(one.ctx, broken)))

	hasLine(t, one.vmx("vch"), secretKey+` = "b2xk"`)
}

func TestARegisteredMachineTakesItsSettingsFromItsVmx(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(withSettings("vch", "plain", "a|b", secretKey, "a2V5"))
	before := one.properties(vm).Config
	one.must(vm.Unregister(one.ctx))
	folder, err := one.finder.DefaultFolder(one.ctx)
	one.must(err)
	where, err := one.finder.ResourcePool(one.ctx, pool)
	one.must(err)

	one.done(folder.RegisterVM(one.ctx, "[LocalDS_0] vch/vch.vmx", "vch", false, where, nil))

	vm, err = one.finder.VirtualMachine(one.ctx, "vch")
	one.must(err)
	after := one.properties(vm).Config
	got := map[string]any{}
	for _, option := range after.ExtraConfig {
		got[option.GetOptionValue().Key] = option.GetOptionValue().Value
	}
	if got["plain"] != "a|b" || got[secretKey] != nil || after.Uuid != before.Uuid || after.Hardware.MemoryMB != 512 {
		t.Errorf("got %v, %s, %d", got, after.Uuid, after.Hardware.MemoryMB)
	}
	hasLine(t, one.vmx("vch"), secretKey+` = "a2V5"`)
}

func TestNoHalfWrittenVmxLiesAround(t *testing.T) {
	one := start(t, t.TempDir())
	one.made(withSettings("vch", "plain", "1"))

	left, err := filepath.Glob(filepath.Join(one.state, "datastores", ".*"))
	one.must(err)
	more, err := filepath.Glob(filepath.Join(one.state, ".vmx-*"))
	one.must(err)
	files, err := os.ReadDir(filepath.Join(one.state, "datastores", store, "vch"))
	one.must(err)

	if len(left)+len(more) > 0 || len(files) != 3 {
		t.Errorf("got %v, %v and %v", left, more, files)
	}
}

func TestASecretSettingOfAnOlderJournalIsHiddenFromThenOn(t *testing.T) {
	one := start(t, t.TempDir())
	vm := one.made(withSettings("vch", "plain", "a2V5"))
	state := t.TempDir()
	one.must(os.CopyFS(state, os.DirFS(one.state)))
	journal := filepath.Join(state, journalName)
	text, err := os.ReadFile(journal)
	one.must(err)
	content, _, _ := strings.Cut(string(text), "\n")
	one.must(os.WriteFile(journal, []byte(strings.ReplaceAll(content, `"plain"`, `"`+secretKey+`"`)), 0o600))
	one.must(os.Truncate(filepath.Join(state, "datastores", store, "vch", "vch.vmx"), 0))

	old := startSized(t, state, one.size)

	if old.setting(old.same(vm), secretKey) != nil {
		t.Error("it can be read")
	}
	hasLine(t, old.vmx("vch"), secretKey+` = "a2V5"`)
}
