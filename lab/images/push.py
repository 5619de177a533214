"""Pushes images to a registry over verified TLS (OCI distribution specification); sends only what it lacks."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urljoin

import requests
from requests.auth import HTTPBasicAuth

from lab.images.image import Blob, Image
from ops.toolchain import SetupError

_LIMIT_S = 120.0


class Pusher:
    """A registry to push to.

    Args:
        registry: host and port.
        user, password: its login.
        ca: PEM file of its CA.
    """

    def __init__(self, registry: str, user: str, password: str, ca: Path) -> None:
        self._base = f"https://{registry}/v2/"
        self._ca = str(ca)
        self._web = requests.Session()
        self._web.trust_env = False  # REQUESTS_CA_BUNDLE would replace our CA (facts/lab.md)
        self._web.auth = HTTPBasicAuth(user.encode(), password.encode())

    def digest(self, repository: str, tag: str) -> str:
        """What a tag names now; empty where there is no such tag."""
        answer = self._ask("HEAD", f"{repository}/manifests/{tag}", accept="application/vnd.oci.image.index.v1+json")
        return answer.headers.get("Docker-Content-Digest", "") if answer.ok else ""

    def push(self, repository: str, tag: str, one: Image) -> str:
        """Pushes an image and names it; returns the index's digest."""
        for blob in (one.layer, one.config):
            self._blob(repository, blob)
        self._manifest(repository, one.manifest.digest, one.manifest)
        self._manifest(repository, tag, one.index)
        return one.index.digest

    def _blob(self, repository: str, blob: Blob) -> None:
        if self._ask("HEAD", f"{repository}/blobs/{blob.digest}").ok:
            return
        began = self._checked(self._ask("POST", f"{repository}/blobs/uploads/"))
        place = urljoin(self._base, began.headers["Location"])
        separator = "&" if "?" in place else "?"
        self._checked(
            self._send("PUT", f"{place}{separator}digest={blob.digest}", blob.read(), "application/octet-stream")
        )

    def _manifest(self, repository: str, name: str, blob: Blob) -> None:
        self._checked(self._send("PUT", f"{self._base}{repository}/manifests/{name}", blob.read(), blob.media_type))

    def _ask(self, method: str, path: str, accept: str = "*/*") -> requests.Response:
        headers = {"Accept": accept}
        return self._request(method, self._base + path, headers)

    def _send(self, method: str, url: str, data: bytes, kind: str) -> requests.Response:
        return self._request(method, url, {"Content-Type": kind}, data)

    def _request(self, method: str, url: str, headers: dict[str, str], data: bytes | None = None) -> requests.Response:
        try:
            return self._web.request(method, url, data=data, headers=headers, verify=self._ca, timeout=_LIMIT_S)
        except requests.exceptions.SSLError as error:
            raise SetupError(f"the certificate of the lab's registry at {self._base} is not its CA's") from error
        except requests.RequestException as error:
            raise SetupError(f"the lab's registry at {self._base} does not answer: see `lab status`") from error

    def _checked(self, answer: requests.Response) -> requests.Response:
        if not answer.ok:
            raise SetupError(
                f"the lab's registry refused {answer.request.method} with {answer.status_code}: {answer.text}"
            )
        return answer
