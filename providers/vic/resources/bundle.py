"""vic.Bundle: the vic-machine bundle, fetched once and kept for all stacks."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pulumi
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from providers.kit.model import Inputs, State
from providers.kit.provider import Call, Provider
from providers.kit.resource import KitResource
from providers.kit.secrets import Settings
from providers.vic.flags import Version

if TYPE_CHECKING:  # the program that only declares resources needs no HTTP client
    from providers.vic.bundle import Bundle as Unpacked
    from providers.vic.bundle import Source

_FETCHED = "bundle"


def _version(text: str) -> str:
    return str(Version.of(text))


BundleVersion = Annotated[str, AfterValidator(_version)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]


class BundlePlace(BaseModel):
    """Where a bundle comes from: what `Bundle` takes, and what a VCH takes of its outputs."""

    model_config = ConfigDict(extra="ignore", frozen=True)  # a Bundle's other outputs may stand beside

    version: BundleVersion = Field(description="vic-machine's version, for example 1.5.6.")
    source: str = Field(min_length=1, description="An https URL (of a VIC appliance, or any), or a file's path.")
    sha256: Sha256 | None = Field(None, description="SHA-256 of the .tar.gz.")
    ca: str | None = Field(None, description="PEM text of the authority that the server is verified by.")
    thumbprint: str | None = Field(None, description="SHA-1 or SHA-256 of the server's certificate, instead of a CA.")

    def as_source(self) -> Source:
        from providers.vic.bundle import Source

        return Source(self.version, self.source, self.sha256, self.ca, self.thumbprint)


class BundleInputs(BundlePlace, Inputs):
    """Arguments of `Bundle`."""


class BundleState(State):
    """A bundle that was fetched, verified and looked into."""

    version: str
    build: str
    commit: str
    source: str
    sha256: str
    ca: str | None = None
    thumbprint: str | None = None


class BundleCache:
    """The user's cache of bundles, as a session that needs no login."""

    def known(self, source: Source) -> Unpacked | None:
        """The bundle, where it lies in the cache."""
        from providers.vic.bundle import cached

        return cached(source)

    def fetch(self, source: Source, say: Callable[[str], None]) -> Unpacked:
        """The bundle, from its source where it isn't in the cache."""
        from providers.vic.bundle import fetch

        return fetch(source, say)

    def close(self) -> None:
        """Nothing is held open."""


class BundleProvider(Provider[BundleInputs, BundleState, BundleCache]):
    """Fetches a bundle. A cache that was emptied is no drift: what needs the bundle fetches it again."""

    kind = "vic.Bundle"
    inputs = BundleInputs
    state = BundleState
    without_calls = frozenset()
    always_there = True

    def endpoint(self, settings: Settings, desired: BundleInputs) -> Hashable:
        return "the cache of bundles"

    def connect(self, settings: Settings, desired: BundleInputs) -> BundleCache:
        return BundleCache()

    def describe(self, desired: BundleInputs) -> str:
        return f"{self.kind} '{desired.version}'"

    def thing(self, desired: BundleInputs) -> str:
        return f"{self.describe(desired)} from {desired.source}"

    def verify(self, settings: Settings, desired: BundleInputs) -> list[tuple[str, str]]:
        """A file that isn't there is told at preview, unless what was in it once is in the cache."""
        from providers.vic.bundle import cached

        local = "://" not in desired.source
        if local and not Path(desired.source).is_file() and cached(desired.as_source()) is None:
            return [("source", f"there is no file {desired.source}; the path of a vic-machine bundle is allowed")]
        return []

    def identify(self, desired: BundleInputs, state: BundleState) -> str:
        return f"vic-{state.version}"

    def observe(self, call: Call[BundleCache, BundleState], desired: BundleInputs) -> BundleState | None:
        found: Unpacked | None = call.client.known(desired.as_source()) or call.learned.get(_FETCHED)
        if found is None:
            return call.last
        return BundleState(
            version=found.version,
            build=found.build,
            commit=found.commit,
            source=desired.source,
            sha256=found.sha256,
            ca=desired.ca,
            thumbprint=desired.thumbprint,
        )

    def apply(self, call: Call[BundleCache, BundleState], desired: BundleInputs, there: BundleState | None) -> None:
        call.learned[_FETCHED] = call.client.fetch(desired.as_source(), call.say)

    def remember(self, kept: BundleState | None, seen: BundleState | None) -> None:
        """Nothing is put back: the cache is everybody's."""

    def remove(self, call: Call[BundleCache, BundleState], desired: BundleInputs, there: BundleState) -> None:
        """The cache is shared by all stacks, so the bundle stays in it."""


class Bundle(KitResource, module="vic", name="Bundle"):
    """The vic-machine bundle: fetched (resumed after a break), verified, unpacked safely, kept for all stacks.

    Args:
        resource_name: Pulumi's name.
        version: which vic-machine is expected in it; another one is refused.
        source: ``https://APPLIANCE:9443/vic_VERSION.tar.gz`` of a VIC appliance, any https URL, or a file's path.
        sha256: of the ``.tar.gz``; absent: what comes first is remembered.
        ca: PEM text of the authority that the server's certificate is verified by; absent: the system's.
        thumbprint: SHA-1 or SHA-256 of the server's certificate, instead of an authority.

    Outputs:
        version, build, commit: what the binary says of itself.
        sha256: of the archive.
        source, ca, thumbprint: as given, so that the outputs are all that a VirtualContainerHost needs.

    Errors: Permanent where it is another bundle than expected or not safe to unpack; Temporary where its server can't
        be reached.
    """

    version: pulumi.Output[str]
    build: pulumi.Output[str]
    commit: pulumi.Output[str]
    source: pulumi.Output[str]
    sha256: pulumi.Output[str]
    ca: pulumi.Output[str | None]
    thumbprint: pulumi.Output[str | None]

    def __init__(
        self,
        resource_name: str,
        *,
        version: pulumi.Input[str],
        source: pulumi.Input[str],
        sha256: pulumi.Input[str] | None = None,
        ca: pulumi.Input[str] | None = None,
        thumbprint: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        arguments = {"version": version, "source": source, "sha256": sha256, "ca": ca, "thumbprint": thumbprint}
        super().__init__(BundleProvider(), resource_name, arguments, opts)
