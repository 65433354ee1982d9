"""The plan of helpers/: arrows run down, files stay short, and everything public is used."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import nbformat

from course import PATHS, ROOT

HELPERS = ROOT / "helpers"
FLOORS = [
    {"progress", "checks", "densities", "shapes", "data", "images", "rivals", "energy", "chains"},
    {"langevin", "jumps", "scores"},
    {"exact"},
    {"objectives"},
    {"training", "article"},
    {"plots"},
    {"panels", "exercises"},
]
"""The parts of helpers/, from the ground up; a part imports from its own floor and from below."""
CLASSROOM = {"panels", "exercises"}
MAX_LINES = 350
MAX_SUBJECT_LINES = 3597
"""Lines of helpers/ outside panels/ and exercises/."""
SHARED = """
checks.generator_for checks.number checks.seeded checks.whole densities.ask densities.check_alone
densities.watched chains.StepSize chains.check_arguments chains.check_bounds chains.check_energy
chains.check_particles chains.check_start chains.steepness chains.step_sizes exact.check_grid
exact.check_spacing exact.density exact.energies exact.outside langevin.euler_maruyama
jumps.Proposal jumps.move jumps.wide langevin.normal_like objectives.Loss objectives.Negatives
rivals.student_fit scores.check_levels
""".split()
"""What only the parts of helpers/ use, from one another: this list is only to shrink, too."""


def part(path: Path) -> str:
    """Return the part of helpers/ that a file belongs to: ``exact`` for ``exact/laws.py``."""
    return path.relative_to(HELPERS).parts[0].removesuffix(".py")


MODULES = {path: part(path) for path in sorted(HELPERS.rglob("*.py")) if part(path) != "__init__"}


def code(path: Path) -> ast.Module:
    """Return a module's code, or that of a notebook's cells."""
    if path.suffix == ".py":
        return ast.parse(path.read_text(encoding="utf-8"))
    cells = nbformat.read(path, as_version=4).cells
    return ast.parse("\n\n".join(cell.source for cell in cells if cell.cell_type == "code"))


def imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield what is imported from helpers, each as (module, name); the name may be a module's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("helpers"):
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names if alias.name.startswith("helpers.")]
            yield from (tuple(name.rsplit(".", 1)) for name in modules)


def files(module: str, name: str) -> list[Path]:
    """Return the file that an import reaches: that of the module ``name``, or that it stands in."""
    places = [HELPERS.joinpath(*f"{module}.{name}".split(".")[1:])]
    places += [HELPERS.joinpath(*module.split(".")[1:])]
    candidates = [p for place in places for p in (place.with_suffix(".py"), place / "__init__.py")]
    return [path for path in candidates if path in MODULES][:1]


def public(path: Path) -> set[str]:
    """Return the names that a module defines for others."""
    names = set()
    for node in code(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {n.id for target in targets for n in ast.walk(target) if hasattr(n, "id")}
    return {name for name in names if not name.startswith("_")}


def used(path: Path) -> set[tuple[str, str]]:
    """Return what a file uses of helpers, each as (part, name), however it was imported."""
    tree = code(path)
    aliases = {"helpers": ""}
    found = set()
    for module, name in imports(tree):
        if module == "helpers":
            aliases[name] = name
        else:
            found.add((module.split(".")[1], name))
            aliases[name] = module.split(".")[1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add((aliases.get(node.value.id, "?"), node.attr))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            found.add((node.value.attr, node.attr))  # helpers.langevin.sample
        elif isinstance(node, ast.Name) and MODULES.get(path) in CLASSROOM:
            found.add((MODULES[path], node.id))
    return found


def test_no_import_goes_up_or_round() -> None:
    floors = {name: number for number, names in enumerate(FLOORS) for name in names}
    assert set(MODULES.values()) == set(floors)
    graph: dict[Path, set[Path]] = {}
    for path, here in MODULES.items():
        reached = {file for pair in imports(code(path)) for file in files(*pair)}
        graph[path] = reached - {path}
        up = {MODULES[file] for file in reached if floors[MODULES[file]] > floors[here]}
        assert not up, f"{path.relative_to(ROOT)} imports from above: {up}"
    graphlib.TopologicalSorter(graph).prepare()


def test_files_are_short() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8").count("\n")
        for folder in ("helpers", "tests")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert [name for name, lines in lengths.items() if lines > MAX_LINES] == []


def test_the_subject_is_thin() -> None:
    subject = [path for path, name in MODULES.items() if name not in CLASSROOM]
    lines = sum(path.read_text(encoding="utf-8").count("\n") for path in subject)
    assert lines <= MAX_SUBJECT_LINES


def unread() -> Iterator[tuple[str, bool]]:
    """Yield the public names that no notebook, panel or exercise uses; say if another file does."""
    uses = {path: used(path) for path in (*MODULES, *PATHS.values())}
    read = set().union(*(uses[path] for path in uses if MODULES.get(path, "") in {"", *CLASSROOM}))
    for path, here in MODULES.items():  # a name that langevin hands on from chains is chains'
        handed_on = {name for part, name in read if part == here} - public(path)
        read |= {(part, name) for part, name in uses[path] if name in handed_on}
    for path, here in MODULES.items():
        for name in sorted(public(path)):
            if (here, name) not in read:
                others = (uses[other] for other in MODULES if other != path)
                yield f"{here}.{name}", any((here, name) in use for use in others)


def test_every_public_name_is_used() -> None:
    assert [name for name, shared in unread() if not shared] == []


def test_what_only_helpers_use_grows_no_more() -> None:
    assert {name for name, shared in unread() if shared} <= set(SHARED)
