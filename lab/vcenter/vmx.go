package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// secretKey is the setting that vSphere shows to no reader of a VM: it stands in the VM's .vmx alone.
const secretKey = "guestinfo.ovfEnv"

// configFiles keeps each VM's .vmx on its datastore like the VM.
type configFiles struct {
	mo.SearchIndex
	registry *simulator.Registry
	mu       sync.Mutex
	secrets  map[types.ManagedObjectReference]string // of the VMs whose .vmx is known to be the VM's own
}

func newConfigFiles(registry *simulator.Registry) *configFiles {
	files := &configFiles{registry: registry, secrets: map[types.ManagedObjectReference]string{}}
	for _, entity := range registry.All("VirtualMachine") {
		vm := entity.(*simulator.VirtualMachine)
		files.adopt(&vm.VirtualMachine)
		files.hide(&vm.VirtualMachine)
		files.write(&vm.VirtualMachine)
	}
	return files
}

// hide takes the secret setting out of a VM of an older journal, where it could be read.
func (f *configFiles) hide(vm *mo.VirtualMachine) {
	if vm.Config == nil {
		return
	}
	options := types.VirtualMachineConfigSpec{ExtraConfig: vm.Config.ExtraConfig}
	if secret, there := takeSecret(&options); there {
		f.setSecret(vm.Self, secret)
		vm.Config.ExtraConfig = options.ExtraConfig
	}
}

func (*configFiles) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "LabRules", Value: "vmx"}
}

func (*configFiles) PutObject(*simulator.Context, mo.Reference) {}

// UpdateObject comes while the VM is still locked: nobody can have seen the change yet.
func (f *configFiles) UpdateObject(_ *simulator.Context, object mo.Reference, changes []types.PropertyChange) {
	vm, ok := object.(*mo.VirtualMachine)
	if !ok || vm.Config == nil || vm.Runtime.Host == nil || !aboutConfig(changes) {
		return // without a host it isn't whole, and has no file yet
	}
	if _, known := f.secretOf(vm.Self); !known {
		if settings := f.adopt(vm); settings != nil {
			configure(vm, settings)
		}
	}
	f.write(vm)
}

func (f *configFiles) RemoveObject(_ *simulator.Context, ref types.ManagedObjectReference) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.secrets, ref)
}

func aboutConfig(changes []types.PropertyChange) bool {
	for _, change := range changes {
		if change.Name == "name" || strings.HasPrefix(change.Name, "config") {
			return true
		}
	}
	return false
}

// secretOf is a VM's secret setting, empty if it has none, and whether its .vmx has been looked at.
func (f *configFiles) secretOf(ref types.ManagedObjectReference) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	secret, known := f.secrets[ref]
	return secret, known
}

func (f *configFiles) setSecret(ref types.ManagedObjectReference, secret string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.secrets[ref] = secret
}

// adopt reads the .vmx that a VM has already: one that was registered takes its settings from there.
func (f *configFiles) adopt(vm *mo.VirtualMachine) map[string]string {
	var settings map[string]string
	if _, file := f.placeOf(vm, vm.Config.Files.VmPathName); file != "" {
		if text, err := os.ReadFile(file); err == nil && len(text) > 0 {
			settings = parseVmx(text)
		}
	}
	f.setSecret(vm.Self, settings[secretKey])
	return settings
}

// write brings a VM's .vmx up to date, unless someone has deleted it.
func (f *configFiles) write(vm *mo.VirtualMachine) {
	store, file := f.placeOf(vm, vm.Config.Files.VmPathName)
	if file == "" {
		return
	}
	if _, err := os.Stat(file); err != nil {
		return
	}
	secret, _ := f.secretOf(vm.Self)
	if err := replaceFile(filepath.Dir(store), file, vmxText(vm, secret)); err != nil {
		log.Printf("%s: its .vmx can't be written: %s", vm.Self.Value, err)
	}
}

// placeOf is where a file of a VM, and its datastore, lie on this machine; empty if there is no such place.
func (f *configFiles) placeOf(vm *mo.VirtualMachine, name string) (folder, path string) {
	var file object.DatastorePath
	if !file.FromString(name) {
		return "", ""
	}
	for _, ref := range vm.Datastore {
		if store, ok := f.registry.Get(ref).(*simulator.Datastore); ok && store.Name == file.Datastore {
			return store.Summary.Url, filepath.Join(store.Summary.Url, file.Path)
		}
	}
	return "", ""
}

// replaceFile puts a whole file in another one's place. It is made in a folder where nobody lists it.
func replaceFile(workshop, file string, text []byte) error {
	whole, err := os.CreateTemp(workshop, ".vmx-")
	if err != nil {
		return err
	}
	_, err = whole.Write(text)
	if err = errors.Join(err, whole.Close()); err == nil {
		err = os.Rename(whole.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(whole.Name()))
	}
	return nil
}

// vmxText is what a .vmx says of a VM.
func vmxText(vm *mo.VirtualMachine, secret string) []byte {
	var text bytes.Buffer
	line := func(key string, value any) {
		_, _ = fmt.Fprintf(&text, "%s = \"%s\"\n", key, escapeVmx(fmt.Sprint(value)))
	}
	config := vm.Config
	line(".encoding", "UTF-8")
	line("config.version", "8")
	line("virtualHW.version", strings.TrimPrefix(config.Version, "vmx-"))
	line("displayName", config.Name)
	line("guestOS", strings.TrimSuffix(config.GuestId, "Guest"))
	line("uuid.bios", config.Uuid)
	line("vc.uuid", config.InstanceUuid)
	line("numvcpus", config.Hardware.NumCPU)
	line("memSize", config.Hardware.MemoryMB)
	if config.Annotation != "" {
		line("annotation", config.Annotation)
	}
	for _, device := range config.Hardware.Device {
		if backing, ok := device.GetVirtualDevice().Backing.(types.BaseVirtualDeviceFileBackingInfo); ok {
			name := object.VirtualDeviceList(config.Hardware.Device).Name(device)
			line(name+".fileName", backing.GetVirtualDeviceFileBackingInfo().FileName)
		}
	}
	for _, option := range config.ExtraConfig {
		line(option.GetOptionValue().Key, option.GetOptionValue().Value)
	}
	if secret != "" {
		line(secretKey, secret)
	}
	return text.Bytes()
}

// escapeVmx escapes a value as VMware's dictionaries do: the double quote, the pipe, 0x7F and all control characters but
// the tab (open-vm-tools: DictLL_MarshalLine).
func escapeVmx(value string) string {
	var text strings.Builder
	for _, b := range []byte(value) {
		if b == '"' || b == '|' || b == 0x7f || b < ' ' && b != '\t' {
			_, _ = fmt.Fprintf(&text, "|%02X", b)
		} else {
			_ = text.WriteByte(b)
		}
	}
	return text.String()
}

func unescapeVmx(text string) string {
	var value strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '|' && i+2 < len(text) {
			if b, err := strconv.ParseUint(text[i+1:i+3], 16, 8); err == nil {
				_ = value.WriteByte(byte(b))
				i += 2
				continue
			}
		}
		_ = value.WriteByte(text[i])
	}
	return value.String()
}

// parseVmx reads the settings of a .vmx.
func parseVmx(text []byte) map[string]string {
	settings := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		key, value, found := strings.Cut(lines.Text(), "=")
		value = strings.TrimSpace(value)
		if found && len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
			settings[strings.TrimSpace(key)] = unescapeVmx(value[1 : len(value)-1])
		}
	}
	return settings
}

// ofHardware are the settings of a .vmx that are none of the VM's extraConfig.
var ofHardware = map[string]bool{
	".encoding": true, "config.version": true, "virtualHW.version": true, "displayName": true, "guestOS": true,
	"uuid.bios": true, "vc.uuid": true, "numvcpus": true, "memSize": true, "annotation": true, secretKey: true,
}

// configure gives a VM that was registered the settings of its .vmx.
func configure(vm *mo.VirtualMachine, settings map[string]string) {
	if cpus, err := strconv.Atoi(settings["numvcpus"]); err == nil {
		vm.Config.Hardware.NumCPU, vm.Summary.Config.NumCpu = int32(cpus), int32(cpus)
	}
	if memory, err := strconv.Atoi(settings["memSize"]); err == nil {
		vm.Config.Hardware.MemoryMB, vm.Summary.Config.MemorySizeMB = int32(memory), int32(memory)
	}
	for key, into := range map[string]*string{
		"uuid.bios": &vm.Config.Uuid, "vc.uuid": &vm.Config.InstanceUuid, "annotation": &vm.Config.Annotation,
	} {
		if value := settings[key]; value != "" {
			*into = value
		}
	}
	vm.Summary.Config.Uuid, vm.Summary.Config.InstanceUuid = vm.Config.Uuid, vm.Config.InstanceUuid
	vm.Summary.Config.Annotation = vm.Config.Annotation
	vm.Config.ExtraConfig = nil
	for _, key := range sorted(settings) {
		if !ofHardware[key] && !strings.HasSuffix(key, ".fileName") {
			vm.Config.ExtraConfig = append(vm.Config.ExtraConfig, &types.OptionValue{Key: key, Value: settings[key]})
		}
	}
}

// fileMissing says whether a file isn't there; any other trouble with it is another's to tell.
func fileMissing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}
