"""Every fault of vSphere, and of the way to it, as the project's one error type, for the clients in this package."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import zlib
from typing import TypeVar
from xml.parsers.expat import ExpatError

from pyVmomi import eam, pbm, sms, vim, vmodl

from providers.kit.errors import Authentication, DrydockError, Permanent, SessionLost, Temporary

Kind = type[DrydockError]
Found = TypeVar("Found")

# The nearest ancestor of a fault that is named here decides; the rest of vSphere's faults are permanent.
_KINDS: dict[type[Exception], Kind] = {
    vmodl.MethodFault: Permanent,
    vim.fault.InvalidLogin: Authentication,
    eam.fault.InvalidLogin: Authentication,
    pbm.fault.InvalidLogin: Authentication,
    sms.fault.InvalidLogin: Authentication,
    vim.fault.NoClientCertificate: Authentication,
    vim.fault.SSPIChallenge: Authentication,
    vim.fault.NotAuthenticated: SessionLost,
    sms.fault.InvalidSession: SessionLost,
    vmodl.fault.AuthenticationRequired: SessionLost,
    vmodl.fault.SessionNotFound: SessionLost,
    # Somebody else is at work on it.
    vim.fault.TaskInProgress: Temporary,
    vim.fault.VAppOperationInProgress: Temporary,
    vim.fault.ReplicationVmInProgressFault: Temporary,
    vim.fault.StorageDrsHmsMoveInProgress: Temporary,
    vim.fault.ToolsInstallationInProgress: Temporary,
    vim.fault.ResourceInUse: Temporary,
    pbm.fault.ResourceInUse: Temporary,
    vim.fault.ConcurrentAccess: Temporary,
    vim.fault.FileLocked: Temporary,
    vim.fault.SnapshotLocked: Temporary,
    sms.fault.SyncInProgress: Temporary,
    # Too busy, or not ready yet.
    vim.fault.Timedout: Temporary,
    vim.fault.TooManyConcurrentNativeClones: Temporary,
    vim.fault.TooManyGuestLogons: Temporary,
    vim.fault.GuestOperationsUnavailable: Temporary,
    vim.fault.MigrationNotReady: Temporary,
    sms.fault.ProviderBusy: Temporary,
    sms.fault.ProviderUnavailable: Temporary,
    vmodl.fault.RequestCanceled: Temporary,
    # The way from the vCenter to a host; one that an administrator has disconnected stays so.
    vmodl.fault.HostCommunication: Temporary,
    vmodl.fault.HostNotConnected: Permanent,
}

# HTTP: Request Timeout, Too Many Requests (RFC 9110, RFC 6585).
_WORTH_ANOTHER_TRY = (408, 429)

_LOGIN = "Correct the user and password (VSPHERE_USER, VSPHERE_PASSWORD); it is not tried again."
_VCENTER = "See that VSPHERE_SERVER is a vCenter's or an ESXi host's address and port."

_REMEDIES: dict[type[Exception], str] = {
    vim.fault.InvalidLogin: _LOGIN,
    eam.fault.InvalidLogin: _LOGIN,
    pbm.fault.InvalidLogin: _LOGIN,
    sms.fault.InvalidLogin: _LOGIN,
    vmodl.fault.HostNotConnected: "Reconnect the host, then run `pulumi up` again.",
    vmodl.fault.HostCommunication: "See that the host answers, then run `pulumi up` again.",
    vim.fault.TaskInProgress: "Wait for the other task, then run `pulumi up` again.",
    vim.fault.ResourceInUse: "See who uses it, then run `pulumi up` again.",
    vim.fault.HostConfigFault: "See the host's tasks and events for the reason.",
    vmodl.fault.InvalidArgument: "Correct the value.",
    vmodl.fault.NotEnoughLicenses: "This host or its license doesn't offer it.",
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
    if not isinstance(error, vmodl.MethodFault):
        return _transport(error, on)
    kind = _nearest(type(error), _KINDS)
    if isinstance(error, vim.fault.NoPermission) and kind is Permanent:
        return _no_permission(error, on)
    return kind(reason(error), on=on, remedy=_nearest(type(error), _REMEDIES))


def refused(error: vmodl.MethodFault, user: str, on: str) -> Authentication:
    """The error for a login that was not accepted, whatever the server calls it."""
    return Authentication(f"the login of '{user}' was refused ({reason(error)})", on=on, remedy=_LOGIN)


def unanswered_login(error: OSError, on: str) -> Permanent:
    """The error for a login whose answer was lost: it may have been a refusal, so it isn't sent a second time."""
    return Permanent(
        f"no answer to the login ({_words(error) or type(error).__name__})",
        on=on,
        remedy="See that it is up, then run it again; it is not tried again by itself, since that can lock accounts.",
    )


def reason(error: vmodl.MethodFault) -> str:
    """A fault in words: its name, and what the server said with it."""
    name = _name(error)
    said = [_words(error.msg), *(_words(one.message) for one in error.faultMessage or [])]
    told = " ".join(dict.fromkeys(one for one in said if one and one != name))
    details = [
        f"{one}={getattr(error, one)}" for one in ("name", "invalidProperty", "file") if getattr(error, one, None)
    ]
    return ", ".join([f"{name}: {told}" if told else name, *details])


def _no_permission(error: vim.fault.NoPermission, on: str) -> DrydockError:
    several = [privilege for entity in error.missingPrivileges or [] for privilege in entity.privilegeIds]
    lacking = ", ".join(several) or error.privilegeId or "a privilege"
    where = f" on {error.object._moId}" if error.object is not None else ""
    return Permanent(
        f"{_name(error)}, the user lacks {lacking}{where}", on=on, remedy="Grant it, then run `pulumi up` again."
    )


def _transport(error: Exception, on: str) -> DrydockError:
    text = _words(error) or type(error).__name__
    if isinstance(error, ssl.SSLError):
        return _tls(error, text, on)
    if isinstance(error, (socket.timeout, TimeoutError)):
        return Temporary("no answer in time", on=on, remedy="See that it is up and not overloaded.")
    if isinstance(error, socket.gaierror):
        return Permanent(f"the name is not known ({text})", on=on, remedy="Correct VSPHERE_SERVER.")
    if _refuses(error, text):
        return Permanent(f"answered {text}", on=on, remedy=_VCENTER)
    if isinstance(error, (OSError, http.client.HTTPException, EOFError)):
        return Temporary(f"can't be reached ({text})", on=on, remedy="See that it is up and that the address is right.")
    # What pyVmomi's reader raises on an answer that is no SOAP, or no vSphere's.
    if isinstance(error, (ExpatError, zlib.error, KeyError, ValueError, AttributeError, TypeError)):
        return Permanent(f"answered what is not vSphere's ({text})", on=on, remedy=_VCENTER)
    return Permanent(
        f"unexpected {type(error).__name__}: {text}", on=on, remedy="This is our mistake: please report it."
    )


def _tls(error: ssl.SSLError, text: str, on: str) -> DrydockError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Permanent(
            f"its certificate is not trusted ({getattr(error, 'verify_message', '') or text})",
            on=on,
            remedy="Pin it: `python -m ops preflight --pin` shows and writes its thumbprint (VSPHERE_THUMBPRINT).",
        )
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)):
        return Temporary(f"ended the connection ({text})", on=on, remedy="See that it is up and not overloaded.")
    return Permanent(f"no TLS connection ({text})", on=on, remedy=_VCENTER)


def _refuses(error: Exception, text: str) -> bool:
    """pyVmomi tells every HTTP status but 200 and 500 as a bare HTTPException, "404 Not Found"."""
    status = re.match(r"\d{3}\b", text) if type(error) is http.client.HTTPException else None
    return status is not None and int(status[0]) < 500 and int(status[0]) not in _WORTH_ANOTHER_TRY


def _name(error: Exception) -> str:
    return type(error).__name__.rpartition(".")[2]


def _words(text: object) -> str:
    return " ".join(str(text or "").split())


def _nearest(fault: type[Exception], table: dict[type[Exception], Found]) -> Found:
    return next(table[one] for one in fault.__mro__ if one in table)
