"""Every exception of docker-py, and of the libraries below it, as the project's one error type."""

from __future__ import annotations

import re

import docker.errors
import requests.exceptions
import urllib3.exceptions

from providers.kit.errors import Authentication, DrydockError, Permanent, Temporary, Unreachable, Untrusted

Kind = type[DrydockError]

# What a daemon says, in its own words → our kind, what happened, what to do. The first that fits is taken.
_SAID: tuple[tuple[str, Kind, str, str], ...] = (
    (
        r"port is already allocated|address already in use",
        Permanent,
        "the port {port} is already taken on the Docker host",
        "Stop what listens there, or publish another port.",
    ),
    (
        r"no space left on device|disk quota exceeded",
        Permanent,
        "the Docker host's disk is full",
        "Make room there, then run it again.",
    ),
    (
        r"client version \S+ is too (?:new|old)|client (?:and server don't have|is newer than)",
        Permanent,
        "its API version doesn't fit: {text}",
        "The host must speak API 1.24 or later.",
    ),
    (
        r"manifest unknown|manifest for .* not found|name unknown",
        Permanent,
        "the registry doesn't have the image",
        "Correct its name or tag, or push it there.",
    ),
    (
        r"no matching manifest|does not match the (?:specified|detected) platform",
        Permanent,
        "the registry doesn't have the image for the host's platform",
        "Push it for that platform too.",
    ),
    (
        r"unauthorized|no basic auth credentials|access to the resource is denied|access denied|incorrect username",
        Authentication,
        "the registry refused the login",
        "Correct the user and password (REGISTRY_USER, REGISTRY_PASSWORD).",
    ),
    (
        r"x509: |tls: failed to verify certificate",
        Permanent,
        "the Docker host doesn't trust the registry's certificate",
        "Put the registry's CA into the host's certs.d folder.",
    ),
    (
        r"no such host|i/o timeout|TLS handshake timeout|proxyconnect|Client\.Timeout|dial tcp .*connection refused",
        Temporary,
        "the Docker host doesn't reach the registry ({text})",
        "See that the registry is up, and that the host can reach it.",
    ),
    (r"has active endpoints", Permanent, "containers are still on the network", "Take them off it first."),
    (r"volume is in use", Permanent, "a container still uses the volume", "Remove the container first."),
    (
        r"non-overlapping IPv4 address pool|Pool overlaps",
        Permanent,
        "the Docker host has no free address range for a network",
        "Remove networks that nobody uses, or give the host more ranges.",
    ),
    (
        r"name .* is already in use|already exists",
        Permanent,
        "the name is taken: {text}",
        "Choose another name, or remove what has it.",
    ),
    (r"plugin .* not found|driver .* not found", Permanent, "{text}", "Use a driver that the host has, such as local."),
    (r"No such image", Permanent, "{text}", "Pull it first, or correct the reference."),
    (
        r"executable file not found|exec format error|OCI runtime create failed|cannot start a stopped process",
        Permanent,
        "the container can't run: {text}",
        "Correct its command, or the image.",
    ),
)

# The nearest ancestor of an exception that is named here decides. {host} is the Docker host.
_KINDS: dict[type[BaseException], tuple[Kind, str, str]] = {
    docker.errors.NotFound: (Permanent, "{text}", "It was removed meanwhile: run `pulumi refresh`."),
    docker.errors.APIError: (Permanent, "{text}", "See the log of {host}."),
    docker.errors.StreamParseError: (Temporary, "the connection to {host} broke", "Run it again."),
    docker.errors.TLSParameterError: (Permanent, "its TLS material doesn't fit: {text}", "Correct DOCKER_CERT_PATH."),
    docker.errors.InvalidVersion: (Permanent, "{text}", "The host must speak API 1.24 or later."),
    docker.errors.DockerException: (Permanent, "{text}", "Correct DOCKER_HOST, DOCKER_CERT_PATH and the arguments."),
    requests.exceptions.ConnectionError: (
        Unreachable,
        "{host} can't be reached ({short})",
        "Is the Docker Engine running there?",
    ),
    requests.exceptions.Timeout: (Unreachable, "no answer in time", "See that {host} is up and not overloaded."),
    requests.exceptions.SSLError: (Untrusted, "{tls}", "Correct DOCKER_CERT_PATH: ca.pem, cert.pem, key.pem."),
    requests.exceptions.ProxyError: (Permanent, "a proxy stands in the way: {text}", "Reach {host} without one."),
    requests.exceptions.ChunkedEncodingError: (
        Temporary,
        "the connection to {host} broke ({short})",
        "Run it again.",
    ),
    requests.exceptions.ContentDecodingError: (Permanent, "{host} answered in no way we know", "Is it a Docker host?"),
    requests.exceptions.JSONDecodeError: (Permanent, "{host} answered in no way we know", "Is it a Docker host?"),
    requests.exceptions.RequestException: (Permanent, "{host} can't be asked: {text}", "Correct DOCKER_HOST."),
    requests.exceptions.RequestsWarning: (Permanent, "{text}", "Correct DOCKER_HOST."),
    urllib3.exceptions.SSLError: (Untrusted, "{tls}", "Correct DOCKER_CERT_PATH: ca.pem, cert.pem, key.pem."),
    urllib3.exceptions.TimeoutError: (Unreachable, "no answer in time", "See that {host} is up and not overloaded."),
    urllib3.exceptions.LocationValueError: (Permanent, "the address is wrong: {text}", "Correct DOCKER_HOST."),
    urllib3.exceptions.HTTPError: (
        Unreachable,
        "the connection to {host} broke ({short})",
        "Is the Docker Engine running there?",
    ),
    urllib3.exceptions.HTTPWarning: (Permanent, "{text}", "Correct DOCKER_HOST."),
    TimeoutError: (Unreachable, "no answer in time", "See that {host} is up and not overloaded."),
    OSError: (Unreachable, "{host} can't be reached ({short})", "Is the Docker Engine running there?"),
    ValueError: (Permanent, "{text}", "Correct the arguments."),
}

_PORT = re.compile(r"(?:Bind for|listen (?:tcp|udp)[46]?|exposing port \w+) \S*?:(\d+)")
_REASONS = (
    "connection refused",
    "connection reset",
    "No such file",
    "Permission denied",
    "Name or service not known",
    "No route to host",
    "closed",
    "aborted",
)
_TLS_FAULTS = (
    (r"hostname mismatch|IP address mismatch|doesn't match", "its certificate is for another name"),
    (r"alert (?:bad|unknown|certificate)|certificate required", "it doesn't accept our client certificate"),
    (r"has expired", "its certificate has expired"),
    (r"WRONG_VERSION_NUMBER|UNKNOWN_PROTOCOL|record layer failure", "it doesn't speak TLS there"),
)
_UNTRUSTED = "its certificate is not trusted"


def translate(error: Exception, on: str, host: str = "the Docker host") -> DrydockError:
    """What a call raised, as our error.

    Args:
        error: an exception of docker-py or of the transport below it.
        on: the object that was worked on, in the user's words.
        host: how the Docker host is called, with its address.
    """
    if isinstance(error, DrydockError):
        return error
    text = said(error)
    if isinstance(error, docker.errors.DockerException):
        told = told_by_daemon(text, on)
        if told is not None:
            return told
    if isinstance(error, docker.errors.APIError) and error.status_code in (429, 502, 503, 504):
        return Temporary(text, on=on, remedy=f"See the log of {host}.")
    found = next((_KINDS[one] for one in type(error).__mro__ if one in _KINDS), None)
    if found is None:
        return Permanent(f"{type(error).__name__}: {text}", on=on, remedy="This is our mistake: please report it.")
    kind, what, remedy = found
    # The host may be the object itself; its name once in the line is enough.
    return kind(_filled(what, text, "it" if on == host else host), on=on, remedy=_filled(remedy, text, host))


def told_by_daemon(text: str, on: str) -> DrydockError | None:
    """The error that a daemon's words mean; `None` where they are none that we know."""
    for pattern, kind, what, remedy in _SAID:
        if re.search(pattern, text, re.IGNORECASE):
            return kind(_filled(what, text, ""), on=on, remedy=remedy)
    return None


def said(error: Exception) -> str:
    """What the daemon or the library said, in one line."""
    explanation = getattr(error, "explanation", None)
    text = explanation.decode(errors="replace") if isinstance(explanation, bytes) else explanation
    return " ".join(str(text or error).split()) or type(error).__name__


def _filled(what: str, text: str, host: str) -> str:
    port = _PORT.search(text)
    short = next((one for one in _REASONS if one.lower() in text.lower()), "no connection")
    tls = next((told for pattern, told in _TLS_FAULTS if re.search(pattern, text, re.IGNORECASE)), _UNTRUSTED)
    filled = what.format(text=text, short=short, host=host, tls=tls, port=port[1] if port else "")
    return " ".join(filled.split())
