"""Reads files and what they refer to as one model in long syntax.

Source: Compose specification; the order of the steps is docker compose v2.40's, each sees what the one before left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from components.compose import casts, schema
from components.compose.canonical import canonical, without_empty
from components.compose.checks import check_values
from components.compose.document import Document, documents
from components.compose.extends import Base, extended
from components.compose.include import Included, included
from components.compose.interpolation import Unset, interpolate
from components.compose.located import ComposeError, Map, Path, Place
from components.compose.locations import resolve
from components.compose.merge import merge, unique, without
from components.compose.normal import with_defaults


@dataclass(frozen=True)
class Loader:
    """How files are read.

    Attributes:
        folder: where relative paths start.
        variables: what a variable means.
        unset: what one means that has no value.
        inside: the files that include the ones that are read.
    """

    folder: FilePath
    variables: Mapping[str, str]
    unset: Unset
    inside: tuple[FilePath, ...] = ()

    def model(self, files: Sequence[FilePath]) -> Map:
        """Files as one model, defaults included and paths absolute.

        Raises:
            ComposeError: with the place of what is wrong.
        """
        data = Map(Place(files[0], 1, 1))
        for file in files:
            for document in self._documents(file):
                data = self._added(data, document, file)
        data = with_defaults(data)
        check_values(data)
        return resolve(data, self.folder)  # type: ignore[no-any-return]

    def _added(self, data: Map, document: Document, file: FilePath) -> Map:
        own = self._with_extended(document, file)
        data = without(data, document.resets)
        own = included(own, self.folder, self.variables, lambda one: self._included(one, file))
        merged = unique(merge(data, own))
        schema.validate(merged, file)
        merged.pop("version", None)
        return unique(without_empty(canonical(merged)))  # type: ignore[no-any-return]

    def _with_extended(self, document: Document, file: FilePath) -> Map:
        own: Map = document.data
        services = own.get("services")
        if isinstance(services, Map):
            base = Base(file, services, document.resets)
            own.put("services", extended(base, self.folder, self._base), own.places.get("services"))
        return own

    def _base(self, file: FilePath) -> Base:
        """A file that a service extends; unlike a model's own it need not be right as a whole."""
        data, resets = Map(Place(file, 1, 1)), []
        for document in self._documents(file):
            data = unique(without_empty(canonical(unique(merge(without(data, document.resets), document.data)))))
            resets = document.resets
        services = resolve(data, file.parent).get("services")
        if not isinstance(services, Map):
            raise ComposeError(Place(file, 1, 1), "has no services, so none can be extended")
        return Base(file, services, resets)

    def _included(self, one: Included, file: FilePath) -> Map:
        inside = (*self.inside, file)
        if one.files[0] in inside:
            raise ComposeError(
                one.place, f"include: the files include each other in a circle, {Place(one.files[0])} itself"
            )
        return replace(self, folder=one.folder, variables=one.variables, inside=inside).model(one.files)

    def _documents(self, file: FilePath) -> list[Document]:
        found = list(documents(file, self._text))
        for document in found:
            if not isinstance(document.data, Map):
                raise ComposeError(Place(file, 1, 1), "a compose file must be a mapping: services: …")
        return found

    def _text(self, text: str, path: Path) -> Any:
        return casts.cast(interpolate(text, self.variables, self.unset), path)
