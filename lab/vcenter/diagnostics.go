package main

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	serverLog = "vpxd:vpxd.log"
	hostLog   = "hostd"

	logEntries = 4000 // how many a log holds, then the older half goes
)

// diagnostics are the logs that a vCenter and its hosts keep: here, of the tasks that began and ended.
type diagnostics struct {
	mo.DiagnosticManager
	unlocked
	registry *simulator.Registry
	mu       sync.Mutex
	entries  []logEntry
}

// logEntry is a line; it goes to the server's log, and to that of the host on which the entity is.
type logEntry struct {
	entity types.ManagedObjectReference
	text   string
}

func addDiagnostics(registry *simulator.Registry) *diagnostics {
	content := registry.Get(types.ManagedObjectReference{Type: "ServiceInstance", Value: "ServiceInstance"}).(*simulator.ServiceInstance).Content
	logs := &diagnostics{registry: registry}
	logs.Self = *content.DiagnosticManager
	about := content.About
	logs.write(types.ManagedObjectReference{}, fmt.Sprintf("Log for %s, version=%s, build=%s", about.Name, about.Version, about.Build))
	registry.Put(logs)
	return logs
}

func (d *diagnostics) write(entity types.ManagedObjectReference, text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.entries) >= logEntries {
		d.entries = slices.Delete(d.entries, 0, logEntries/2)
	}
	line := time.Now().UTC().Format("2006-01-02T15:04:05.000Z") + " info " + text
	d.entries = append(d.entries, logEntry{entity, line})
}

// note writes down what has become of a task.
func (d *diagnostics) note(task *mo.Task) {
	if task.Info.Entity != nil {
		d.write(*task.Info.Entity, fmt.Sprintf("[%s] %s on %s: %s", task.Self.Value, task.Info.DescriptionId, *task.Info.Entity, task.Info.State))
	}
}

func (d *diagnostics) QueryDescriptions(req *types.QueryDescriptions) soap.HasFault {
	key := d.keyOf(req.Host)
	creator, name := types.DiagnosticManagerLogCreatorVpxd, "vpxd.log"
	if key == hostLog {
		creator, name = types.DiagnosticManagerLogCreatorHostd, "/var/log/hostd.log"
	}
	return &methods.QueryDescriptionsBody{Res: &types.QueryDescriptionsResponse{
		Returnval: []types.DiagnosticManagerLogDescriptor{{
			Key: key, FileName: name, Creator: string(creator), Format: string(types.DiagnosticManagerLogFormatPlain),
			MimeType: "text/plain", Info: &types.Description{Label: key, Summary: "Server log in 'plain' format"},
		}},
	}}
}

// keyOf is the key of the one log that a host, or else the server itself, has here.
func (d *diagnostics) keyOf(host *types.ManagedObjectReference) string {
	if host != nil || d.registry.IsESX() {
		return hostLog
	}
	return serverLog
}

// BrowseDiagnosticLog gives a part of a log. Behind its end, the answer says where the end is (vSphere API reference;
// clients look for the last lines so).
func (d *diagnostics) BrowseDiagnosticLog(ctx *simulator.Context, req *types.BrowseDiagnosticLog) soap.HasFault {
	if req.Key != d.keyOf(req.Host) {
		return &methods.BrowseDiagnosticLogBody{Fault_: explained(&types.InvalidArgument{InvalidProperty: "key"})}
	}
	if req.Host != nil {
		if _, ok := d.registry.Get(*req.Host).(*simulator.HostSystem); !ok {
			return &methods.BrowseDiagnosticLogBody{Fault_: explained(&types.ManagedObjectNotFound{Obj: *req.Host})}
		}
	}
	lines := d.lines(ctx, req.Host)
	start, end := max(1, int(req.Start)), len(lines)
	if start > end {
		last := types.DiagnosticManagerLogHeader{LineStart: int32(end), LineEnd: int32(end)}
		return &methods.BrowseDiagnosticLogBody{Res: &types.BrowseDiagnosticLogResponse{Returnval: last}}
	}
	if req.Lines > 0 {
		end = min(end, start+int(req.Lines)-1)
	}
	return &methods.BrowseDiagnosticLogBody{Res: &types.BrowseDiagnosticLogResponse{
		Returnval: types.DiagnosticManagerLogHeader{LineStart: int32(start), LineEnd: int32(end), LineText: lines[start-1 : end]},
	}}
}

func (d *diagnostics) lines(ctx *simulator.Context, host *types.ManagedObjectReference) []string {
	d.mu.Lock()
	entries := slices.Clone(d.entries)
	d.mu.Unlock()
	var lines []string
	on := map[types.ManagedObjectReference]bool{{}: true}
	for _, one := range entries {
		if _, known := on[one.entity]; !known && host != nil {
			on[one.entity] = d.isOn(ctx, one.entity, *host)
		}
		if host == nil || on[one.entity] {
			lines = append(lines, one.text)
		}
	}
	return lines
}

func (d *diagnostics) isOn(ctx *simulator.Context, entity, host types.ManagedObjectReference) bool {
	vm, ok := d.registry.Get(entity).(*simulator.VirtualMachine)
	if !ok {
		return entity == host
	}
	is := false
	ctx.WithLock(vm, func() { is = vm.Runtime.Host != nil && *vm.Runtime.Host == host })
	return is
}
