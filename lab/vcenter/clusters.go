package main

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// rememberClusters notes what a new site's clusters are configured to.
func (j *journal) rememberClusters() error {
	j.firstClusters = map[types.ManagedObjectReference]json.RawMessage{}
	for _, entity := range j.model.Map().All("ClusterComputeResource") {
		text, err := j.clusterText(entity.(*simulator.ClusterComputeResource))
		if err != nil {
			return err
		}
		j.firstClusters[entity.Reference()] = text
	}
	return nil
}

func (j *journal) clusterText(cluster *simulator.ClusterComputeResource) (json.RawMessage, error) {
	var text bytes.Buffer
	var err error
	j.locked(cluster, func() { err = types.NewJSONEncoder(&text).Encode(cluster.ConfigurationEx) })
	return bytes.TrimSpace(text.Bytes()), err
}

// recordClusters keeps what clients configured: groups and rules of DRS, and all else.
func (j *journal) recordClusters(kept *record) error {
	for ref, first := range j.firstClusters {
		cluster, ok := j.model.Map().Get(ref).(*simulator.ClusterComputeResource)
		if !ok {
			continue
		}
		text, err := j.clusterText(cluster)
		if err != nil {
			return err
		}
		if bytes.Equal(text, first) {
			continue
		}
		if kept.Clusters == nil {
			kept.Clusters = map[string]json.RawMessage{}
		}
		kept.Clusters[ref.Value] = text
	}
	return nil
}

func (j *journal) restoreClusters(kept *record) error {
	for value, text := range kept.Clusters {
		ref := types.ManagedObjectReference{Type: "ClusterComputeResource", Value: value}
		cluster, ok := j.model.Map().Get(ref).(*simulator.ClusterComputeResource)
		if !ok {
			continue
		}
		config := new(types.ClusterConfigInfoEx)
		if err := decode(text, config); err != nil {
			return err
		}
		cluster.ConfigurationEx = config
	}
	return nil
}

// checkGroups refuses groups that the simulator crashes on, or that name VMs that aren't there.
func (r *rules) checkGroups(spec types.BaseComputeResourceConfigSpec) types.BaseMethodFault {
	cluster, ok := spec.(*types.ClusterConfigSpecEx)
	if !ok {
		return nil
	}
	for _, group := range cluster.GroupSpec {
		if group.Operation == types.ArrayUpdateOperationRemove {
			if _, ok := group.RemoveKey.(string); !ok {
				return &types.InvalidArgument{InvalidProperty: "spec.groupSpec.removeKey"}
			}
			continue
		}
		if group.Info == nil || group.Info.GetClusterGroupInfo().Name == "" {
			return &types.InvalidArgument{InvalidProperty: "spec.groupSpec.info"}
		}
		if vms, ok := group.Info.(*types.ClusterVmGroup); ok && slices.ContainsFunc(vms.Vm, r.isGone) {
			return &types.InvalidArgument{InvalidProperty: "spec.groupSpec.info.vm"}
		}
	}
	return nil
}

func (r *rules) isGone(ref types.ManagedObjectReference) bool { return r.registry.Get(ref) == nil }

// leaveGroups takes a VM that is gone out of its cluster's groups.
func leaveGroups(ctx *simulator.Context, registry *simulator.Registry, vm types.ManagedObjectReference) {
	for _, entity := range registry.All("ClusterComputeResource") {
		cluster := entity.(*simulator.ClusterComputeResource)
		ctx.WithLock(cluster, func() {
			config, ok := cluster.ConfigurationEx.(*types.ClusterConfigInfoEx)
			if !ok {
				return
			}
			for i, group := range config.Group {
				if vms, ok := group.(*types.ClusterVmGroup); ok && slices.Contains(vms.Vm, vm) {
					left := *vms
					left.Vm = slices.DeleteFunc(slices.Clone(vms.Vm), func(ref types.ManagedObjectReference) bool { return ref == vm })
					config.Group[i] = &left
				}
			}
		})
	}
}
