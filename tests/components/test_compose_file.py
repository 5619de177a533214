"""Reading a compose file: what it means, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.compose_file import ComposeError, Mount, Port, interpolate, read

BLOG = """\
version: "3"
services:
  gogs:
    image: ${REGISTRY}/gogs/gogs
    container_name: gogsapp
    restart: on-failure
    depends_on:
      - "gogsdb"
    volumes:
      - "gogsvol2:/data"
    ports:
      - "10080:3000"
      - "10022:22"
    networks:
      - "gogsnet"
  gogsdb:
    image: ${REGISTRY}/library/postgres:9.6
    container_name: gogsdb
    environment:
      - POSTGRES_PASSWORD=${GOGS_DB_PASSWORD}
      - PGDATA=/var/lib/postgresql/data/data
    restart: on-failure
    volumes:
      - "gogsvol1:/var/lib/postgresql/data"
    networks:
      - "gogsnet"
networks:
  gogsnet:
    driver: bridge
volumes:
  gogsvol1:
    driver: local
  gogsvol2:
"""
VARIABLES = {"REGISTRY": "registry.example.com:5000", "GOGS_DB_PASSWORD": "\x01gogs_db_password\x02"}


@pytest.fixture
def write(tmp_path: Path):
    def written(text: str) -> Path:
        path = tmp_path / "compose.yml"
        path.write_text(text)
        return path

    return written


def test_the_blogs_file_is_read_as_it_stands(write) -> None:
    app = read(write(BLOG), VARIABLES)

    gogs = app.services["gogs"]
    assert gogs.image == "registry.example.com:5000/gogs/gogs"
    assert gogs.ports == [Port(published=10080, target=3000), Port(published=10022, target=22)]
    assert gogs.volumes == [Mount(volume="gogsvol2", target="/data")]
    assert app.services["gogsdb"].environment["PGDATA"] == "/var/lib/postgresql/data/data"
    assert (app.volumes["gogsvol1"].driver, app.volumes["gogsvol2"].driver) == ("local", None)


def test_a_service_starts_after_those_it_depends_on(write) -> None:
    assert read(write(BLOG), VARIABLES).in_start_order() == ["gogsdb", "gogs"]


@pytest.mark.parametrize(
    ("wrong", "right", "place", "words"),
    [
        (
            "    restart: on-failure\n    depends_on",
            "    healthcheck: {}\n    depends_on",
            ":6:5",
            "services.gogs.healthcheck: is not supported yet; supported: command",
        ),
        ('"10080:3000"', '"10080-3000"', ":12:9", "the form is [IP:][PUBLISHED:]TARGET"),
        ('"10080:3000"', '"99999:3000"', ":12:9", "99999"),
        ('"gogsvol2:/data"', '"./data:/data"', ":10:9", "not a named volume"),
        ('"gogsvol2:/data"', '"gogsvol9:/data"', ":10:9", "volume 'gogsvol9' is not declared"),
        ("restart: on-failure\n    depends", "restart: sometimes\n    depends", ":6:5", "'sometimes'"),
        ('- "gogsdb"', '- "gogsbd"', ":8:9", "there is no service 'gogsbd'; did you mean 'gogsdb'?"),
        ("${REGISTRY}/gogs/gogs", "${REGISTY}/gogs/gogs", ":4:12", "variable 'REGISTY' has no value"),
        (
            "  gogs:\n    image: ${REGISTRY}/gogs/gogs\n",
            "  gogs:\n",
            ":3:3",
            "services.gogs: needs an 'image' or a 'build'",
        ),
        ("version:", "vershun:", ":1:1", "did you mean 'version'"),
        ("services:", "services: [", ":4:10", "not YAML"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(write, wrong: str, right: str, place: str, words: str) -> None:
    path = write(BLOG.replace(wrong, right, 1))

    with pytest.raises(ComposeError) as refused:
        read(path, VARIABLES)

    assert str(path) + place in str(refused.value)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_services_that_wait_for_each_other_are_refused(write) -> None:
    path = write("services: {a: {image: x, depends_on: [b]}, b: {image: x, depends_on: [a]}}\n")

    with pytest.raises(ComposeError, match="depends on itself in a circle"):
        read(path, {})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ComposeError, match="none.yml: there is no such file"):
        read(tmp_path / "none.yml", {})


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("$A-${A}", "a-a"),
        ("$$A", "$A"),
        ("${NONE:-else}${NONE-other}", "elseother"),
        ("${EMPTY:-else}[${EMPTY-other}]", "else[]"),
        ("${A:+yes}${NONE:+no}", "yes"),
        ("${NONE:-${EMPTY:-$A}}", "a"),
        ("${NONE:-{x}}[${NONE:-{}]", "{x}[{]"),
        ("costs 5$, $(date)", "costs 5$, $(date)"),
        ("no variable", "no variable"),
    ],
)
def test_every_form_of_interpolation(text: str, meaning: str) -> None:
    assert interpolate(text, {"A": "a", "EMPTY": ""}) == meaning


@pytest.mark.parametrize(
    "text", ["${NONE}", "$NONE", "${EMPTY:?must be set}", "${A:-$A}${NONE?}", "${A", "${}", "${5}"]
)
def test_a_variable_without_a_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="variable|must be set|never closed"):
        interpolate(text, {"A": "a", "EMPTY": ""})


def test_numbers_and_truth_values_in_an_environment_are_text(write) -> None:
    app = read(write("services: {a: {image: x, environment: {N: 5, YES: true, NO: false, S: text}}}\n"), {})

    assert app.services["a"].environment == {"N": "5", "YES": "true", "NO": "false", "S": "text"}


@pytest.mark.parametrize(
    ("added", "place", "words"),
    [
        ("build: .", "4:5", "services.web.build: is not supported yet"),
        ("privileged: true", "4:5", "services.web.privileged: is not supported yet"),
        ("profiles: [a]", "4:5", "services.web.profiles: is not supported yet"),
        ("network_mode: host", "4:5", "services.web.network_mode: is not supported yet"),
        ("ports: [3000]", "4:13", "services.web.ports[0]: '3000' leaves the published port open"),
        ('ports: ["80-81:80"]', "4:13", "services.web.ports[0]: published: 80-81 leaves the published port open"),
        (
            'ports: [{target: 80, published: "80", mode: host}]',
            "4:43",
            "services.web.ports[0].mode: is not supported yet",
        ),
        ('ports: ["80:80/sctp"]', "4:13", "services.web.ports"),
        ("volumes: [/data]", "4:15", "services.web.volumes[0]: '/data' is not a named volume"),
        ("volumes: [data:/d:nocopy]", "4:15", "services.web.volumes[0].volume: is not supported yet"),
        ("volumes: [{type: tmpfs, target: /t}]", "4:15", "services.web.volumes[0]: '/t' is not a named volume"),
        ("networks: {default: {aliases: [a]}}", "4:16", "services.web.networks.default: options of the long syntax"),
        ("depends_on: {db: {condition: service_healthy}}", "4:23", "'service_healthy' is not supported yet"),
        ("environment: [A]", "4:19", "'A' has no value: write 'A=…'"),
        ("restart: never", "4:5", "services.web.restart"),
    ],
)
def test_what_can_be_read_but_not_honoured_is_refused_with_its_place(write, added: str, place: str, words: str) -> None:
    path = write(f"services:\n  web:\n    image: x\n    {added}\n  db: {{image: y}}\nvolumes: {{data: }}\n")

    with pytest.raises(ComposeError) as refused:
        read(path, {})

    assert f"{path}:{place}: " in str(refused.value)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("part", "place", "words"),
    [
        ("volumes: {v: {external: true}}", "2:15", "volumes.v.external: is not supported yet"),
        ("networks: {n: {internal: true}}", "2:16", "networks.n.internal: is not supported yet"),
        ("secrets: {s: {file: ./s}}", "2:1", "secrets: is not supported yet"),
        ("configs: {c: {content: x}}", "2:1", "configs: is not supported yet"),
    ],
)
def test_a_top_level_part_that_cant_be_honoured_is_refused_with_its_place(
    write, part: str, place: str, words: str
) -> None:
    path = write(f"services: {{web: {{image: x}}}}\n{part}\n")

    with pytest.raises(ComposeError) as refused:
        read(path, {})

    assert f"{path}:{place}: {words}" in str(refused.value)


def test_long_syntax_means_what_short_syntax_means(write) -> None:
    app = read(
        write(
            """\
services:
  web:
    image: x
    ports: [{target: 80, published: 8080, host_ip: 127.0.0.1}]
    volumes: [{type: volume, source: data, target: /data, read_only: true}]
    networks: {front: }
    depends_on: {db: {condition: service_started}}
  db: {image: y}
networks: {front: }
volumes: {data: }
"""
        ),
        {},
    )

    web = app.services["web"]
    assert web.ports == [Port(published=8080, target=80, host_ip="127.0.0.1")]
    assert web.volumes == [Mount(volume="data", target="/data", read_only=True)]
    assert (web.networks, web.depends_on) == (["front"], ["db"])


def test_what_files_beside_it_say_is_read_and_the_settings_win(write, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TAG=file\nOTHER=dot-env\n")
    (tmp_path / "web.env").write_text("FROM_FILE=$TAG\n")
    (tmp_path / "base.yml").write_text("services: {base: {image: x, restart: always}}\n")
    path = write(
        "services: {web: {extends: {file: base.yml, service: base}, image: 'x:$TAG-$OTHER', env_file: web.env}}\n"
    )

    web = read(path, {"TAG": "settings"}).services["web"]

    assert (web.image, web.restart, web.environment) == ("x:settings-dot-env", "always", {"FROM_FILE": "settings"})


def test_the_projects_name_is_the_given_one_else_the_files_else_the_folders(write, tmp_path: Path) -> None:
    named = write("name: in-file\nservices: {web: {image: x}}\n")
    assert read(named, {}, "given").name == "given"
    assert read(named, {}).name == "in-file"

    folder = tmp_path / "My.App"
    folder.mkdir()
    (folder / "compose.yml").write_text("services: {web: {image: x}}\nvolumes: {data: }\n")
    app = read(folder / "compose.yml", {})
    assert (app.name, app.volumes["data"].name, app.networks["default"].name) == (
        "myapp",
        "myapp_data",
        "myapp_default",
    )
