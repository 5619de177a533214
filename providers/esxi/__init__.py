"""ESXi hosts and their vCenter: what pulumi-vsphere has no resource for."""
