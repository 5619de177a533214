"""A VM that is a VCH comes alive when it is powered on, and goes when it is powered off or deleted."""

from __future__ import annotations

import base64
import ipaddress
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from pyVmomi import vim

from lab.supervisor import Lab
from tests.lab import host
from tests.lab.site.conftest import asked, client_of, probe_of, pull_probe, site_of, until
from tests.lab.site.machines import DATASTORE, VCH, Papers, looking, machine, machines, make, papers
from tests.tasks import finished

pytestmark = pytest.mark.lab

PREFIX = "guestinfo.vice./"
NewVCH = Callable[..., VCH]


def answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=5).close()
    except OSError:
        return False
    return True


def papers_of(lab: Lab) -> Papers:
    """Certificates for the addresses that the site gives out first."""
    return papers(*(lab.part("site").premises.addresses.host(member) for member in range(128, 160)))


def test_a_vch_reports_that_its_parts_started_and_an_address_of_the_labs(site_lab: Lab, new_vch: NewVCH) -> None:
    vch = new_vch()
    vch.wait()

    assert {vch.started(one) for one in ("port-layer", "docker-personality", "vicadmin")} == {"true"}
    assert vch.address().startswith(f"127.64.{site_lab.part('site').premises.addresses.number}.")


def test_its_docker_api_says_what_vic_machine_waits_for(new_vch: NewVCH) -> None:
    vch = new_vch(**{f"{PREFIX}storage/VolumeLocations": "archive|default", **store("archive", "stores/archive")})
    vch.wait()

    info = asked(vch, "GET", "/info").json()

    assert info["Driver"] == "vSphere Integrated Containers v1.5.6 Backend Engine"
    assert [info["Driver"], "RUNNING"] in info["SystemStatus"]
    assert ["VolumeStores", "archive default"] in info["SystemStatus"]
    assert info["Name"] == vch.name


def test_docker_py_gets_in_with_the_client_certificate_that_vic_machine_makes(
    site_lab: Lab, new_vch: NewVCH, tmp_path: Path
) -> None:
    vch = new_vch(papers=papers_of(site_lab))
    vch.wait()

    assert client_of(vch, tmp_path).version()["ApiVersion"] == "1.25"


def test_plain_requests_get_in_with_that_certificate_too(site_lab: Lab, new_vch: NewVCH, tmp_path: Path) -> None:
    vch = new_vch(papers=papers_of(site_lab))
    vch.wait()
    assert vch.papers is not None
    place = vch.papers.write(tmp_path)

    with requests.Session() as session:
        session.trust_env = False
        session.cert, session.verify = (str(place / "cert.pem"), str(place / "key.pem")), str(place / "ca.pem")
        answer = session.get(f"https://{vch.address()}:2376/_ping", timeout=10)

    assert (answer.status_code, answer.text, answer.headers["Api-Version"]) == (200, "OK", "1.25")


@pytest.mark.parametrize("whose", ["nobody's", "a stranger's"])
def test_a_client_without_a_certificate_of_the_vchs_authority_is_turned_away(
    site_lab: Lab, new_vch: NewVCH, tmp_path: Path, whose: str
) -> None:
    vch = new_vch(papers=papers_of(site_lab))
    vch.wait()
    assert vch.papers is not None
    ours, strangers = vch.papers.write(tmp_path / "ours"), papers("127.0.0.1").write(tmp_path / "strangers")

    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(ours / "ca.pem")
        if whose == "a stranger's":
            session.cert = (str(strangers / "cert.pem"), str(strangers / "key.pem"))
        with pytest.raises(requests.exceptions.ConnectionError):
            session.get(f"https://{vch.address()}:2376/_ping", timeout=10)


def test_without_client_authorities_tls_lets_everyone_in(site_lab: Lab, new_vch: NewVCH, tmp_path: Path) -> None:
    vch = new_vch(papers=papers_of(site_lab), **{f"{PREFIX}cert/CertificateAuthorities": "<nil>"})
    vch.wait()
    assert vch.papers is not None

    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(vch.papers.write(tmp_path) / "ca.pem")
        answer = session.get(f"https://{vch.address()}:2376/_ping", timeout=10)

    assert answer.text == "OK"


def test_the_admin_portal_shows_its_login_page(new_vch: NewVCH) -> None:
    vch = new_vch()
    vch.wait()

    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(f"https://{vch.address()}:2378/", verify=False, timeout=10)

    assert answer.url.endswith("/authentication")
    assert "<form" in answer.text and vch.name in answer.text


def test_power_off_takes_its_ports_away_and_power_on_brings_them_back_at_the_same_address(new_vch: NewVCH) -> None:
    vch = new_vch()
    vch.wait()
    address = vch.address()

    vch.power_off()
    until(lambda: not answers(address, 2375) and not answers(address, 2378), "the ports stay")
    vch.forget_started()
    vch.power_on()
    vch.wait()

    assert vch.address() == address
    assert answers(address, 2375)


def test_a_reboot_between_two_looks_is_seen_by_its_emptied_reports(new_vch: NewVCH) -> None:
    vch = new_vch()
    vch.wait()

    vch.power_off()
    vch.forget_started()
    vch.power_on()

    assert vch.wait() == "true"


def test_a_deleted_vch_leaves_nothing_behind(site_lab: Lab, new_vch: NewVCH) -> None:
    vch = new_vch()
    vch.wait()
    address, folder = vch.address(), site_lab.part("site").folder / "vch"
    before = set(folder.iterdir())

    vch.destroy()
    until(lambda: not answers(address, 2375), "the port stays")

    until(lambda: len(set(folder.iterdir())) == len(before) - 1, "what it kept stays")


def test_a_vch_that_is_made_anew_at_once_is_another_one(site_lab: Lab, new_vch: NewVCH) -> None:
    address = site_lab.part("site").premises.addresses.host(201)
    first = new_vch("again", **fixed(address))
    first.wait()
    pull_probe(site_lab, client_of(first))

    first.destroy()
    second = new_vch("again", **fixed(address))

    assert second.wait() == "true"
    until(lambda: not (site_lab.part("site").folder / "vch" / first.reference).exists(), "the first one stays")
    assert client_of(second).images.list() == []


def test_two_vchs_with_equal_bridges_and_ports_live_side_by_side(site_lab: Lab, new_vch: NewVCH) -> None:
    pages = []
    for name in ("one", "two"):
        vch = new_vch()
        vch.wait()
        client = client_of(vch)
        pull_probe(site_lab, client)
        client.networks.create("inside")
        client.containers.run(
            probe_of(site_lab), ["/probe", "put", f"/data/{name}"], volumes=["web:/data"], network="inside"
        )
        client.containers.run(
            probe_of(site_lab),
            ["/probe", "serve", "/data"],
            detach=True,
            ports={"80/tcp": 10080},
            volumes=["web:/data"],
            network="inside",
        )
        pages.append(f"http://{vch.address()}:10080/")

    with requests.Session() as session:
        session.trust_env = False
        told = [read(session, page) for page in pages]

    assert ">one<" in told[0] and ">two<" not in told[0]
    assert ">two<" in told[1] and ">one<" not in told[1]


def read(session: requests.Session, page: str) -> str:
    found: list[str] = []

    def answered() -> bool:
        try:
            found.append(session.get(page, timeout=5).text)
        except requests.exceptions.ConnectionError:
            return False
        return True

    until(answered, f"{page} doesn't answer")
    return found[-1]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (f"{PREFIX}storage/VolumeLocations|default/Host", "no-such-store", "datastore no-such-store not found"),
        (f"{PREFIX}connect/username", "nobody", "incorrect user name or password"),
        (f"{PREFIX}connect/target_thumbprint", "AA:BB", "Failed to verify certificate"),
    ],
)
def test_what_is_wrong_with_its_settings_stands_in_its_report(
    new_vch: NewVCH, key: str, value: str, words: str
) -> None:
    vch = new_vch(**{key: value})

    assert words in vch.wait()
    assert not answers(vch.address(), 2375)


def test_a_fixed_address_of_the_labs_network_is_taken(site_lab: Lab, new_vch: NewVCH) -> None:
    address = site_lab.part("site").premises.addresses.host(200)
    vch = new_vch(**fixed(address))

    assert vch.wait() == "true"
    assert vch.address() == address
    assert asked(vch, "GET", "/_ping").text == "OK"


def test_a_fixed_address_of_another_network_stands_in_its_report(new_vch: NewVCH) -> None:
    assert "the address 10.0.0.9 is not in this site's network" in new_vch(**fixed("10.0.0.9")).wait()


def test_a_vm_with_another_iso_stays_a_vm(site_lab: Lab) -> None:
    site = site_of(site_lab)
    vch = make(site, "not-a-vch")
    with looking(site) as content:
        one = machine(content, vch.reference)
        drive = next(device for device in one.config.hardware.device if hasattr(device.backing, "fileName"))
        drive.backing.fileName = f"[{DATASTORE}] iso/photon.iso"
        change = vim.vm.device.VirtualDeviceSpec(operation="edit", device=drive)
        finished(one.ReconfigVM_Task(spec=vim.vm.ConfigSpec(deviceChange=[change])))
    beside = make(site, "a-vch")

    vch.power_on()
    beside.power_on()
    beside.wait()

    assert vch.started() == ""
    for one_made in (vch, beside):
        one_made.destroy()


def test_a_killed_site_comes_back_with_its_vchs_and_their_containers(site_lab: Lab, new_vch: NewVCH) -> None:
    vch = new_vch()
    vch.wait()
    address = vch.address()
    client = client_of(vch)
    pull_probe(site_lab, client)
    client.containers.run(probe_of(site_lab), ["/probe", "serve", "/data"], name="web", detach=True)
    kill(site_lab, "site")

    site_lab.up(["site"])

    assert vch.address() == address
    assert client_of(vch).containers.get("web").status == "running"


def test_a_restart_of_the_vcenter_doesnt_disturb_it(site_lab: Lab, new_vch: NewVCH) -> None:
    vch = new_vch()
    vch.wait()
    client = client_of(vch)
    pull_probe(site_lab, client)
    web = client.containers.run(probe_of(site_lab), ["/probe", "serve", "/data"], name="web", detach=True)
    kill(site_lab, "vcenter")
    site_lab.up(["vcenter"])

    other = new_vch()
    other.wait()
    web.reload()
    assert web.status == "running"
    web.stop(timeout=1)

    assert machines(vch.site)[f"web-{web.id[:12]}"][0] == "poweredOff"


def test_a_replaced_certificate_of_the_vcenter_stops_a_vch_until_it_is_told(site_lab: Lab, new_vch: NewVCH) -> None:
    vch = new_vch()
    vch.wait()
    driver = asked(vch, "GET", "/info").json()["Driver"]
    (site_lab.part("vcenter").premises.certificates.of("vcenter") / "cert.pem").unlink()

    site_lab.up(["vcenter"])
    until(lambda: [driver, "STOPPED"] in asked(vch, "GET", "/info").json()["SystemStatus"], "it says RUNNING on")
    vch.site = site_of(site_lab)
    vch.power_off()
    vch.write({f"{PREFIX}connect/target_thumbprint": vch.site.thumbprint})
    vch.forget_started()
    vch.power_on()
    vch.wait()

    assert [driver, "RUNNING"] in asked(vch, "GET", "/info").json()["SystemStatus"]


def test_down_leaves_no_process_mount_or_control_group(site_lab: Lab, new_vch: NewVCH) -> None:
    vch = new_vch()
    vch.wait()
    client = client_of(vch)
    pull_probe(site_lab, client)
    client.containers.run(probe_of(site_lab), ["/probe", "serve", "/data"], name="web", detach=True)
    group = f"{site_lab.part('site').premises.addresses.bridge}-site"
    assert host.control_groups(group)

    site_lab.down()

    assert host.processes_naming(str(site_lab.state)) == []
    assert host.mounts_naming(str(site_lab.state)) == []
    assert host.control_groups(group) == []
    site_lab.up(["site", "registry"])
    assert client_of(vch).containers.get("web").status == "running"


def kill(lab: Lab, part: str) -> None:
    lab.kill(part, signal.SIGKILL)
    until(lambda: {one.name: one.state for one in lab.status()}[part] == "crashed", f"{part} goes on")


def fixed(address: str) -> dict[str, str]:
    place = f"{PREFIX}init/networks|client"
    packed = bytes(10) + b"\xff\xff" + ipaddress.IPv4Address(address).packed
    return {f"{place}/ip/IP": base64.b64encode(packed).decode(), f"{place}/static": "true"}


def store(label: str, folder: str) -> dict[str, str]:
    place = f"{PREFIX}storage/VolumeLocations|{label}"
    return {f"{place}/Host": DATASTORE, f"{place}/Path": f"[{DATASTORE}] {folder}", f"{place}/Scheme": "ds"}
