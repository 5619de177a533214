"""A registry's client: login, and what a tag names, over verified TLS (OCI distribution specification)."""

from __future__ import annotations

import base64
import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from providers.kit.errors import Authentication, DrydockError, Permanent, Temporary
from providers.kit.retry import CALL_TIMEOUT_S, CONNECT_TIMEOUT_S
from providers.kit.secrets import Secret, Settings
from providers.registry.reference import Reference, is_digest

MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
LONGEST_MANIFEST_BYTES = 4 * 1024 * 1024
_NEAR_TAGS = 5
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')

# What the TLS library says → what is wrong with the certificate. The first that fits is taken.
_CERTIFICATE_FAULTS = (
    (r"hostname mismatch|IP address mismatch|doesn't match", "its certificate is for another name"),
    (r"certificate has expired", "its certificate has expired"),
    (r"WRONG_VERSION_NUMBER|UNKNOWN_PROTOCOL|record layer failure", "it doesn't speak TLS there"),
    (r"CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted: it was signed by an unknown authority"),
)


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
    """One registry, for threads to share; `close` ends its connections.

    Args:
        login: where it is and who asks.
    """

    def __init__(self, login: Login) -> None:
        self._login = login
        self._web = requests.Session()
        self._web.trust_env = False  # REQUESTS_CA_BUNDLE would replace our CA (facts/lab.md)
        self._authorizations: dict[str, str] = {}
        self._wants_basic = False

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

    def exists(self, reference: Reference) -> bool:
        """Whether the registry has what a reference names."""
        return bool(self._head(reference).status_code == requests.codes.ok)

    def resolve(self, reference: Reference) -> str:
        """The digest that a reference names in the registry, of the index where there is one.

        Raises:
            Permanent: it isn't there; near tags are named.
        """
        answer = self._head(reference)
        if answer.status_code == requests.codes.not_found:
            raise self._missing(reference)
        digest = answer.headers.get("Docker-Content-Digest", "")
        if not is_digest(digest):
            digest = self._computed(reference)
        if reference.digest and digest != reference.digest:
            raise Permanent(
                f"the registry answers with another one, {digest}", on=f"image {reference}", remedy="Don't trust it."
            )
        return digest

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository; empty where it isn't there or can't be listed."""
        try:
            answer = self._ask("GET", f"/v2/{repository}/tags/list", _scope(repository))
        except Authentication:  # whoever may pull need not be allowed to list
            return []
        return [str(tag) for tag in _object(answer).get("tags") or []] if answer.ok else []

    def _head(self, reference: Reference) -> requests.Response:
        answer = self._ask("HEAD", _manifest(reference), _scope(reference.repository))
        if answer.status_code not in (requests.codes.ok, requests.codes.not_found):
            raise self._unexpected(answer, f"image {reference}")
        return answer

    def _computed(self, reference: Reference) -> str:
        answer = self._ask("GET", _manifest(reference), _scope(reference.repository))
        if answer.status_code != requests.codes.ok:
            raise self._unexpected(answer, f"image {reference}")
        if len(answer.content) > LONGEST_MANIFEST_BYTES:
            raise Permanent(
                f"its manifest is longer than {LONGEST_MANIFEST_BYTES} bytes",
                on=f"image {reference}",
                remedy="Mend it.",
            )
        return "sha256:" + hashlib.sha256(answer.content).hexdigest()

    def _missing(self, reference: Reference) -> Permanent:
        tags = self.tags(reference.repository)
        near = difflib.get_close_matches(reference.tag, tags, n=_NEAR_TAGS, cutoff=0.3) or tags[-_NEAR_TAGS:]
        remedy = f"The repository has the tags {', '.join(near)}." if near else "The repository is not there, or empty."
        return Permanent("the registry doesn't have it", on=f"image {reference}", remedy=remedy)

    def _ask(self, method: str, path: str, scope: str) -> requests.Response:
        """One question; the login is sent when the registry asks for it, and never to another host."""
        known = self._authorizations.get("" if self._wants_basic else scope)
        answer = self._send(method, path, known)
        if answer.status_code != requests.codes.unauthorized:
            return self._allowed(answer)
        challenge = answer.headers.get("WWW-Authenticate", "")
        self._wants_basic = not _is_bearer(challenge)
        if self._wants_basic and known is not None:
            raise self._refused()
        # A token that was known may have run out; one that is new and refused is final.
        fresh = self._authorization(challenge, scope)
        self._authorizations["" if self._wants_basic else scope] = fresh
        return self._allowed(self._send(method, path, fresh))

    def _authorization(self, challenge: str, scope: str) -> str:
        return self._token(challenge, scope) if _is_bearer(challenge) else self._basic()

    def _allowed(self, answer: requests.Response) -> requests.Response:
        if answer.status_code in (requests.codes.unauthorized, requests.codes.forbidden):
            raise self._refused()
        return answer

    def _refused(self, how: str = "") -> Authentication:
        return Authentication(
            how or f"the login of '{self._login.user or 'nobody'}' was refused",
            on=self.label,
            remedy="Correct the user and password (REGISTRY_USER, REGISTRY_PASSWORD), or their rights.",
        )

    def _token(self, challenge: str, scope: str) -> str:
        """Asks for a token where the registry says (distribution, "Token Authentication Specification")."""
        parameters = dict(_PARAMETER.findall(challenge))
        realm = parameters.get("realm", "")
        place = urlsplit(realm)
        if place.scheme != "https":
            raise self._refused(f"it asks for the login in the clear, at {realm or 'no address'}")
        at_home = place.netloc.lower() == self._login.registry.lower()
        login = self._basic() if at_home and self._login.password is not None else None
        query = {"service": parameters.get("service", ""), "scope": parameters.get("scope") or scope}
        answer = self._fetch("GET", realm, login, query, ca=self._login.ca if at_home else None)
        if answer.status_code in (requests.codes.unauthorized, requests.codes.forbidden):
            raise self._refused("" if at_home else f"it wants the login at {place.netloc}, where ours is never sent")
        if answer.status_code != requests.codes.ok:
            raise self._unexpected(answer, self.label)
        told = _object(answer)
        return f"Bearer {told.get('token') or told.get('access_token', '')}"

    def _basic(self) -> str:
        if self._login.user is None or self._login.password is None:
            raise self._refused("it wants a login, and none is set")
        pair = f"{self._login.user}:{self._login.password.reveal()}"
        return "Basic " + base64.b64encode(pair.encode()).decode()

    def _send(self, method: str, path: str, authorization: str | None) -> requests.Response:
        return self._fetch(method, f"https://{self._login.registry}{path}", authorization, {}, ca=self._login.ca)

    def _fetch(
        self, method: str, url: str, authorization: str | None, query: Mapping[str, str], *, ca: str | None
    ) -> requests.Response:
        login = {"Authorization": authorization} if authorization else {}
        try:
            return self._web.request(
                method,
                url,
                params=query,
                headers={"Accept": ", ".join(MANIFESTS), **login},
                verify=ca or True,
                timeout=(CONNECT_TIMEOUT_S, CALL_TIMEOUT_S),
                allow_redirects=False,
                auth=_as_it_is,  # requests would take a login from ~/.netrc, or from the address
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise self._transport(error) from error

    def _transport(self, error: Exception) -> DrydockError:
        text = str(error)
        if isinstance(error, requests.exceptions.SSLError):
            fault = next((told for said, told in _CERTIFICATE_FAULTS if re.search(said, text, re.IGNORECASE)), "")
            ca = self._login.ca or "the system's authorities"
            return Permanent(
                fault or "its TLS is not understood",
                on=self.label,
                remedy=f"Name it as its certificate does (REGISTRY), and give its CA (REGISTRY_CA, now {ca}).",
            )
        if isinstance(error, requests.exceptions.Timeout):
            return Temporary("no answer in time", on=self.label, remedy="See that it is up and not overloaded.")
        if isinstance(error, (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            reason = "connection refused" if "refused" in text else "no connection"
            return Temporary(f"can't be reached ({reason})", on=self.label, remedy="See that it is up (REGISTRY).")
        if isinstance(error, OSError) and self._login.ca and self._login.ca in text:
            return Permanent(
                f"the CA file {self._login.ca} can't be read", on=self.label, remedy="Correct REGISTRY_CA."
            )
        return Permanent(
            f"can't be asked ({type(error).__name__})", on=self.label, remedy="Correct REGISTRY and REGISTRY_CA."
        )

    def _unexpected(self, answer: requests.Response, on: str) -> DrydockError:
        what = f"{self.label} answered {answer.status_code} {answer.reason}"
        if answer.status_code == requests.codes.too_many_requests:
            asked = answer.headers.get("Retry-After", "")
            wait_s = float(asked) if asked.isdecimal() else None
            return Temporary(what, on=on, remedy="Wait a while: it limits how often it is asked.", retry_after_s=wait_s)
        kind = Temporary if answer.status_code >= requests.codes.server_error else Permanent
        return kind(what, on=on, remedy="See the registry's log.")


def _manifest(reference: Reference) -> str:
    return f"/v2/{reference.repository}/manifests/{reference.digest or reference.tag}"


def _scope(repository: str) -> str:
    return f"repository:{repository}:pull"


def _is_bearer(challenge: str) -> bool:
    return challenge.partition(" ")[0].lower() == "bearer"


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _object(answer: requests.Response) -> Mapping[str, Any]:
    """The JSON object of an answer; an empty one where it is something else."""
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
