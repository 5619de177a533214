"""Every fault class of pyVmomi, and every failure of the way to it, is one of our errors, with something to do."""

from __future__ import annotations

import builtins
import http.client
import socket
import ssl
import xml.parsers.expat
import zlib
from collections.abc import Iterator
from xml.parsers.expat import ExpatError

import pytest
from pyVmomi import VmomiSupport, pbm, sms, vim, vmodl

from providers.esxi.faults import translate
from providers.kit.errors import Authentication, DrydockError, Permanent, SessionLost, Temporary


def fault_classes() -> Iterator[type]:
    """All that pyVmomi knows by name, loaded or not."""
    for name in sorted(VmomiSupport._dataDefMap):
        kind = VmomiSupport.GetVmodlType(name)
        if issubclass(kind, vmodl.MethodFault):
            yield kind


def test_the_walk_sees_the_whole_library() -> None:
    assert len(list(fault_classes())) > 500


def test_every_fault_has_a_kind_a_reason_and_a_remedy() -> None:
    for kind in fault_classes():
        error = translate(kind(), "host esx1")

        assert type(error) in (Permanent, Temporary, SessionLost, Authentication), kind
        assert kind.__name__.rpartition(".")[2] in error.what, kind
        assert error.remedy and "our mistake" not in error.remedy, kind


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (vim.fault.InvalidLogin, Authentication),
        (vim.fault.PasswordExpired, Authentication),
        (vim.fault.NoClientCertificate, Authentication),
        (vim.fault.NotAuthenticated, SessionLost),
        (vim.fault.NoPermission, Permanent),
        (vim.fault.NotFound, Permanent),
        (vim.fault.AlreadyExists, Permanent),
        (vim.fault.DuplicateName, Permanent),
        (vim.fault.HostConfigFault, Permanent),
        (vim.fault.InvalidState, Permanent),
        (vim.fault.TaskInProgress, Temporary),
        (vim.fault.ResourceInUse, Temporary),
        (vim.fault.ConcurrentAccess, Temporary),
        (vim.fault.Timedout, Temporary),
        (vim.fault.FileLocked, Temporary),
        (vim.fault.FileNotFound, Permanent),
        (vim.fault.RestrictedVersion, Permanent),
        (vim.fault.InsufficientResourcesFault, Permanent),
        (vmodl.fault.HostNotConnected, Permanent),
        (vmodl.fault.HostNotReachable, Temporary),
        (vmodl.fault.HostCommunication, Temporary),
        (vmodl.fault.ManagedObjectNotFound, Permanent),
        (vmodl.fault.MethodNotFound, Permanent),
        (vmodl.fault.NotImplemented, Permanent),
        (vmodl.fault.NotSupported, Permanent),
        (vmodl.fault.InvalidArgument, Permanent),
        (vmodl.fault.RequestCanceled, Temporary),
        (vmodl.fault.SystemError, Permanent),
        (vmodl.fault.SecurityError, Permanent),
        (vmodl.fault.SessionNotFound, SessionLost),
        (vmodl.fault.NotEnoughLicenses, Permanent),
        (vim.fault.SnapshotLocked, Temporary),
        (vim.fault.TooManyConcurrentNativeClones, Temporary),
        (vim.fault.VAppTaskInProgress, Temporary),
        (vim.fault.InvalidHostConnectionState, Permanent),
        (vim.fault.HostConnectFault, Permanent),
        (vim.fault.InvalidGuestLogin, Permanent),
        (sms.fault.InvalidSession, SessionLost),
        (pbm.fault.InvalidLogin, Authentication),
    ],
)
def test_the_kind_of_the_faults_that_matter(fault: type, kind: type[DrydockError]) -> None:
    assert type(translate(fault(), "host esx1")) is kind


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (TimeoutError("timed out"), Temporary, "no answer in time"),
        (socket.gaierror(-2, "Name or service not known"), Permanent, "VSPHERE_SERVER"),
        (ConnectionRefusedError(111, "Connection refused"), Temporary, "can't be reached"),
        (ConnectionResetError(104, "reset"), Temporary, "can't be reached"),
        (http.client.BadStatusLine("x"), Temporary, "can't be reached"),
        (http.client.IncompleteRead(b""), Temporary, "can't be reached"),
        (ssl.SSLCertVerificationError("self-signed certificate"), Permanent, "not trusted"),
        (ssl.SSLEOFError("EOF"), Temporary, "ended the connection"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]"), Permanent, "no TLS connection"),
        (http.client.HTTPException("503 Service Unavailable"), Temporary, "503 Service Unavailable"),
        (http.client.HTTPException("429 Too Many Requests"), Temporary, "429 Too Many Requests"),
        (http.client.HTTPException("404 Not Found"), Permanent, "See that VSPHERE_SERVER is a vCenter's"),
        (zlib.error("incorrect header check"), Permanent, "not vSphere's"),
        (ExpatError("not well-formed"), Permanent, "not vSphere's"),
        (KeyError("type"), Permanent, "not vSphere's"),
    ],
)
def test_what_goes_wrong_on_the_way(raised: Exception, kind: type[DrydockError], words: str) -> None:
    error = translate(raised, "vCenter vc")

    assert type(error) is kind
    assert words in str(error)
    assert str(error).startswith("vCenter vc: ")


def transport_failures() -> Iterator[type[Exception]]:
    """What the modules below pyVmomi can raise."""
    roots = (OSError, http.client.HTTPException, ExpatError, zlib.error)
    for module in (http.client, ssl, socket, zlib, xml.parsers.expat, builtins):
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, roots):
                yield kind


def test_no_failure_on_the_way_is_unexpected() -> None:
    kinds = set(transport_failures())

    assert len(kinds) > 30
    for kind in kinds:
        told = translate(kind(""), "vCenter vc")
        assert "our mistake" not in str(told) and told.what, kind


def test_what_nobody_foresaw_is_told_as_our_mistake() -> None:
    assert "unexpected RuntimeError: boom" in str(translate(RuntimeError("boom"), "vCenter vc"))


def test_a_missing_privilege_is_called_by_its_name() -> None:
    error = translate(vim.fault.NoPermission(privilegeId="Host.Config.NetService"), "host esx1")

    assert str(error).startswith("host esx1: NoPermission, the user lacks Host.Config.NetService")


def test_several_missing_privileges_are_all_named() -> None:
    lacks = vim.fault.NoPermission.EntityPrivileges(privilegeIds=["Host.Config.NetService", "System.Read"])
    error = translate(vim.fault.NoPermission(missingPrivileges=[lacks]), "host esx1")

    assert "the user lacks Host.Config.NetService, System.Read" in str(error)


def test_what_the_server_says_is_told_once_and_on_one_line() -> None:
    fault = vim.fault.HostConfigFault(msg="It failed.", faultMessage=[_said("It failed."), _said("The\nreason.")])

    assert translate(fault, "host esx1").what == "HostConfigFault: It failed. The reason."


def _said(text: str) -> vmodl.LocalizableMessage:
    return vmodl.LocalizableMessage(key="k", message=text)


def test_our_own_error_stays_as_it_is() -> None:
    ours = Permanent("broken", on="host esx1", remedy="Mend it.")

    assert translate(ours, "something else") is ours
