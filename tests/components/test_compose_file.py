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
            "is not a known setting",
        ),
        ('"10080:3000"', '"10080-3000"', ":12:9", "not of the form [IP:]PUBLISHED:TARGET"),
        ('"10080:3000"', '"99999:3000"', ":12:9", "99999"),
        ('"gogsvol2:/data"', '"./data:/data"', ":10:9", "not a named volume"),
        ('"gogsvol2:/data"', '"gogsvol9:/data"', ":9:5", "volume 'gogsvol9' is not declared"),
        ("restart: on-failure\n    depends", "restart: sometimes\n    depends", ":6:5", "'sometimes'"),
        ('- "gogsdb"', '- "gogsbd"', ":7:5", "there is no service 'gogsbd'"),
        ("${REGISTRY}/gogs/gogs", "${REGISTY}/gogs/gogs", ":4:12", "variable 'REGISTY' has no value"),
        ("  gogs:\n    image: ${REGISTRY}/gogs/gogs\n", "  gogs:\n", ":3:3", "services.gogs.image: is required"),
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
        ("no variable", "no variable"),
    ],
)
def test_every_form_of_interpolation(text: str, meaning: str) -> None:
    assert interpolate(text, {"A": "a", "EMPTY": ""}) == meaning


@pytest.mark.parametrize("text", ["${NONE}", "$NONE", "${EMPTY:?must be set}", "costs 5$", "${A"])
def test_a_variable_without_a_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="variable|must be set|write '\\$\\$'"):
        interpolate(text, {"A": "a", "EMPTY": ""})


def test_numbers_and_truth_values_in_an_environment_are_text(write) -> None:
    app = read(write("services: {a: {image: x, environment: {N: 5, YES: true, NO: false, S: text}}}\n"), {})

    assert app.services["a"].environment == {"N": "5", "YES": "true", "NO": "false", "S": "text"}
