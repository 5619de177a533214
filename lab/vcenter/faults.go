package main

import (
	"fmt"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// explained is a fault with the sentence that a vCenter would say; the simulator leaves it out.
func explained(fault types.BaseMethodFault) *soap.Fault {
	return simulator.Fault(sentence(fault), fault)
}

// sentence is vCenter's English for the faults that clients meet here; empty for any other.
func sentence(fault types.BaseMethodFault) string {
	switch one := fault.(type) {
	case *types.AlreadyConnected:
		return fmt.Sprintf("The host '%s' is already connected to this vCenter Server.", one.Name)
	case *types.AlreadyExists:
		return fmt.Sprintf("The specified key, name, or identifier '%s' already exists.", one.Name)
	case *types.DuplicateName:
		return fmt.Sprintf("The name '%s' already exists.", one.Name)
	case *types.FileNotFound:
		return fmt.Sprintf("File %s was not found", one.File)
	case *types.HostConfigFault:
		return "An error occurred during host configuration."
	case *types.HostNotConnected:
		return "Unable to communicate with the remote host, since it is disconnected."
	case *types.InvalidArgument:
		return fmt.Sprintf("A specified parameter was not correct: %s", one.InvalidProperty)
	case *types.InvalidDeviceSpec:
		return fmt.Sprintf("Invalid configuration for device '%d'.", one.DeviceIndex)
	case *types.InvalidName:
		return fmt.Sprintf("The name '%s' is invalid.", one.Name)
	case *types.InvalidPowerState:
		return fmt.Sprintf("The attempted operation cannot be performed in the current state (%s).", poweredText[one.ExistingState])
	case *types.InvalidState:
		return "The operation is not allowed in the current state."
	case *types.ManagedObjectNotFound:
		return "The object has already been deleted or has not been completely created"
	case *types.MethodDisabled:
		return fmt.Sprintf("The method is disabled by '%s'", one.Source)
	case *types.ConcurrentAccess:
		return "The operation cannot complete because another operation is in progress or the data has changed."
	case *types.FileAlreadyExists:
		return fmt.Sprintf("Cannot complete the operation because the file or folder %s already exists", one.File)
	case *types.FileLocked:
		return fmt.Sprintf("Unable to access file %s since it is locked", one.File)
	case *types.InvalidDatastorePath:
		return fmt.Sprintf("Invalid datastore path '%s'.", one.DatastorePath)
	case *types.InvalidDatastore:
		return fmt.Sprintf("Invalid datastore '%s'.", one.Name)
	case *types.NoDiskSpace:
		return fmt.Sprintf("Insufficient disk space on datastore '%s'.", one.Datastore)
	case *types.ToolsUnavailable:
		return "Cannot complete operation because VMware Tools is not running in this virtual machine."
	case *types.NoPermission:
		return "Permission to perform this operation was denied."
	case *types.NotFound:
		return "The object or item referred to could not be found."
	case *types.NotSupported:
		return "The operation is not supported on the object."
	case *types.ResourceInUse:
		return fmt.Sprintf("The resource '%s' is in use.", one.Name)
	}
	return ""
}

var poweredText = map[types.VirtualMachinePowerState]string{
	types.VirtualMachinePowerStatePoweredOff: "Powered off",
	types.VirtualMachinePowerStatePoweredOn:  "Powered on",
	types.VirtualMachinePowerStateSuspended:  "Suspended",
}
