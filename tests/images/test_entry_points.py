"""Both images as containers: first starts that were killed, volumes that were lost, databases that refuse."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest
from docker.models.containers import Container
from docker.tls import TLSConfig

from lab.supervisor import Lab

pytestmark = pytest.mark.lab

API_VERSION = "1.41"
LIMIT_S = 90
PASSWORD = 'mk"Zü+/% ;#`%(x)s'
VOLUME = "/var/lib/postgresql/data"
BEING_MADE, READY = "running bootstrap script", "ready to accept connections"
LOGIN_OF_ADMIN = b64encode(f"captain:{PASSWORD}".encode()).decode()


class House:
    """The lab's engine with both images; everything made through it is gone at the end."""

    def __init__(self, lab: Lab) -> None:
        variables = lab.environment()
        certificates = variables["DOCKER_CERT_PATH"]
        tls = TLSConfig(
            client_cert=(f"{certificates}/cert.pem", f"{certificates}/key.pem"),
            ca_cert=f"{certificates}/ca.pem",
            verify=True,
        )
        self.engine = docker.DockerClient(variables["DOCKER_HOST"], version=API_VERSION, timeout=LIMIT_S, tls=tls)
        self.engine.api.trust_env = False
        self.address = lab.part("engine").address.partition(":")[0]
        login = {"username": variables["REGISTRY_USER"], "password": variables["REGISTRY_PASSWORD"]}
        self.images = {}
        for name, repository, tag in (("postgres", "library/postgres", "9.6"), ("gitea", "gogs/gogs", "1.26")):
            found = self.engine.images.pull(f"{variables['REGISTRY']}/{repository}", tag, auth_config=login)
            self.images[name] = found.id
        self._containers: list[Container] = []
        self._volumes: list[Any] = []
        self.network = self.engine.networks.create(_name(), driver="bridge")

    def volume(self) -> str:
        self._volumes.append(self.engine.volumes.create(_name()))
        return str(self._volumes[-1].name)

    def database(self, volume: str, **environment: str) -> Container:
        given = {"POSTGRES_USER": "gogsuser", "POSTGRES_PASSWORD": PASSWORD, "POSTGRES_DB": "gogsdb"}
        places = {volume: {"bind": VOLUME, "mode": "rw"}}
        data = {"PGDATA": f"{VOLUME}/data"}
        return self._run("postgres", environment={**given, **data, **environment}, volumes=places, hostname="gogsdb")

    def gitea(self, volume: str, database: Container, password: str = PASSWORD) -> Container:
        given = {
            "GITEA__server__ROOT_URL": f"http://{self.address}:3000/",
            "GITEA__server__SSH_PORT": "10022",
            "GITEA__database__DB_TYPE": "postgres",
            "GITEA__database__HOST": f"{database.name}:5432",
            "GITEA__database__NAME": "gogsdb",
            "GITEA__database__USER": "gogsuser",
            "GITEA__database__PASSWD": password,
            "GITEA_ADMIN_USERNAME": "captain",
            "GITEA_ADMIN_PASSWORD": PASSWORD,
        }
        places = {volume: {"bind": "/data", "mode": "rw"}}
        return self._run("gitea", environment=given, volumes=places, ports={"3000/tcp": None})

    def api(self, gitea: Container, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        """An answer of Gitea's API to its administrator, awaited while it starts."""
        gitea.reload()
        port = gitea.ports["3000/tcp"][0]["HostPort"]
        request = urllib.request.Request(
            f"http://{self.address}:{port}/api/v1/{path}",
            data=None if content is None else json.dumps(content).encode(),
            headers={"Authorization": f"Basic {LOGIN_OF_ADMIN}", "Content-Type": "application/json"},
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        end = time.monotonic() + LIMIT_S
        while True:
            try:
                with direct.open(request, timeout=10) as answer:
                    return dict(json.load(answer))
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    raise
            except OSError:
                pass  # not listening yet
            assert time.monotonic() < end, said(gitea)
            time.sleep(0.1)

    def remove(self, container: Container) -> None:
        container.remove(force=True)
        self._containers.remove(container)

    def leave(self) -> None:
        for container in self._containers:
            container.remove(force=True)
        for volume in self._volumes:
            volume.remove()
        self.network.remove()
        self.engine.close()

    def _run(self, image: str, **options: Any) -> Container:
        one = self.engine.containers.run(
            self.images[image], name=_name(), network=self.network.name, detach=True, **options
        )
        self._containers.append(one)
        return one


@pytest.fixture(scope="module")
def house(lab: Lab) -> Iterator[House]:
    one = House(lab)
    try:
        yield one
    finally:
        one.leave()


def _name() -> str:
    return f"image-test-{uuid.uuid4().hex[:10]}"


def said(container: Container) -> str:
    return str(container.logs().decode())


def until(condition: Callable[[], bool], container: Container) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, said(container)
        time.sleep(0.02)


def ended(container: Container) -> tuple[int, list[str]]:
    return int(container.wait(timeout=LIMIT_S)["StatusCode"]), said(container).splitlines()


def folders(database: Container, path: str) -> list[str]:
    return str(database.exec_run(["ls", path]).output.decode()).split()


def test_a_database_killed_while_it_was_made_is_made_again(house: House) -> None:
    database = house.database(house.volume())
    until(lambda: BEING_MADE in said(database), database)
    database.kill()
    killed_before = READY not in said(database)

    database.start()

    until(lambda: READY in said(database), database)
    assert killed_before
    # template0, template1, postgres and the one that was asked for
    assert len(folders(database, f"{VOLUME}/data/base")) == 4
    assert folders(database, VOLUME) == ["data"]


def test_a_database_stops_cleanly(house: House) -> None:
    database = house.database(house.volume())
    until(lambda: READY in said(database), database)

    database.stop(timeout=LIMIT_S)

    code, lines = ended(database)
    assert code == 0
    assert "database system is shut down" in lines[-1]


def test_a_folder_with_something_in_it_is_refused_and_left_as_it_is(house: House) -> None:
    volume = house.volume()
    first = house.database(volume)
    until(lambda: READY in said(first), first)
    first.stop(timeout=LIMIT_S)

    # The volume's root has a folder in it, as a new volume of a container host on vSphere has.
    code, lines = ended(house.database(volume, PGDATA=VOLUME))

    assert code == 1
    assert any("exists but is not empty" in line for line in lines)
    first.start()
    until(lambda: said(first).count(READY) == 2, first)


def test_a_database_without_a_password_is_not_made(house: House) -> None:
    code, lines = ended(house.database(house.volume(), POSTGRES_PASSWORD=""))

    assert (code, lines) == (1, ["POSTGRES_PASSWORD is not set: a database without a password is not made"])


def test_the_administrator_is_there_whichever_volume_was_lost(house: House) -> None:
    database, volume = house.database(house.volume()), house.volume()
    before = house.gitea(volume, database)
    house.api(before, "user")
    house.remove(before)

    without_files = house.gitea(house.volume(), database)
    without_tables = house.gitea(volume, house.database(house.volume()))

    assert house.api(without_files, "user")["is_admin"] is True
    assert house.api(without_tables, "user")["is_admin"] is True


def test_ssh_addresses_name_the_host_of_the_root_url_also_when_it_is_a_number(house: House) -> None:
    gitea = house.gitea(house.volume(), house.database(house.volume()))

    made = house.api(gitea, "user/repos", {"name": "one"})

    assert made["ssh_url"] == f"ssh://git@{house.address}:10022/captain/one.git"


def test_a_database_that_refuses_the_login_is_one_line_at_once(house: House) -> None:
    database = house.database(house.volume())

    code, lines = ended(house.gitea(house.volume(), database, password="a wrong one"))

    assert code == 1
    assert len(lines) == 1
    assert "refuses the user gogsuser" in lines[0]
    assert "a wrong one" not in lines[0]


def test_the_server_has_no_password_in_its_environment(house: House) -> None:
    database = house.database(house.volume())
    gitea = house.gitea(house.volume(), database)
    house.api(gitea, "user")

    seen = [
        one.exec_run(["cat", "/proc/1/environ"], user=user).output
        for one, user in ((gitea, "git"), (database, "postgres"))
    ]

    assert [b"PATH=" in environment for environment in seen] == [True, True]
    assert [b"PASS" in environment for environment in seen] == [False, False]
