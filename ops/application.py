"""What the application's compose file asks of the site: images and ports, for preflight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.compose_file import ComposeError, ComposeFile, read
from ops.site import Problems, Site

if TYPE_CHECKING:
    from providers.registry.reference import Reference


@dataclass(frozen=True)
class Asked:
    """What has to be there.

    Args:
        project: compose's project, which our containers carry as a label.
        images: service → reference.
        ports: published port → the service that publishes it.
    """

    project: str
    images: Mapping[str, Reference]
    ports: Mapping[int, str]


def asked(site: Site) -> Asked | None:
    """What the stack's compose file asks for; None where the stack has no application.

    Raises:
        Problems: the file can't be read, or an image in it is none.
    """
    from providers.registry.reference import Reference

    app = site.settings.app
    if app is None:
        return None
    file = _file(site, app)
    problems, images = [], {}
    for name, service in file.services.items():
        try:
            images[name] = Reference.parse(app.images.get(name, service.image))
        except ValueError as error:
            problems.append(f"{app.file}: service {name}: {error}")
    if problems:
        raise Problems(problems)
    ports = {port.published: name for name, service in file.services.items() for port in service.ports}
    return Asked(file.name, images, ports)


def _file(site: Site, app: Any) -> ComposeFile:
    registry = site.values.value("registry", "REGISTRY")
    # Values that only the run itself knows stand for nothing that is looked at here.
    unknown = {**dict.fromkeys(app.secrets, "unknown"), "APP_URL": "http://unknown"}
    try:
        known = {**({"REGISTRY": registry} if registry else {}), **app.environment, **unknown}
        return read(site.stack.folder / app.file, known, app.project_name)
    except ComposeError as error:
        raise Problems([str(error)]) from error
