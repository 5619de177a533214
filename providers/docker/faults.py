"""Every exception of docker-py, and of the libraries below it, as the project's one error type."""

from __future__ import annotations

import re
from typing import TypeVar

import docker.errors
import requests.exceptions
import urllib3.exceptions

from providers.kit.errors import Authentication, DrydockError, Permanent, Temporary

Kind = type[DrydockError]
Found = TypeVar("Found")

# What a daemon says, in its own words → our kind, what happened, what to do. The first that fits is taken.
_SAID: tuple[tuple[str, Kind, str, str], ...] = (
    (
        r"(?:port is already allocated|address already in use)",
        Permanent,
        "the port {port} is already taken on the Docker host",
        "Stop what listens there, or publish another port.",
    ),
    (r"no space left on device", Permanent, "the Docker host's disk is full", "Make room, then run it again."),
    (
        r"client version \S+ is too (?:new|old)",
        Permanent,
        "its API version doesn't fit: {text}",
        "The host must speak API 1.24 or later.",
    ),
    (
        r"manifest unknown|manifest for .* not found",
        Permanent,
        "the registry doesn't have the image",
        "Correct it.",
    ),
    (r"no matching manifest", Permanent, "the image isn't there for the host's platform", "Mirror that platform too."),
    (
        r"(?:unauthorized|no basic auth credentials|access to the resource is denied|access denied)",
        Authentication,
        "the registry refused the login",
        "Correct the user and password (REGISTRY_USER, REGISTRY_PASSWORD).",
    ),
    (r"has active endpoints", Permanent, "containers are still on the network", "Remove them from it first."),
    (r"volume is in use", Permanent, "a container still uses the volume", "Remove the container first."),
    (r"(?:name .* is already in use|already exists)", Permanent, "the name is taken: {text}", "Choose another name."),
    (r"plugin .* not found|driver .* not found", Permanent, "{text}", "Use a driver that the host has, such as local."),
    (r"No such image", Permanent, "{text}", "Pull it first, or correct the reference."),
)

# The nearest ancestor of an exception that is named here decides.
_KINDS: dict[type[BaseException], tuple[Kind, str, str]] = {
    docker.errors.NotFound: (Permanent, "{text}", "It was removed meanwhile: run `pulumi refresh`."),
    docker.errors.APIError: (Permanent, "{text}", "See the Docker host's log."),
    docker.errors.StreamParseError: (Temporary, "the connection broke", "Run it again."),
    docker.errors.TLSParameterError: (Permanent, "its TLS material doesn't fit: {text}", "Correct DOCKER_CERT_PATH."),
    docker.errors.InvalidVersion: (Permanent, "{text}", "The host must speak API 1.24 or later."),
    docker.errors.DockerException: (Permanent, "{text}", "Correct DOCKER_HOST, DOCKER_CERT_PATH and the arguments."),
    requests.exceptions.SSLError: (
        Permanent,
        "its certificate is not trusted, or it doesn't trust ours",
        "Correct DOCKER_CERT_PATH: ca.pem, cert.pem, key.pem.",
    ),
    requests.exceptions.Timeout: (Temporary, "no answer in time", "See that it is up and not overloaded."),
    requests.exceptions.ConnectionError: (
        Temporary,
        "can't be reached ({short})",
        "Is the Docker Engine running there?",
    ),
    requests.exceptions.ChunkedEncodingError: (Temporary, "the connection broke ({short})", "Run it again."),
    requests.exceptions.RequestException: (Permanent, "can't be asked: {text}", "Correct DOCKER_HOST."),
    urllib3.exceptions.SSLError: (Permanent, "its certificate is not trusted", "Correct DOCKER_CERT_PATH."),
    urllib3.exceptions.TimeoutError: (Temporary, "no answer in time", "See that it is up and not overloaded."),
    urllib3.exceptions.LocationValueError: (Permanent, "the address is wrong: {text}", "Correct DOCKER_HOST."),
    urllib3.exceptions.HTTPError: (Temporary, "the connection broke ({short})", "Is the Docker Engine running there?"),
    TimeoutError: (Temporary, "no answer in time", "See that it is up and not overloaded."),
    OSError: (Temporary, "can't be reached ({short})", "Is the Docker Engine running there?"),
    ValueError: (Permanent, "{text}", "Correct the arguments."),
}

_PORT = re.compile(r"(?:Bind for|listen tcp4?|listen udp4?|exposing port \w+) \S*?:(\d+)")
_REASONS = ("refused", "reset", "No such file", "Permission denied", "Name or service not known", "closed", "aborted")


def translate(error: Exception, on: str) -> DrydockError:
    """What a call raised, as our error.

    Args:
        error: an exception of docker-py or of the transport below it.
        on: the object that was worked on, in the user's words.
    """
    if isinstance(error, DrydockError):
        return error
    text = said(error)
    for pattern, kind, what, remedy in _SAID:
        if re.search(pattern, text, re.IGNORECASE):
            return kind(_filled(what, text), on=on, remedy=remedy)
    if isinstance(error, docker.errors.APIError) and error.is_server_error() and error.status_code == 503:
        return Temporary(text, on=on, remedy="See the Docker host's log.")
    found = next((_KINDS[one] for one in type(error).__mro__ if one in _KINDS), None)
    if found is None:
        return Permanent(f"{type(error).__name__}: {text}", on=on, remedy="This is our mistake: please report it.")
    kind, what, remedy = found
    return kind(_filled(what, text), on=on, remedy=remedy)


def said(error: Exception) -> str:
    """What the daemon or the library said, in one line."""
    explanation = getattr(error, "explanation", None)
    text = explanation.decode(errors="replace") if isinstance(explanation, bytes) else explanation
    return " ".join(str(text or error).split()) or type(error).__name__


def _filled(what: str, text: str) -> str:
    port = _PORT.search(text)
    short = next((one for one in _REASONS if one.lower() in text.lower()), "no connection")
    return what.format(text=text, short=short, port=port[1] if port else "")
