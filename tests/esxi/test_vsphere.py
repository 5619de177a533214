"""How a session begins and ends: who is spoken to, what is sent, and what is never sent twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from providers.esxi import vsphere
from providers.esxi.resources import RulesetProvider
from providers.esxi.vsphere import USER_AGENT, Endpoint, VSphere
from providers.kit.errors import Authentication, DrydockError, Permanent, SessionLost, Temporary
from providers.kit.provider import Failed
from providers.kit.secrets import Secret, Settings
from tests.esxi.stand_in import DROP, HANG, StandIn, fault, serving

PASSWORD = "not-in-any-text-9"


def endpoint(server: StandIn, thumbprint: str | None = None, verify: bool = False) -> Endpoint:
    return Endpoint(server.address, "ada", Secret(PASSWORD), thumbprint, verify)


@contextmanager
def refused(kind: type[DrydockError], *words: str) -> Iterator[None]:
    """The block ends with exactly this kind of error, in one line that has these words and no password."""
    with pytest.raises(DrydockError) as caught:
        yield
    said = str(caught.value)
    assert type(caught.value) is kind, said
    assert all(word in said for word in words), said
    assert "\n" not in said and PASSWORD not in said


def test_a_session_logs_in_once_and_out_at_the_end(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        with closing(VSphere(endpoint(server))):
            pass

        assert server.calls == ["RetrieveServiceContent", "Login", "Logout"]


def test_every_call_names_us_and_our_version(tmp_path: Path) -> None:
    with serving(tmp_path) as server, closing(VSphere(endpoint(server))):
        agents = re.findall(rb"^user-agent: *(.*?)\r$", server.heard, re.I | re.M)

    assert agents == [USER_AGENT.encode()] * 2


def test_the_version_that_we_name_is_the_project_s() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()

    assert f'\nversion = "{USER_AGENT.partition("/")[2]}"\n' in project


@pytest.mark.parametrize("spelling", ["sha1", "sha256", "colons", "capitals"])
def test_the_right_thumbprint_is_enough_in_every_spelling(tmp_path: Path, spelling: str) -> None:
    with serving(tmp_path, expired=True) as server:
        colons = ":".join(re.findall("..", server.sha256))
        pin = {
            "sha1": server.sha1,
            "sha256": server.sha256,
            "colons": colons,
            "capitals": colons.upper(),
        }[spelling]
        with closing(VSphere(endpoint(server, pin, verify=True))):
            pass

        assert "Login" in server.calls


@pytest.mark.parametrize("digits", [40, 64])
def test_a_wrong_thumbprint_ends_it_before_a_byte_is_sent(tmp_path: Path, digits: int) -> None:
    with serving(tmp_path) as server:
        with refused(Permanent, "thumbprint is", "not the pinned", "No password was sent"):
            VSphere(endpoint(server, "ab" * (digits // 2)))

        assert server.heard == b""


def test_a_pin_that_is_no_thumbprint_is_told(tmp_path: Path) -> None:
    with serving(tmp_path) as server, refused(Permanent, "'abc' is neither SHA-1 (40 digits) nor SHA-256"):
        VSphere(endpoint(server, "abc"))


def test_each_new_connection_is_compared_with_the_pin(tmp_path: Path) -> None:
    with serving(tmp_path) as server, closing(VSphere(endpoint(server, server.sha256))) as session:
        heard = server.heard
        session._stub.DropConnections()
        object.__setattr__(session.endpoint, "thumbprint", "ab" * 32)

        with refused(Permanent, "not the pinned"), session.speaking():
            session.content.sessionManager.Logout()

        assert server.heard == heard


def test_a_certificate_that_nobody_vouches_for_is_refused_before_a_byte_is_sent(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        with refused(Permanent, "certificate is not trusted", "preflight --pin"):
            VSphere(endpoint(server, verify=True))

        assert server.heard == b""


def test_a_certificate_of_the_wrong_ca_is_accepted_where_it_was_allowed(tmp_path: Path) -> None:
    with serving(tmp_path) as server, closing(VSphere(endpoint(server, verify=False))):
        assert server.calls[-1] == "Login"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("InvalidLogin", "InvalidLogin: said"),
        ("NoPermission", "NoPermission: said"),
        (
            "PasswordExpired",
            "InvalidLogin: said",
        ),  # newer than the API version that we speak: its parent, as in vSphere
    ],
)
def test_a_refused_login_is_tried_once_and_told_in_one_line(tmp_path: Path, name: str, told: str) -> None:
    with serving(tmp_path, {"Login": fault(name)}) as server:
        with refused(Authentication, "the login of 'ada' was refused", told, "not tried again"):
            VSphere(endpoint(server))

        assert server.calls.count("Login") == 1


@pytest.mark.parametrize("answer", [DROP, HANG])
def test_a_login_without_an_answer_is_not_sent_again(
    tmp_path: Path, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vsphere, "CALL_TIMEOUT_S", 0.3)
    with serving(tmp_path, {"Login": answer}) as server:
        with refused(Permanent, "no answer to the login"):
            VSphere(endpoint(server))

        assert server.calls.count("Login") == 1


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (HANG, Temporary, "no answer in time"),
        (DROP, Temporary, "can't be reached"),
        ("503 Service Unavailable", Temporary, "503 Service Unavailable"),
        ("404 Not Found", Permanent, "404 Not Found"),
        ("<html>welcome</html>", Permanent, "not vSphere's"),
        (fault("NotAuthenticated"), SessionLost, "NotAuthenticated"),
    ],
)
def test_whatever_the_server_does_is_one_of_our_errors(
    tmp_path: Path, answer: str, kind: type[DrydockError], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vsphere, "CALL_TIMEOUT_S", 0.3)
    with serving(tmp_path, {"RetrieveServiceContent": answer}) as server:
        with refused(kind, words):
            VSphere(endpoint(server))

        assert PASSWORD.encode() not in server.heard


def test_nobody_at_the_address_is_told() -> None:
    with refused(Temporary, "vCenter 127.0.0.1:9", "can't be reached"):
        VSphere(Endpoint("127.0.0.1:9", "ada", Secret(PASSWORD)))


def test_proxies_in_the_environment_are_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)

    with serving(tmp_path) as server, closing(VSphere(endpoint(server))):
        assert server.calls[-1] == "Login"


def test_closing_does_not_fail_when_the_server_is_gone(tmp_path: Path) -> None:
    with serving(tmp_path, {"Logout": DROP}) as server:
        VSphere(endpoint(server)).close()

        assert server.calls[-1] == "Logout"


@pytest.mark.parametrize(
    ("server", "host", "port"),
    [
        ("vc.example.com", "vc.example.com", 443),
        ("vc.example.com:8443", "vc.example.com", 8443),
        ("127.0.0.1:8989", "127.0.0.1", 8989),
        ("[fd00::1]:8443", "fd00::1", 8443),
        ("[fd00::1]", "fd00::1", 443),
        ("fd00::1", "fd00::1", 443),
    ],
)
def test_where_the_server_is(server: str, host: str, port: int) -> None:
    one = Endpoint(server, "ada", Secret(PASSWORD))

    assert (one.host, one.port) == (host, port)


@pytest.mark.parametrize(
    ("value", "verify"), [(None, True), ("false", True), ("true", False), ("True", False), ("1", False)]
)
def test_certificates_are_verified_unless_told_otherwise(value: str | None, verify: bool) -> None:
    environ = {"VSPHERE_SERVER": "vc", "VSPHERE_USER": "ada", "VSPHERE_PASSWORD": PASSWORD}
    if value is not None:
        environ["VSPHERE_ALLOW_UNVERIFIED_SSL"] = value

    assert Endpoint.of(Settings(environ=environ)).verify is verify


def test_what_is_not_set_is_named() -> None:
    with refused(Permanent, "VSPHERE_USER, VSPHERE_PASSWORD not set"):
        Endpoint.of(Settings(environ={"VSPHERE_SERVER": "vc"}))


def test_many_resources_with_a_wrong_password_cost_one_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path, {"Login": fault("InvalidLogin")}) as server:
        environ = {
            "VSPHERE_SERVER": server.address,
            "VSPHERE_USER": "ada",
            "VSPHERE_PASSWORD": PASSWORD,
            "VSPHERE_ALLOW_UNVERIFIED_SSL": "true",
        }
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        for _ in range(3):
            with pytest.raises(Failed):
                RulesetProvider().create({"cluster": "C0", "ruleset": "vSPC"})

        assert server.calls.count("Login") == 1
