"""Every fault class of pyVmomi, and every failure of the way to it, is one of our errors, with something to do."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from xml.parsers.expat import ExpatError

import pytest
from pyVmomi import VmomiSupport, vim, vmodl

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
        (ssl.SSLEOFError("EOF"), Temporary, "can't be reached"),
        (ExpatError("not well-formed"), Permanent, "not vSphere's"),
        (KeyError("type"), Permanent, "not vSphere's"),
    ],
)
def test_what_goes_wrong_on_the_way(raised: Exception, kind: type[DrydockError], words: str) -> None:
    error = translate(raised, "vCenter vc")

    assert type(error) is kind
    assert words in str(error)
    assert str(error).startswith("vCenter vc: ")


def test_a_missing_privilege_is_called_by_its_name() -> None:
    error = translate(vim.fault.NoPermission(privilegeId="Host.Config.NetService"), "host esx1")

    assert str(error).startswith("host esx1: NoPermission, the user lacks Host.Config.NetService")


def test_our_own_error_stays_as_it_is() -> None:
    ours = Permanent("broken", on="host esx1", remedy="Mend it.")

    assert translate(ours, "something else") is ours
