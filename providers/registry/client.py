"""A registry's client: login, and what a tag names, over verified TLS (OCI distribution specification)."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from providers.kit.errors import Authentication, DrydockError, Permanent, Temporary
from providers.kit.retry import CALL_TIMEOUT_S, CONNECT_TIMEOUT_S
from providers.kit.secrets import Secret, Settings
from providers.registry.reference import Reference

MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
LONGEST_MANIFEST_BYTES = 4 * 1024 * 1024
_NEAR_TAGS = 5
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Login:
    """The stack's registry: the only one that its login is ever sent to.

    Args:
        registry: ``host`` or ``host:port``.
        user, password: its login; absent: without.
        ca: path of the PEM file of its CA; absent: the system's.
    """

    registry: str
    user: str | None = None
    password: Secret | None = None
    ca: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> Login | None:
        """As the stack's config or the environment says; `None` where no registry is set."""
        registry = settings.value("registry", "REGISTRY")
        if not registry:
            return None
        return cls(
            registry,
            settings.value("registry_user", "REGISTRY_USER"),
            settings.credential("registry_password", "REGISTRY_PASSWORD"),
            settings.value("registry_ca", "REGISTRY_CA"),
        )


class Registry:
    """One registry; `close` ends its connections.

    Args:
        login: where it is and who asks.
    """

    def __init__(self, login: Login) -> None:
        self._login = login
        self._web = requests.Session()
        self._web.trust_env = False  # REQUESTS_CA_BUNDLE would replace our CA (facts/lab.md)
        self._tokens: dict[str, str] = {}

    def close(self) -> None:
        self._web.close()

    @property
    def label(self) -> str:
        return f"registry {self._login.registry}"

    def check_login(self) -> None:
        """Raises what is wrong: not reachable, certificate, login."""
        answer = self._ask("GET", "/v2/", "")
        if answer.status_code != requests.codes.ok:
            raise self._unexpected(answer, self.label)

    def resolve(self, reference: Reference) -> str:
        """The digest that a reference names in the registry, of the index where there is one.

        Raises:
            Permanent: it isn't there; near tags are named.
        """
        wanted = reference.digest or reference.tag
        path = f"/v2/{reference.repository}/manifests/{wanted}"
        scope = f"repository:{reference.repository}:pull"
        answer = self._ask("HEAD", path, scope)
        if answer.status_code == requests.codes.not_found:
            raise self._missing(reference)
        if answer.status_code != requests.codes.ok:
            raise self._unexpected(answer, f"image {reference}")
        digest = answer.headers.get("Docker-Content-Digest") or self._computed(path, scope, reference)
        if reference.digest and digest != reference.digest:
            raise Permanent(f"the registry answers with {digest}", on=f"image {reference}", remedy="Don't trust it.")
        return digest

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository; empty where it isn't there or can't be listed."""
        answer = self._ask("GET", f"/v2/{repository}/tags/list", f"repository:{repository}:pull")
        if answer.status_code != requests.codes.ok:
            return []
        return [str(tag) for tag in answer.json().get("tags") or []]

    def _computed(self, path: str, scope: str, reference: Reference) -> str:
        answer = self._ask("GET", path, scope)
        if answer.status_code != requests.codes.ok or len(answer.content) > LONGEST_MANIFEST_BYTES:
            raise self._unexpected(answer, f"image {reference}")
        return "sha256:" + hashlib.sha256(answer.content).hexdigest()

    def _missing(self, reference: Reference) -> Permanent:
        tags = self.tags(reference.repository)
        near = difflib.get_close_matches(reference.tag, tags, n=_NEAR_TAGS, cutoff=0.3) or tags[-_NEAR_TAGS:]
        remedy = f"The repository has the tags {', '.join(near)}." if near else "The repository is not there, or empty."
        return Permanent("the registry doesn't have it", on=f"image {reference}", remedy=remedy)

    def _ask(self, method: str, path: str, scope: str) -> requests.Response:
        """One question; the login is sent when the registry asks for it, and never to another host."""
        headers = {"Accept": ", ".join(MANIFESTS)}
        if scope in self._tokens:
            headers["Authorization"] = self._tokens[scope]
        answer = self._send(method, path, headers)
        if answer.status_code != requests.codes.unauthorized or "Authorization" in headers:
            return self._refused(answer)
        self._tokens[scope] = self._authorization(answer.headers.get("WWW-Authenticate", ""), scope)
        return self._refused(self._send(method, path, {**headers, "Authorization": self._tokens[scope]}))

    def _refused(self, answer: requests.Response) -> requests.Response:
        if answer.status_code in (requests.codes.unauthorized, requests.codes.forbidden):
            raise Authentication(
                f"the login of '{self._login.user or 'nobody'}' was refused",
                on=self.label,
                remedy="Correct the user and password (REGISTRY_USER, REGISTRY_PASSWORD), or their rights.",
            )
        return answer

    def _authorization(self, challenge: str, scope: str) -> str:
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() != "bearer":
            return self._basic()
        parameters = dict(_PARAMETER.findall(rest))
        realm = parameters.get("realm", "")
        ours = urlsplit(realm).netloc == self._login.registry and self._login.password is not None
        headers = {"Authorization": self._basic()} if ours else {}
        query = {"service": parameters.get("service", ""), "scope": parameters.get("scope") or scope}
        answer = self._refused(self._fetch("GET", realm, headers, query))
        if answer.status_code != requests.codes.ok:
            raise self._unexpected(answer, self.label)
        told: Mapping[str, Any] = answer.json()
        return f"Bearer {told.get('token') or told.get('access_token', '')}"

    def _basic(self) -> str:
        if self._login.user is None or self._login.password is None:
            return "Basic Og=="  # nobody without a password: refused, with one clear answer
        request = requests.Request("GET", "https://unused", auth=None).prepare()
        login = (self._login.user.encode(), self._login.password.reveal().encode())
        requests.auth.HTTPBasicAuth(*login)(request)
        return str(request.headers["Authorization"])

    def _send(self, method: str, path: str, headers: Mapping[str, str]) -> requests.Response:
        return self._fetch(method, f"https://{self._login.registry}{path}", headers, {})

    def _fetch(self, method: str, url: str, headers: Mapping[str, str], query: Mapping[str, str]) -> requests.Response:
        try:
            return self._web.request(
                method,
                url,
                params=query,
                headers=dict(headers),
                verify=self._login.ca or True,
                timeout=(CONNECT_TIMEOUT_S, CALL_TIMEOUT_S),
                allow_redirects=False,
            )
        except (requests.RequestException, OSError) as error:
            raise self._transport(error) from error

    def _transport(self, error: Exception) -> DrydockError:
        text = str(error)
        if isinstance(error, requests.exceptions.SSLError):
            return Permanent(
                "its certificate is not trusted",
                on=self.label,
                remedy=f"Give the CA that signed it (REGISTRY_CA, now {self._login.ca or 'the system`s'}).",
            )
        if isinstance(error, requests.exceptions.Timeout):
            return Temporary("no answer in time", on=self.label, remedy="See that it is up and not overloaded.")
        if isinstance(error, requests.exceptions.ConnectionError):
            reason = "connection refused" if "refused" in text else "no connection"
            return Temporary(f"can't be reached ({reason})", on=self.label, remedy="See that it is up (REGISTRY).")
        return Permanent(
            f"can't be asked ({type(error).__name__})", on=self.label, remedy="Correct REGISTRY and REGISTRY_CA."
        )

    def _unexpected(self, answer: requests.Response, on: str) -> DrydockError:
        kind = Temporary if answer.status_code >= requests.codes.server_error else Permanent
        return kind(
            f"{self.label} answered {answer.status_code} {answer.reason}", on=on, remedy="See the registry's log."
        )
