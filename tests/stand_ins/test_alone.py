"""The stand-in knows vSphere and itself: nothing of the project, nothing else of the lab."""

from __future__ import annotations

import ast
from pathlib import Path

import lab.stand_ins.vic_machine

PACKAGE = Path(lab.stand_ins.vic_machine.__file__).parent
OURS = {"bench", "components", "lab", "ops", "providers", "settings", "tests"}


def test_it_imports_nothing_of_the_project_but_its_own_package() -> None:
    found = set()
    for file in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {one.name for one in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
    ours = {name for name in found if name.partition(".")[0] in OURS}
    assert ours
    assert all(name.startswith("lab.stand_ins.vic_machine") for name in ours)
