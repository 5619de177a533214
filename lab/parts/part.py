"""What a part of the lab is, for the supervisor and for whoever adds one."""

from __future__ import annotations

import hashlib
import os
import ssl
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import ClassVar

from lab import addresses, processes
from lab.certificates import CLIENT
from lab.premises import Premises
from lab.processes import Process

ASK_LIMIT_S = 3.0
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ")


class Part(ABC):
    """One part of a lab.

    Attributes:
        name: what it is called in lines and in `lab status`.
        needs: the parts that must be ready before it starts.
        has_process: whether it has a process of its own, which may crash.
        start_limit_s: how long it may take from its start until it is healthy, in seconds.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    has_process: ClassVar[bool] = False
    start_limit_s: ClassVar[float] = 60.0

    def __init__(self, premises: Premises) -> None:
        self.premises = premises

    @property
    def folder(self) -> Path:
        """Where what it keeps lies."""
        return self.premises.state / self.name

    @property
    def log(self) -> Path:
        """Its log file."""
        return self.premises.state / "logs" / f"{self.name}.log"

    @property
    @abstractmethod
    def address(self) -> str:
        """Where it answers, `host:port`."""

    @abstractmethod
    def install(self) -> None:
        """Gets what it runs and writes its settings. Quick when all of it is there."""

    @abstractmethod
    def start(self) -> None:
        """Starts it, or puts right what is started wrongly. Doesn't wait until it is healthy."""

    def process(self, found: Sequence[Process]) -> Process | None:
        """Its main process, or None if it doesn't run; always None for a part without a process of its own.

        Args:
            found: the processes with its marker.
        """
        return None

    def is_as_wanted(self, found: Sequence[Process]) -> bool:
        """Whether it runs, from the program and settings of today; asked after `install`."""
        return True

    @abstractmethod
    def healthy(self) -> bool:
        """Whether it answers as it should, asked once, within seconds."""

    @abstractmethod
    def stop(self) -> None:
        """Ends it and everything that it started or made outside its folder; what it keeps stays."""

    def forget(self) -> None:
        """Removes the application's data that it keeps; only asked when it is stopped. Most parts keep none."""
        return

    def variables(self) -> dict[str, str]:
        """The variables by which a client finds it, for `lab env`."""
        return {}


@dataclass(frozen=True)
class Command:
    """How a server is started.

    Attributes:
        argv: the command; never with a secret in it.
        environment: variables on top of the few that we pass on.
        settings: files whose change means that it must be started anew.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    settings: Sequence[Path]


@dataclass(frozen=True)
class Answer:
    """A server's answer, as far as the lab looks at it.

    Attributes:
        status: HTTP's; 0: none came.
        headers: by names in small letters.
    """

    status: int
    headers: Mapping[str, str]


class Server(Part):
    """A part that is a process of its own, listening on an address of its own.

    Attributes:
        member: its number in the lab's network, no other part's.
        preferred_port: the port that it takes if it is free on its address.
        program: how the name of its main process's program begins, which tells it from what that started.
        stop_limit_s: how long it may take to end by itself, in seconds.
    """

    has_process = True
    member: ClassVar[int]
    preferred_port: ClassVar[int]
    program: ClassVar[str]
    stop_limit_s: ClassVar[float] = 10.0

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return self.premises.addresses.host(self.member)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self.premises.addresses.port(self.name, self.host, self.preferred_port)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def certificate(self) -> Path:
        """The folder with its `cert.pem`, `key.pem` and `ca.pem`."""
        return self.premises.certificates.of(self.name)

    @abstractmethod
    def command(self) -> Command:
        """How it is started, after `install`."""

    def start(self) -> None:
        if not addresses.is_free(self.host, self.port):
            self.premises.addresses.move(self.name, self.host)
            self.install()
        command = self.command()
        self.folder.mkdir(parents=True, exist_ok=True)
        processes.start(
            command.argv,
            state=self.premises.state,
            part=self.name,
            made_of=_digest(command),
            environment=_environment(command),
            log=self.log,
            folder=self.folder,
        )

    def process(self, found: Sequence[Process]) -> Process | None:
        return next((process for process in found if process.program.startswith(self.program)), None)

    def is_as_wanted(self, found: Sequence[Process]) -> bool:
        main = self.process(found)
        return main is not None and main.made_of == _digest(self.command())

    def stop(self) -> None:
        found = processes.running(self.premises.state).get(self.name, [])
        main = self.process(found)
        processes.stop([main] if main else [], grace_s=self.stop_limit_s)
        rest = processes.running(self.premises.state).get(self.name, [])
        processes.stop(rest, grace_s=1.0)

    def asked(
        self, path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", client: bool = False
    ) -> Answer:
        """What it answers over verified TLS.

        Args:
            path: what is asked for.
            headers: headers to send.
            method: GET or HEAD.
            client: whether to show the lab's client certificate.

        Returns:
            Its status and headers; status 0 if it doesn't answer.
        """
        context = ssl.create_default_context(cafile=str(self.premises.certificates.authority))
        if client:
            ours = self.premises.certificates.of(CLIENT)
            context.load_cert_chain(ours / "cert.pem", ours / "key.pem")
        connection = HTTPSConnection(self.host, self.port, timeout=ASK_LIMIT_S, context=context)
        try:
            connection.request(method, path, headers=dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()})
        except (OSError, HTTPException):
            return Answer(0, {})
        finally:
            connection.close()


def write_settings(file: Path, text: str) -> None:
    """Writes a settings file, only if it says something else."""
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(file)


def _environment(command: Command) -> dict[str, str]:
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | dict(command.environment)


def _digest(command: Command) -> str:
    digest = hashlib.sha256(repr((list(command.argv), sorted(command.environment.items()))).encode())
    for file in command.settings:
        digest.update(file.read_bytes() if file.exists() else b"absent")
    return digest.hexdigest()
