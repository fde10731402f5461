"""The house rules that a reader can't see: imports flow down, functions and files stay short, the core stands
alone.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

import inferbench as ib

ROOT = Path(__file__).parents[1]
CORE = ROOT / "inferbench"
FILES = sorted(CORE.rglob("*.py"))
# From the ground up: a folder, or a module at the top, may import its own floor's folder and the floors
# below.
FLOORS = (
    ("_version", "errors", "num", "text", "units"),
    ("files",),
    ("records",),
    ("specs",),
    ("discovery",),
    ("model",),
    ("space",),
    ("sweeping",),
    ("serving",),
    ("evidence",),
    ("calibration",),
    ("validation",),
    ("report",),
    ("testing",),
    ("face",),
    ("cli",),
    ("plugin",),
    ("__init__", "__main__"),
)
PACKAGES = sorted(
    path.parent
    for pattern in ("plugins/*", "contrib/*", "specs", "specs/*")
    for path in ROOT.glob(f"{pattern}/pyproject.toml")
)


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST, typing_too: bool = True) -> set[str]:
    """Modules that a file imports, at the top or inside functions."""
    skipped = set()
    if not typing_too:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                skipped |= {id(inner) for inner in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=names)
def test_a_file_has_at_most_400_lines(path):
    assert len(path.read_text("utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", FILES, ids=names)
def test_a_function_has_at_most_50_lines_beside_its_docstring(path):
    long = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            doc = ast.get_docstring(node)
            lines = node.end_lineno - node.lineno + 1
            if doc is not None:
                lines -= first.end_lineno - first.lineno + 1
            if lines > 50:
                long.append(f"{node.name}: {lines}")
    assert long == []


@pytest.mark.parametrize("path", FILES, ids=names)
def test_the_core_imports_no_plugin(path):
    assert [name for name in imports(parsed(path)) if name.startswith("inferbench_")] == []


@pytest.mark.parametrize("path", FILES, ids=names)
def test_rich_is_imported_for_screens_only(path):
    if path.relative_to(CORE).parts[0] in ("report", "cli"):
        return
    screens = {"rich", "rich_click"} | ({"click"} if path.name != "hookspecs.py" else set())
    assert not {name.split(".")[0] for name in imports(parsed(path))} & screens


def room(name: str) -> str:
    """The folder, or the module at the top, that a dotted name of the core lies in; "" for the face
    itself.
    """
    parts = name.split(".")
    found = len(parts) > 1 and ((CORE / parts[1]).is_dir() or (CORE / f"{parts[1]}.py").exists())
    return parts[1] if found else ""


def test_every_module_and_folder_stands_on_a_floor():
    rooms = {path.relative_to(CORE).parts[0].removesuffix(".py") for path in FILES}
    assert rooms - {"templates"} == {name for level in FLOORS for name in level}


def test_imports_flow_down():
    """`TYPE_CHECKING` included; only the face and the command line's entry look at the whole house."""
    floor = {name: height for height, level in enumerate(FLOORS) for name in level}
    wrong = []
    for path in FILES:
        mine = path.relative_to(CORE).parts[0].removesuffix(".py")
        if mine in ("__init__", "templates"):
            continue
        for name in imports(parsed(path)):
            if name.split(".")[0] != "inferbench":
                continue
            theirs = room(name)
            if theirs != mine and floor.get(theirs, len(FLOORS)) >= floor[mine]:
                wrong.append(f"{module(path)} imports {name}")
    assert wrong == []


def test_no_two_modules_of_a_folder_import_each_other_in_a_circle():
    known = {module(path) for path in FILES}
    wants = {
        module(path): (
            {name if name in known else name.rpartition(".")[0] for name in imports(parsed(path))} & known
        )
        for path in FILES
        if path != CORE / "__init__.py"
    }
    while free := {name for name, wanted in wants.items() if not (wanted & wants.keys()) - {name}}:
        wants = {name: wanted for name, wanted in wants.items() if name not in free}
    assert wants == {}


def test_the_top_of_the_core_is_easy_to_see():
    assert len([path for path in FILES if path.parent == CORE]) <= 8


def test_at_most_12_names_in_1000_lines_are_any():
    """Arrays are `Array`, `Mask`, `Indices` or `Column`; what only passes through is `object`."""
    texts = [path.read_text("utf-8") for path in FILES if "templates" not in path.parts]
    nodes = [node for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)]
    lines = sum(len(text.splitlines()) for text in texts)
    assert 1000 * sum(node.id == "Any" for node in nodes) / lines <= 12


def test_every_public_name_resolves():
    for name in ib.__all__:
        assert getattr(ib, name) is not None
    assert set(ib.__all__) <= set(dir(ib))
    with pytest.raises(AttributeError, match="module 'inferbench' has no attribute 'nonsense'"):
        ib.nonsense  # noqa: B018


def test_every_public_name_is_declared_for_type_checkers():
    """Each once, as an import; names of authors and units come from their own modules."""
    for module in (ib, ib.plugin):
        block = next(
            node
            for node in parsed(Path(module.__file__)).body
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        )
        found = [alias.asname for node in block.body for alias in node.names if node.module != "inferbench"]
        assert sorted(name for name in found if name) == module.__all__
    assert not set(ib.__all__) & {*ib.plugin.__all__, *ib.units.__all__} - {"Range"}


def test_names_of_authors_and_units_resolve_at_the_top_too():
    for name in (*ib.plugin.__all__, *ib.units.__all__):
        assert getattr(ib, name) is not None


def test_every_public_class_and_function_is_documented():
    both = {**ib._HOMES, **ib.plugin._HOMES}
    homes = {name for name, home in both.items() if home.startswith("inferbench.")}
    bare = []
    for name in homes:
        value = getattr(ib, name)
        if (isinstance(value, type) or callable(value)) and not getattr(value, "__doc__", None):
            bare.append(name)
    assert bare == []


def declared(package: Path) -> set[str]:
    """Top-level modules that a package's dependencies bring; a distribution's name with underscores."""
    project = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [
        *project.get("dependencies", ()),
        *(d for more in project.get("optional-dependencies", {}).values() for d in more),
    ]
    found = {re.split(r"[\s\[<>=!~;]", one, maxsplit=1)[0].lower().replace("-", "_") for one in wanted}
    return found | {{"pyyaml": "yaml", "scikit_learn": "sklearn"}.get(name, name) for name in found}


@pytest.mark.parametrize("package", PACKAGES, ids=names)
def test_a_plugin_imports_the_public_face_and_what_it_declares(package):
    project = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]
    own = project["name"].replace("-", "_")
    # Arrays, frozen classes and commands come with the core: every plugin deals in them.
    allowed = declared(package) | {own, "numpy", "attrs", "click"} | set(sys.stdlib_module_names)
    wrong = []
    for path in sorted((package / own).rglob("*.py")):
        if "templates" in path.parts:
            continue
        for name in imports(parsed(path)):
            head = name.split(".")
            if head[0] == "inferbench":
                inner = len(head) > 1 and head[1] not in ("plugin", "testing", "units", *ib.__all__)
                wrong += [f"{names(path)}: {name}"] if inner else []
            elif head[0] not in allowed:
                wrong.append(f"{names(path)}: {name} is not declared")
    assert wrong == []


def test_the_path_of_a_formula_imports_numpy_attrs_cattrs_and_pluggy_only(process):
    """Importing the core's whole evaluation brings no screen and no HTTP."""
    code = (
        "import sys, inferbench.face.compare; print([m for m in ('rich', 'rich_click', 'click', 'pandas',"
        " 'scipy', 'requests') if m in sys.modules])"
    )
    assert process("-c", code).stdout.strip() == "[]"


def test_importing_the_face_imports_nothing_heavy(process):
    done = process(
        "-c", "import sys, inferbench; print([m for m in ('numpy', 'attrs', 'pluggy') if m in sys.modules])"
    )
    assert done.stdout.strip() == "[]"


def test_the_core_alone_says_what_to_install(process):
    """With no entry point at all: as if every plugin were deleted."""
    code = (
        "import sys, inferbench.discovery.loading as r; r.entry_points = lambda group: ();"
        "from inferbench.cli.app import run; sys.exit(run(['compare', 'b200']))"
    )
    done = process("-c", code)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "inferbench: --suite reference: no suite is installed\n  pip install 'inferbench-core[all]'\n"
    )
