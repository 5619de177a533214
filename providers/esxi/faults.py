"""Every fault of vSphere, and of the way to it, as the project's one error type, for the clients in this package."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import TypeVar
from xml.parsers.expat import ExpatError

from pyVmomi import vim, vmodl

from providers.kit.errors import Authentication, DrydockError, Permanent, SessionLost, Temporary

Kind = type[DrydockError]
Found = TypeVar("Found")

# The nearest ancestor of a fault that is named here decides; the rest of vSphere's faults are permanent.
_KINDS: dict[type[Exception], Kind] = {
    vmodl.MethodFault: Permanent,
    vim.fault.InvalidLogin: Authentication,
    vim.fault.NoClientCertificate: Authentication,
    vim.fault.SSPIChallenge: Authentication,
    vmodl.fault.SecurityError: Permanent,
    vim.fault.NoPermission: Permanent,
    vim.fault.NotAuthenticated: SessionLost,
    vim.fault.TaskInProgress: Temporary,
    vim.fault.ResourceInUse: Temporary,
    vim.fault.ConcurrentAccess: Temporary,
    vim.fault.Timedout: Temporary,
    vim.fault.FileLocked: Temporary,
    vim.fault.HostConnectFault: Permanent,
    vmodl.fault.HostCommunication: Temporary,
    vmodl.fault.HostNotConnected: Permanent,
    vmodl.fault.HostNotReachable: Temporary,
    vmodl.fault.RequestCanceled: Temporary,
    vmodl.fault.ManagedObjectNotFound: Permanent,
}

_REMEDIES: dict[type[Exception], str] = {
    vim.fault.InvalidLogin: "Correct the user and password (VSPHERE_USER, VSPHERE_PASSWORD); it is not tried again.",
    vmodl.fault.HostNotConnected: "Reconnect the host, then run `pulumi up` again.",
    vmodl.fault.HostCommunication: "See that the host answers, then run `pulumi up` again.",
    vim.fault.TaskInProgress: "Wait for the other task, then run `pulumi up` again.",
    vim.fault.ResourceInUse: "See who uses it, then run `pulumi up` again.",
    vim.fault.HostConfigFault: "See the host's tasks and events for the reason.",
    vmodl.fault.InvalidArgument: "Correct the value.",
    vmodl.fault.NotSupported: "This host or its license doesn't offer it.",
    vmodl.fault.ManagedObjectNotFound: "It was deleted meanwhile: run `pulumi refresh`.",
    vim.fault.NotAuthenticated: "Run it again.",
    vmodl.MethodFault: "See the tasks and events of the object in the vSphere Client.",
}


def translate(error: Exception, on: str) -> DrydockError:
    """What a call raised, as our error.

    Args:
        error: an exception of pyVmomi or of the transport below it.
        on: the object that was worked on, in the user's words.
    """
    if isinstance(error, DrydockError):
        return error
    if isinstance(error, vim.fault.NoPermission) and not isinstance(error, vim.fault.NotAuthenticated):
        return _no_permission(error, on)
    if isinstance(error, vmodl.MethodFault):
        kind, remedy = _nearest(type(error), _KINDS), _nearest(type(error), _REMEDIES)
        return kind(reason(error), on=on, remedy=remedy)
    return _transport(error, on)


def reason(error: vmodl.MethodFault) -> str:
    """A fault in words: its name, and what the server said with it."""
    name = type(error).__name__.rpartition(".")[2]
    said = " ".join(str(error.msg or "").split())
    details = [
        f"{one}={getattr(error, one)}" for one in ("name", "invalidProperty", "file") if getattr(error, one, None)
    ]
    told = [name, *([said] if said and said != name else []), *details]
    return ": ".join(told[:2]) + "".join(f", {one}" for one in told[2:])


def _no_permission(error: vim.fault.NoPermission, on: str) -> DrydockError:
    privilege = error.privilegeId or "a privilege"
    where = f" on {error.object._moId}" if error.object is not None else ""
    return Permanent(
        f"{type(error).__name__.rpartition('.')[2]}, the user lacks {privilege}{where}",
        on=on,
        remedy="Grant it, then run `pulumi up` again.",
    )


def _transport(error: Exception, on: str) -> DrydockError:
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        return Permanent(
            f"its certificate is not trusted ({getattr(error, 'verify_message', '') or text})",
            on=on,
            remedy="Pin it: `python -m ops preflight --pin` shows and writes its thumbprint (VSPHERE_THUMBPRINT).",
        )
    if isinstance(error, (socket.timeout, TimeoutError)):
        return Temporary("no answer in time", on=on, remedy="See that it is up and not overloaded.")
    if isinstance(error, socket.gaierror):
        return Permanent(f"the name is not known ({text})", on=on, remedy="Correct VSPHERE_SERVER.")
    if isinstance(error, (OSError, http.client.HTTPException)):
        return Temporary(f"can't be reached ({text})", on=on, remedy="See that it is up and that the address is right.")
    if isinstance(error, (ExpatError, KeyError, ValueError, AttributeError)):
        return Permanent(
            f"answered what is not vSphere's ({text})", on=on, remedy="See that the address is a vCenter's."
        )
    return Permanent(f"{type(error).__name__}: {text}", on=on, remedy="This is our mistake: please report it.")


def _nearest(fault: type[Exception], table: dict[type[Exception], Found]) -> Found:
    return next(table[one] for one in fault.__mro__ if one in table)
