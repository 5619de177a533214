"""A small language host: lets the Pulumi engine run Python programs and policy packs.

Only for machines on which the official `pulumi-language-python` can't be had. It speaks the engine's LanguageRuntime
protocol with the stubs that the Pulumi SDK ships, so it runs on an interpreter of its own that has the SDK. The program
runs on the project's `virtualenv`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from importlib.metadata import version
from pathlib import Path

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

EXECUTOR = Path(sys.argv[0]).resolve().with_name("pulumi-language-python-exec")
SHOWED_ITS_ERROR = 32
"""The executor's exit code for "the user has already seen the message"."""
ENGINE_LOOKED_AFTER_EVERY_S = 1.0
STOP_GRACE_S = 1.0

LIST_PLUGINS = """
import json, pathlib, site
for folder in site.getsitepackages():
    for file in pathlib.Path(folder).glob("*/pulumi-plugin.json"):
        print(json.dumps(json.loads(file.read_text())))
"""


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """The engine's LanguageRuntime service for Python.

    Args:
        engine: the engine's address, until a handshake names another.
    """

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.running: set[subprocess.Popen[bytes]] = set()

    def Handshake(
        self, request: language_pb2.LanguageHandshakeRequest, context: grpc.ServicerContext
    ) -> language_pb2.LanguageHandshakeResponse:
        self.engine = request.engine_address or self.engine
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=version("pulumi"))

    def GetRequiredPackages(
        self, request: language_pb2.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPackagesResponse:
        """The plugins that the program's installed SDKs name, each in its `pulumi-plugin.json`."""
        env = dict(os.environ)
        argv = [interpreter(request.info, env, context), "-c", LIST_PLUGINS]
        listed = subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout
        plugins = [json.loads(line) for line in listed.splitlines()]
        return language_pb2.GetRequiredPackagesResponse(
            packages=[
                plugin_pb2.PackageDependency(
                    name=plugin["name"],
                    kind="resource",
                    version=plugin.get("version", ""),
                    server=plugin.get("server", ""),
                )
                for plugin in plugins
                if plugin.get("resource")
            ]
        )

    def Run(self, request: language_pb2.RunRequest, context: grpc.ServicerContext) -> language_pb2.RunResponse:
        """Runs the program; its output goes where ours goes, the engine's terminal."""
        env = dict(os.environ)
        env["PULUMI_CONFIG"] = json.dumps(dict(request.config))
        env["PULUMI_CONFIG_SECRET_KEYS"] = json.dumps(list(request.configSecretKeys))
        options = {
            "monitor": request.monitor_address,
            "engine": self.engine,
            "project": request.project,
            "root_directory": request.info.root_directory,
            "stack": request.stack,
            "pwd": request.pwd,
            "dry_run": str(request.dryRun).lower(),
            "parallel": str(request.parallel),
            "organization": request.organization,
        }
        argv = [interpreter(request.info, env, context), "-u", str(EXECUTOR)]
        for name, value in options.items():
            if value:
                argv += [f"--{name}", value]
        argv += [request.info.entry_point or ".", *request.args]
        child = subprocess.Popen(argv, env=env, cwd=request.info.program_directory)
        with self._looked_after(child):
            code = child.wait()
        if code == SHOWED_ITS_ERROR:
            return language_pb2.RunResponse(bail=True)
        if code:
            return language_pb2.RunResponse(error=f"program exited with non-zero exit code: {code}")
        return language_pb2.RunResponse()

    def RunPlugin(
        self, request: language_pb2.RunPluginRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.RunPluginResponse]:
        """Runs a policy pack or component provider; its output goes back to the engine as it comes."""
        env = dict(item.split("=", 1) for item in request.env)
        info = request.info
        argv = [interpreter(info, env, context), "-u", info.program_directory, *request.args]
        child = subprocess.Popen(
            argv, env=env, cwd=request.pwd or None, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        context.add_callback(child.terminate)
        with self._looked_after(child):
            for line in child.stdout or ():
                yield language_pb2.RunPluginResponse(stdout=line)
            yield language_pb2.RunPluginResponse(exitcode=child.wait())

    def InstallDependencies(
        self, request: language_pb2.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        env = dict(os.environ)
        folder = Path(request.info.program_directory or request.info.root_directory)
        if not (folder / "requirements.txt").exists():
            return
        argv = [interpreter(request.info, env, context), "-m", "pip", "install", "-r", "requirements.txt"]
        done = subprocess.run(argv, env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        yield language_pb2.InstallDependenciesResponse(stdout=done.stdout)
        if done.returncode:
            context.abort(grpc.StatusCode.INTERNAL, f"pip failed with exit code {done.returncode}")

    def About(self, request: language_pb2.AboutRequest, context: grpc.ServicerContext) -> language_pb2.AboutResponse:
        env = dict(os.environ)
        python = interpreter(request.info, env, context)
        said = subprocess.run([python, "--version"], env=env, capture_output=True, text=True).stdout
        return language_pb2.AboutResponse(executable=python, version=said.replace("Python", "").strip())

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def stop_programs(self) -> None:
        """Ends the programs that are still running."""
        for child in list(self.running):
            child.terminate()

    def _looked_after(self, child: subprocess.Popen[bytes]) -> _LookedAfter:
        return _LookedAfter(self.running, child)


def interpreter(info: language_pb2.ProgramInfo, env: dict[str, str], context: grpc.ServicerContext) -> str:
    """The program's Python: of its `virtualenv` option, which is put first on PATH in `env`, else `python3`."""
    venv = json_format.MessageToDict(info.options).get("virtualenv")
    if not venv:
        return "python3"
    home = (Path(info.root_directory) / venv).absolute()
    python = home / "bin" / "python"
    if not python.exists():
        context.abort(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"the project's virtualenv '{venv}' has no bin/python: run `python3 -m ops setup` in {info.root_directory}",
        )
    env["VIRTUAL_ENV"] = str(home)
    env["PATH"] = f"{home / 'bin'}{os.pathsep}{env.get('PATH', '')}"
    return str(python)


def main() -> None:
    """Serves until the engine says stop or is gone; prints the port, as the engine expects from a plugin."""
    engine_address = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), "")
    engine_process = os.getppid()
    host = LanguageHost(engine_address)
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=8),
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    asked_to_stop = threading.Event()
    for ending in (signal.SIGINT, signal.SIGTERM):  # how the engine stops its plugins
        signal.signal(ending, lambda *_: asked_to_stop.set())
    print(port, flush=True)
    while not asked_to_stop.wait(ENGINE_LOOKED_AFTER_EVERY_S) and os.getppid() == engine_process:
        pass
    host.stop_programs()
    server.stop(grace=STOP_GRACE_S).wait()


class _LookedAfter:
    """While entered, a program is among those that are ended with the host."""

    def __init__(self, running: set[subprocess.Popen[bytes]], child: subprocess.Popen[bytes]) -> None:
        self._running = running
        self._child = child

    def __enter__(self) -> None:
        self._running.add(self._child)

    def __exit__(self, *_: object) -> None:
        self._running.discard(self._child)


if __name__ == "__main__":
    main()
