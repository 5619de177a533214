"""A bundle is had once, whole, the right one, and nothing of it lands where it shouldn't."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
import tarfile
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from providers.kit.errors import Permanent, Temporary
from providers.kit.retry import RetryPolicy
from providers.vic import bundle
from providers.vic.bundle import Source, fetch
from tests.tls import certificate
from tests.vic.archives import archive, digest, member, script, whole

ROOT = Path(__file__).parents[2]
QUICK = RetryPolicy(attempts=4, first_wait_s=0.01, longest_wait_s=0.01, total_s=20)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(bundle.CACHE, str(tmp_path / "cache"))
    monkeypatch.setattr(bundle, "POLICY", QUICK)
    return tmp_path / "cache" / "vic"


@dataclass
class Appliance:
    """A server with one file, and how it behaves."""

    content: bytes = b""
    etag: str = '"one"'
    break_after: list[int] = field(default_factory=list)
    status: int = 200
    location: str = ""
    takes_ranges: bool = True
    asked: list[str] = field(default_factory=list)
    served: int = 0
    address: str = ""
    ca: str = ""

    def url(self, name: str = "vic_1.5.6.tar.gz") -> str:
        return f"https://{self.address}/{name}"

    def thumbprint(self, how: hashes.HashAlgorithm) -> str:
        return x509.load_pem_x509_certificate(self.ca.encode()).fingerprint(how).hex(":").upper()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range", "")
        self.asked.append(asked)
        if self.location:
            self._head(request, 302, {"Location": self.location, "Content-Length": "0"})
            return
        if self.status != 200:
            self._head(request, self.status, {"Content-Length": "0"})
            return
        fits = request.headers.get("If-Range", self.etag) == self.etag
        first = int(asked[6:-1]) if asked and self.takes_ranges and fits else 0
        if first >= len(self.content):
            self._head(request, 416, {"Content-Range": f"bytes */{len(self.content)}", "Content-Length": "0"})
            return
        rest = self.content[first:]
        headers = {"Content-Length": str(len(rest)), "ETag": self.etag}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(self.content) - 1}/{len(self.content)}"
        self._head(request, 206 if first else 200, headers)
        cut = self.break_after.pop(0) if self.break_after else len(rest)
        request.wfile.write(rest[:cut])
        self.served += len(rest[:cut])
        if cut < len(rest):
            request.wfile.flush()
            request.connection.close()

    def _head(self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def appliance(pair: tuple[Path, Path], tmp_path: Path) -> Iterator[Appliance]:
    one = Appliance(archive(tmp_path / "served.tar.gz", whole(padding=300_000)).read_bytes())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            one.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    one.address = f"127.0.0.1:{server.server_port}"
    one.ca = pair[0].read_text()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield one
    server.shutdown()
    server.server_close()


def test_an_appliance_serves_it_at_its_own_place() -> None:
    assert bundle.appliance_url("sddcvic", "1.1.1") == "https://sddcvic:9443/vic_1.1.1.tar.gz"
    assert bundle.appliance_url("sddcvic:443", "1.1.1") == "https://sddcvic:443/vic_1.1.1.tar.gz"


def test_it_is_fetched_once_for_all(appliance: Appliance, cache: Path) -> None:
    source = Source("1.5.6", appliance.url(), ca=appliance.ca)

    first, second = fetch(source), fetch(source)

    assert first == second and len(appliance.asked) == 1
    assert (first.version, first.build, first.commit) == ("1.5.6", "21029", "2be3feb")
    assert first.binary.stat().st_mode & 0o777 == 0o755
    assert list((cache / "downloads").iterdir()) == []


def test_another_place_with_the_same_content_is_not_unpacked_again(appliance: Appliance, tmp_path: Path) -> None:
    file = tmp_path / "same.tar.gz"
    file.write_bytes(appliance.content)

    fetched = fetch(Source("1.5.6", appliance.url(), ca=appliance.ca))
    before = fetched.binary.stat().st_ino

    assert fetch(Source("1.5.6", str(file))).binary.stat().st_ino == before


def test_a_known_digest_needs_no_server(appliance: Appliance, tmp_path: Path) -> None:
    file = archive(tmp_path / "x.tar.gz", whole())
    fetch(Source("1.5.6", str(file)))

    fetch(Source("1.5.6", appliance.url(), sha256=digest(file).upper()))

    assert appliance.asked == []


@pytest.mark.parametrize("how", [hashes.SHA1(), hashes.SHA256()], ids=["SHA-1", "SHA-256"])
def test_a_pinned_certificate_is_enough(appliance: Appliance, how: hashes.HashAlgorithm) -> None:
    assert fetch(Source("1.5.6", appliance.url(), thumbprint=appliance.thumbprint(how))).version == "1.5.6"


@pytest.mark.parametrize("given", [{}, {"thumbprint": "AB" * 32}], ids=["nothing given", "another one pinned"])
def test_an_unknown_certificate_is_refused_in_one_line_that_shows_it(
    appliance: Appliance, given: dict[str, str]
) -> None:
    with pytest.raises(Permanent, match=r"its certificate is not (?:trusted|the pinned one)") as told:
        fetch(Source("1.5.6", appliance.url(), **given))

    assert appliance.thumbprint(hashes.SHA256()) in str(told.value)
    assert "\n" not in str(told.value) and appliance.asked == []


def test_a_broken_download_goes_on_where_it_broke(appliance: Appliance) -> None:
    appliance.break_after = [100_000, 50_000]

    assert fetch(Source("1.5.6", appliance.url(), ca=appliance.ca)).version == "1.5.6"
    assert appliance.asked[0] == "" and all(re.fullmatch(r"bytes=\d+-", one) for one in appliance.asked[1:])
    assert appliance.served == len(appliance.content)


def test_the_next_run_goes_on_where_the_last_broke(appliance: Appliance) -> None:
    source = Source("1.5.6", appliance.url(), ca=appliance.ca)
    appliance.break_after = [60_000, 1, 1, 1]
    with pytest.raises(Temporary, match="the connection broke after"):
        fetch(source)

    fetch(source)

    assert appliance.served == len(appliance.content)


def test_a_file_that_was_replaced_meanwhile_is_fetched_anew(appliance: Appliance) -> None:
    source = Source("1.5.6", appliance.url(), ca=appliance.ca)
    appliance.break_after = [60_000, 1, 1, 1]
    with pytest.raises(Temporary):
        fetch(source)
    appliance.content = bytes(reversed(appliance.content))
    appliance.content, appliance.etag = bytes(reversed(appliance.content)), '"two"'

    assert fetch(source).version == "1.5.6"
    assert appliance.served > len(appliance.content)


def test_a_server_without_ranges_is_asked_for_all_of_it(appliance: Appliance) -> None:
    appliance.break_after, appliance.takes_ranges = [60_000], False

    assert fetch(Source("1.5.6", appliance.url(), ca=appliance.ca)).version == "1.5.6"


def test_what_had_arrived_whole_before_a_kill_is_not_fetched_again(appliance: Appliance, cache: Path) -> None:
    source = Source("1.5.6", appliance.url(), ca=appliance.ca)
    appliance.break_after = [60_000, 1, 1, 1]
    with pytest.raises(Temporary):
        fetch(source)
    (part,) = (cache / "downloads").glob("*.part")
    part.write_bytes(appliance.content)
    before = appliance.served

    assert fetch(source).version == "1.5.6" and appliance.served == before


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [(404, Permanent, "404 Not Found"), (403, Permanent, "403 Forbidden"), (503, Temporary, "503 Service Unavailable")],
)
def test_a_refusal_of_the_server_is_one_line(
    appliance: Appliance, status: int, kind: type[Exception], says: str
) -> None:
    appliance.status = status

    with pytest.raises(kind, match=f"the server answered {says}") as told:
        fetch(Source("1.5.6", appliance.url(), ca=appliance.ca))

    assert "\n" not in str(told.value)


@pytest.mark.parametrize(("location", "says"), [("http://127.0.0.1:1/x", "without https"), ("/again", "without end")])
def test_it_is_led_on_over_https_only_and_not_for_ever(appliance: Appliance, location: str, says: str) -> None:
    appliance.location = location

    with pytest.raises(Permanent, match=says):
        fetch(Source("1.5.6", appliance.url(), ca=appliance.ca))


def test_a_server_that_is_not_there_is_temporary(tmp_path: Path) -> None:
    with pytest.raises(Temporary, match="can't be reached"):
        fetch(Source("1.5.6", "https://127.0.0.1:1/vic.tar.gz"))


def test_another_digest_than_the_given_one_is_refused(appliance: Appliance, cache: Path) -> None:
    with pytest.raises(Permanent, match="its SHA-256 is"):
        fetch(Source("1.5.6", appliance.url(), sha256="0" * 64, ca=appliance.ca))

    assert [one.name for one in cache.iterdir() if len(one.name) == 64] == []
    assert list((cache / "downloads").iterdir()) == []


def test_another_version_than_the_expected_one_is_refused(tmp_path: Path) -> None:
    file = archive(tmp_path / "x.tar.gz", whole("1.5.7-21700-0000000"))

    with pytest.raises(Permanent, match="vic-machine in it is 1.5.7, not 1.5.6"):
        fetch(Source("1.5.6", str(file)))
    assert fetch(Source("1.5.7", str(file))).build == "21700"
    with pytest.raises(Permanent, match="vic-machine in it is 1.5.7, not 1.5.6"):
        fetch(Source("1.5.6", str(file), sha256=digest(file)))


OUT = [
    ("a path upwards", [member("../evil", b"x")]),
    ("a path upwards inside", [member("vic/../../evil", b"x")]),
    ("an absolute path", [member("/tmp/drydock-evil", b"x")]),
    ("a link upwards", [member("vic/out", type=tarfile.SYMTYPE, linkname="../../evil")]),
    ("an absolute link", [member("vic/out", type=tarfile.SYMTYPE, linkname="/etc/passwd")]),
    ("a hard link out", [member("vic/out", type=tarfile.LNKTYPE, linkname="../evil")]),
    (
        "a file through a link",
        [member("vic/a", type=tarfile.SYMTYPE, linkname=".."), member("vic/a/../../evil", b"x")],
    ),
    (
        "links in steps",
        [
            member("a/b/c", type=tarfile.DIRTYPE),
            member("l1", type=tarfile.SYMTYPE, linkname="a/b"),
            member("l2", type=tarfile.SYMTYPE, linkname="l1/../../../evil"),
        ],
    ),
    ("a device", [member("vic/dev", type=tarfile.CHRTYPE)]),
    ("a pipe", [member("vic/pipe", type=tarfile.FIFOTYPE)]),
    ("a file twice", [member("vic/more", b"x"), member("vic/more", b"y")]),
    ("a file over a link", [member("vic/l", type=tarfile.SYMTYPE, linkname="more"), member("vic/l", b"x")]),
]


@pytest.mark.parametrize("members", [one for _, one in OUT], ids=[name for name, _ in OUT])
def test_nothing_is_unpacked_to_where_it_should_not_be(
    tmp_path: Path, cache: Path, members: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    file = archive(tmp_path / "x.tar.gz", [*whole(), *members])

    with pytest.raises(Permanent, match="It is not safe to unpack"):
        fetch(Source("1.5.6", str(file)))

    assert not list(tmp_path.rglob("evil")) and not list(cache.glob("unpack-*"))
    assert [one.name for one in cache.iterdir() if len(one.name) == 64] == []


def test_links_that_stay_inside_are_kept(tmp_path: Path) -> None:
    links = [
        member("vic/again", type=tarfile.SYMTYPE, linkname="bootstrap.iso"),
        member("vic/hard", type=tarfile.LNKTYPE, linkname="vic/bootstrap.iso"),
    ]
    there = fetch(Source("1.5.6", str(archive(tmp_path / "x.tar.gz", [*whole(), *links]))))

    assert (there.folder / "again").read_bytes() == (there.folder / "hard").read_bytes() == b"iso" * 100


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MOST_UNPACKED_BYTES", 1000)
    file = archive(tmp_path / "x.tar.gz", [*whole(), member("vic/zeros", bytes(10_000))])

    with pytest.raises(Permanent, match="unpacks to more than"):
        fetch(Source("1.5.6", str(file)))


def test_a_bundle_without_its_isos_is_none(tmp_path: Path) -> None:
    file = archive(tmp_path / "x.tar.gz", [member(f"vic/{bundle.program()}", script())])

    with pytest.raises(Permanent, match="it lacks vic/appliance.iso"):
        fetch(Source("1.5.6", str(file)))


@pytest.mark.parametrize("content", [b"no archive", None], ids=["no archive", "half of one"])
def test_what_is_no_whole_archive_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = archive(tmp_path / "x.tar.gz", whole(padding=100_000))
    file.write_bytes(file.read_bytes()[:50_000] if content is None else content)

    with pytest.raises(Permanent, match="it is no whole"):
        fetch(Source("1.5.6", str(file)))


@pytest.mark.parametrize("path", ["vic-machine-linux", "appliance.iso"])
def test_a_cache_that_was_damaged_is_made_again(tmp_path: Path, path: str) -> None:
    source = Source("1.5.6", str(archive(tmp_path / "x.tar.gz", whole())))
    there = fetch(source)
    (there.folder / path).write_bytes(b"damaged")

    assert fetch(source) == there
    assert (there.folder / path).read_bytes() != b"damaged"


FETCHING = """
    import sys
    from providers.vic.bundle import Source, fetch
    fetch(Source("1.5.6", sys.argv[1], ca=open(sys.argv[2]).read()))
"""


def test_stacks_that_run_at_once_fetch_it_once(appliance: Appliance, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text(appliance.ca)
    program = [sys.executable, "-c", textwrap.dedent(FETCHING), appliance.url(), str(authority)]

    runs = [subprocess.Popen(program, cwd=ROOT, env=dict(os.environ)) for _ in range(3)]

    assert [one.wait(60) for one in runs] == [0, 0, 0]
    assert len(appliance.asked) == 1


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (Source("1.5.6", "http://appliance/vic.tar.gz"), "only https"),
        (Source("1.5.6", "https://u:mk-url-pw@appliance/vic.tar.gz"), "holds a password"),
        (Source("1.5.6", "/nowhere/vic.tar.gz"), "no such file"),
        (Source("latest", "/nowhere/vic.tar.gz"), "not a version"),
        (Source("1.5.6", "/nowhere/vic.tar.gz", sha256="abc"), "64 hexadecimal digits"),
        (Source("1.5.6", "https://a/b", thumbprint="abc"), "neither SHA-1"),
        (Source("1.5.6", "https://127.0.0.1:1/b", ca="abc"), "no PEM text"),
    ],
)
def test_a_wrong_source_is_refused(source: Source, says: str) -> None:
    with pytest.raises(Permanent, match=says) as told:
        fetch(source)

    assert "mk-url-pw" not in str(told.value)
