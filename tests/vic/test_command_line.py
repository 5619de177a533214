"""Settings become the command line that a person would have typed, and no secret is ever in it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given as generated
from hypothesis import settings as tries
from hypothesis import strategies as any_

from providers.kit.errors import Permanent
from providers.kit.secrets import Secret
from providers.vic import flags
from providers.vic.command_line import Client, CommandLine, Login, Options, command_line, configurable
from providers.vic.flags import Command, Place
from providers.vic.settings import Settings
from tests.vic.given import LOGIN, THUMBPRINT, blog, pair, settings

CERT, KEY = pair()
CA = pair("authority")[0]

BLOG = {
    "--name=vch02.domain.sddc",
    "--target=sddcvcs.domain.sddc/SDDC.Datacenter",
    f"--thumbprint={THUMBPRINT}",
    "--user=orcunuso",
    "--compute-resource=SDDC.Container",
    "--image-store=VMFS01/VCHPOOL/vch02",
    "--volume-store=VMFS01/VCHPOOL/vch02:default",
    "--bridge-network=LSW10_Bridge",
    "--public-network=LSW10_Mgmt",
    "--client-network=LSW10_Mgmt",
    "--management-network=LSW10_Mgmt",
    "--dns-server=10.10.10.2",
    "--public-network-ip=10.10.10.20/24",
    "--public-network-gateway=10.10.10.1",
    "--registry-ca=registry-ca-1.pem",
    "--no-tls",
}

EVERYTHING: dict[str, Any] = {
    **blog(),
    "tls": {"mode": "mutual", "cname": "vch02.domain.sddc", "organization": ["sddc"], "key_size": 4096},
    "bridge_network_range": "172.16.0.0/12",
    "client_network": {
        "name": "C",
        "ip": "10.3.0.9/16",
        "gateway": "10.3.0.1",
        "routes": ["10.8.0.0/16", "10.9.0.0/16"],
    },
    "container_networks": {
        "backend": {
            "port_group": "Back End",
            "gateway": "10.1.0.1/16",
            "ip_ranges": ["10.1.1.0/24", "10.1.2.10-10.1.2.20"],
            "dns": ["10.1.0.2", "10.1.0.3"],
            "firewall": "outbound",
        }
    },
    "http_proxy": "http://proxy:3128",
    "no_proxy": ["localhost", ".sddc"],
    "memory": 4096,
    "memory_shares": "high",
    "cpu_shares": 4000,
    "endpoint_memory": 4096,
    "storage_quota": 100,
    "affinity_vm_group": True,
    "container_name_convention": "sddc-{name}",
    "insecure_registries": ["registry:5000"],
    "whitelist_registries": ["*.sddc"],
    "ops_user": "ops@sddc",
    "ops_password": "vch_ops_password",
    "ops_grant_perms": True,
    "syslog_address": "tcp://log:514",
    "asymmetric_routes": True,
    "debug": 1,
    "timeout_s": 600,
}


def built(command: Command, version: str = "1.5.6", given: Settings | None = None, **named: Any) -> CommandLine:
    return command_line(command, version, LOGIN, given or settings(), **named)


@pytest.mark.parametrize("version", ["1.1.1", "1.2.1", "1.5.6"])
def test_the_blogs_own_command_comes_out_flag_by_flag(version: str) -> None:
    line = built(Command.CREATE, version, Settings.model_validate(blog()))

    assert line.arguments[0] == "create"
    assert {*line.arguments[1:], *line.login_arguments} - {"--timeout=180s"} == BLOG
    assert line.files["registry-ca-1.pem"].content() == blog()["registry_cas"][0]


def test_everything_at_once_is_said_in_vic_machines_words() -> None:
    arguments = set(built(Command.CREATE, given=Settings.model_validate(EVERYTHING)).arguments)

    assert arguments >= {
        "--client-network-gateway=10.8.0.0/16,10.9.0.0/16:10.3.0.1",
        "--container-network=Back End:backend",
        "--container-network-gateway=Back End:10.1.0.1/16",
        "--container-network-ip-range=Back End:10.1.1.0/24",
        "--container-network-ip-range=Back End:10.1.2.10-10.1.2.20",
        "--container-network-dns=Back End:10.1.0.2",
        "--container-network-dns=Back End:10.1.0.3",
        "--container-network-firewall=Back End:outbound",
        "--no-proxy=localhost,.sddc",
        "--cpu-shares=4000",
        "--tls-cname=vch02.domain.sddc",
        "--organization=sddc",
        "--certificate-key-size=4096",
        "--ops-grant-perms=true",
        "--affinity-vm-group",
        "--asymmetric-routes",
        "--timeout=600s",
    }


WHOLE: dict[str, Any] = {
    **EVERYTHING,
    "https_proxy": "http://proxy:3128",
    "bridge_network_width": 16,
    "management_network": {"name": "M", "ip": "10.4.0.9/16", "gateway": "10.4.0.1"},
    "memory_reservation": 1,
    "cpu": 1,
    "cpu_reservation": 1,
    "endpoint_cpu": 2,
    "containers": 5,
    "base_image_size": "9GB",
}
OWN = {"server_cert": CERT, "server_key": KEY, "ca": CA}


def _created() -> list[CommandLine]:
    client = {"client_cert": CERT, "client_key": KEY}
    isos = Options(appliance_iso="a.iso", bootstrap_iso="b.iso")
    return [
        built(Command.CREATE, given=Settings.model_validate(WHOLE), options=isos),
        built(Command.CREATE, "1.1.1", settings(use_rp=True, container_store="DS")),
        built(Command.CREATE, given=settings(tls={"mode": "server"})),
        built(Command.CREATE, given=settings(tls={}, certificates=OWN)),
        built(Command.CREATE, given=settings(tls={}, certificates={**OWN, **client})),
        built(Command.CREATE),
    ]


def _configured() -> list[CommandLine]:
    takes = {one for one in WHOLE if configurable("1.5.6", one)}
    folder = Options(certificate_folder="new", id="vm-76")
    return [
        built(Command.CONFIGURE, given=Settings.model_validate(WHOLE), changed=takes),
        built(Command.CONFIGURE, given=settings(tls={"mode": "server"}), changed={"tls"}, options=folder),
        built(Command.CONFIGURE, given=settings(tls={}, certificates=OWN), changed={"certificates"}),
        built(Command.CONFIGURE, options=Options(rollback=True)),
        built(Command.CONFIGURE, options=Options(reset_progress=True)),
    ]


def _of_others(command: Command) -> list[CommandLine]:
    switches = [
        Options(),
        Options(id="vm-76"),
        Options(certificate_folder="there"),
        Options(rollback=True, reset_progress=True, appliance_iso="a.iso", bootstrap_iso="b.iso"),
        Options(allow=True, deny=True),
        Options(enable_ssh=True, authorized_key="ssh-ed25519 AAAA"),
    ]
    found = []
    for one in switches:
        with suppress(Permanent):  # each command takes its own
            found.append(built(command, given=settings(debug=1), options=one))
    return found


@pytest.mark.parametrize("command", [one for one in Command if one is not Command.VERSION], ids=lambda one: one.value)
def test_every_flag_of_every_command_comes_out_of_some_settings(command: Command) -> None:
    lines = {Command.CREATE: _created, Command.CONFIGURE: _configured}.get(command, lambda: _of_others(command))()
    known = [row for row in flags.table() if command.value in row.commands]
    expected = {row.flag for row in known if row.argument.place not in (Place.NEVER, Place.PROMPT)}

    said = {name for line in lines for name in _names(line)}

    assert expected - said == {"password"}, "it goes by the environment or the prompt"
    assert said <= expected


def _names(line: CommandLine) -> set[str]:
    words = [one for one in (*line.login_arguments, *line.arguments) if one.startswith("--")]
    return {flags.RENAMED.get(name, name) for name in (one.lstrip("-").partition("=")[0] for one in words)}


def test_1_1_1_is_told_the_login_in_arguments_and_the_password_at_its_prompt() -> None:
    line = built(Command.CREATE, "1.1.1")

    assert line.environment == {}
    assert set(line.arguments) >= {"--target=sddcvcs.domain.sddc", "--user=orcunuso", f"--thumbprint={THUMBPRINT}"}
    assert line.answers == (LOGIN.password,)


@pytest.mark.parametrize("command", [one for one in Command if one is not Command.VERSION], ids=lambda one: one.value)
def test_later_versions_are_told_the_login_by_the_environment(command: Command) -> None:
    line = built(command, "1.5.6")

    assert line.environment == {
        "VIC_MACHINE_TARGET": "sddcvcs.domain.sddc",
        "VIC_MACHINE_USER": "orcunuso",
        "VIC_MACHINE_THUMBPRINT": THUMBPRINT,
        "VIC_MACHINE_PASSWORD": LOGIN.password,
    }
    assert line.answers == ()


@pytest.mark.parametrize("version", ["1.1.1", "1.5.6"])
def test_the_ops_password_is_typed_after_the_administrators(version: str) -> None:
    line = built(Command.CREATE, version, settings(ops_user="ops", ops_password="named"))

    assert line.answers[-1] == LOGIN.ops_password
    assert len(line.answers) == (2 if version == "1.1.1" else 1)


def test_an_ops_user_without_a_known_password_is_refused() -> None:
    login = Login(LOGIN.target, LOGIN.user, LOGIN.password, LOGIN.thumbprint)

    with pytest.raises(Permanent, match="the password of ops_user 'ops' is not known"):
        command_line(Command.CREATE, "1.5.6", login, settings(ops_user="ops", ops_password="named"))


MARKERS = any_.text("abcXYZ019-=:/\"'\\ $ü", min_size=8, max_size=24).map(lambda text: f"mk~{text}~7Q")
COMMANDS = [(version, one) for version in flags.versions() for one in Command if flags.has_command(version, one)]


@tries(max_examples=150, deadline=None)
@generated(
    run=any_.sampled_from([one for one in COMMANDS if one[1] is not Command.VERSION]), password=MARKERS, ops=MARKERS
)
def test_no_secret_is_ever_in_an_argument_or_a_pasteable_line(
    run: tuple[str, Command], password: str, ops: str
) -> None:
    version, command = run
    login = Login(LOGIN.target, LOGIN.user, Secret(password), THUMBPRINT, Secret(ops))
    own = {"server_cert": CERT, "server_key": KEY, "ca": CA, "client_cert": CERT, "client_key": KEY}
    mode = "mutual" if flags.spelled(version, command, "tls-ca") else "server"
    given = settings(tls={"mode": mode}, certificates=own, ops_user="ops", ops_password="vch_ops_password")
    client = Options(client=Client(CA, CERT, Secret(KEY)))

    line = command_line(command, version, login, given, client, {"certificates", "ops_user"})

    key = KEY.splitlines()[1]
    for text in (*line.arguments, *line.login_arguments, *line.files, line.pasteable(), repr(line)):
        assert password not in text and ops not in text and key not in text


def test_configure_is_told_only_what_changed_and_lists_as_a_whole() -> None:
    given = settings(dns_servers=["10.0.0.2", "10.0.0.3"], memory=4096, volume_stores={"a": "DS/a", "b": "DS/b"})

    line = built(Command.CONFIGURE, given=given, changed={"dns_servers", "volume_stores"})

    assert set(line.arguments[1:]) == {
        "--name=vch02.domain.sddc",
        "--compute-resource=SDDC.Container",
        "--timeout=180s",
        "--dns-server=10.0.0.2",
        "--dns-server=10.0.0.3",
        "--volume-store=DS/a:a",
        "--volume-store=DS/b:b",
    }


def test_configure_without_a_change_only_renews_what_the_vch_knows_of_vsphere() -> None:
    line = built(Command.CONFIGURE)

    assert [one.partition("=")[0] for one in line.arguments[1:]] == ["--name", "--compute-resource", "--timeout"]


@pytest.mark.parametrize(
    ("given", "changed", "said"),
    [
        ({"dns_servers": []}, {"dns_servers"}, "--dns-server="),
        ({"http_proxy": ""}, {"http_proxy"}, "--http-proxy="),
        ({"affinity_vm_group": False}, {"affinity_vm_group"}, "--affinity-vm-group=false"),
    ],
)
def test_configure_can_be_told_that_nothing_is_wanted_any_more(
    given: dict[str, Any], changed: set[str], said: str
) -> None:
    assert said in built(Command.CONFIGURE, given=settings(**given), changed=changed).arguments


def test_configure_makes_new_certificates_only_where_it_is_given_a_name() -> None:
    fixed = {"name": "C", "ip": "10.3.0.9/16"}
    line = built(Command.CONFIGURE, given=settings(tls={}, client_network=fixed), changed={"tls"})

    assert "--tls-cname=10.3.0.9" in line.arguments


def test_given_certificates_with_a_clients_are_found_in_creates_folder() -> None:
    own = {"server_cert": CERT, "server_key": KEY, "ca": CA, "client_cert": CERT, "client_key": KEY}
    line = built(Command.CREATE, given=settings(tls={}, certificates=own))

    folder = "vch02.domain.sddc"
    assert {f"--tls-cert-path={folder}", f"--tls-cname={folder}"} <= set(line.arguments)
    assert {path: oct(one.mode) for path, one in line.files.items()} == {
        f"{folder}/server-cert.pem": "0o644",
        f"{folder}/server-key.pem": "0o600",
        f"{folder}/ca.pem": "0o644",
        f"{folder}/cert.pem": "0o644",
        f"{folder}/key.pem": "0o600",
    }


def test_configure_gets_given_certificates_outside_the_folder_that_must_not_exist() -> None:
    own = {"server_cert": CERT, "server_key": KEY, "ca": CA, "client_cert": CERT, "client_key": KEY}
    line = built(Command.CONFIGURE, given=settings(tls={}, certificates=own), changed={"certificates"})

    assert {"--tls-server-cert=given/server-cert.pem", "--tls-ca=given/ca.pem"} <= set(line.arguments)
    assert not any(path.startswith("vch02.domain.sddc/") for path in line.files)


@pytest.mark.parametrize(
    ("version", "changed", "says"),
    [
        ("1.5.6", "insecure_registries", "doesn't take it in any version"),
        ("1.4.3", "syslog_address", "1.5.6 brings it"),
    ],
)
def test_configure_refuses_what_it_can_not_change(version: str, changed: str, says: str) -> None:
    given = settings(insecure_registries=["registry:5000"], syslog_address="tcp://log:514")

    with pytest.raises(Permanent, match=says):
        built(Command.CONFIGURE, version, given, changed={changed})


@pytest.mark.parametrize("command", [Command.CONFIGURE, Command.INSPECT_CONFIG])
def test_a_command_that_a_version_lacks_is_refused(command: Command) -> None:
    with pytest.raises(Permanent, match=f"vic-machine 1.1.1 has no {command.value}; 1.2.1 brings it"):
        built(command, "1.1.1")


def test_force_is_never_said() -> None:
    lines = [built(one, given=settings()) for one in Command if one is not Command.VERSION]

    assert not any("force" in argument for line in lines for argument in line.arguments)


@pytest.mark.parametrize(
    ("command", "options", "said"),
    [
        (Command.UPGRADE, Options(rollback=True), "--rollback"),
        (Command.CONFIGURE, Options(reset_progress=True), "--reset-progress"),
        (Command.UPDATE_FIREWALL, Options(allow=True), "--allow"),
        (
            Command.DEBUG,
            Options(enable_ssh=True, authorized_key="ssh-ed25519 AAAA"),
            "--authorized-key=authorized-key.pub",
        ),
        (Command.INSPECT, Options(id="vm-76"), "--id=vm-76"),
        (Command.INSPECT_CONFIG, Options(), "--format=raw"),
    ],
)
def test_a_runs_options_are_said(command: Command, options: Options, said: str) -> None:
    assert said in built(command, options=options).arguments


def test_a_target_with_credentials_is_refused() -> None:
    with pytest.raises(Permanent, match="the target must be HOST or HOST:PORT"):
        command_line(Command.LS, "1.5.6", Login("u:p@vc", "u", Secret("mk-p~~~1"), THUMBPRINT), settings())


@pytest.mark.parametrize(("property_", "can"), [("dns_servers", True), ("tls", True), ("image_store", False)])
def test_what_configure_takes_at_all_is_known(property_: str, can: bool) -> None:
    assert configurable("1.5.6", property_) is can


def test_the_pasteable_line_is_a_shells() -> None:
    line = built(Command.CREATE, given=settings(bridge_network="Bridge Net"))

    assert line.pasteable().splitlines()[0] == "./vic-machine-linux create \\"
    assert "    '--bridge-network=Bridge Net' \\" in line.pasteable().splitlines()
