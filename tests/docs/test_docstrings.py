"""The examples in docstrings run and print what they say."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import inspect
import io
import pkgutil

import docs_python
import pytest

import docs
import inferbench as ib

PACKAGES = [
    "inferbench",
    *sorted(
        path.parent.name
        for pattern in ("plugins/*/inferbench_*", "specs/inferbench_*", "specs/*/inferbench_*")
        for path in docs.ROOT.glob(f"{pattern}/__init__.py")
    ),
]


def modules(package):
    root = importlib.import_module(package)
    yield root
    for found in pkgutil.walk_packages(root.__path__, f"{package}."):
        if not found.name.endswith("__main__") and ".templates" not in found.name:
            yield importlib.import_module(found.name)


@pytest.mark.parametrize("package", PACKAGES)
def test_examples_of_docstrings_run(package):
    said = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    with contextlib.redirect_stdout(said):
        for module in modules(package):
            names = {**vars(module), "inferbench": ib, "ib": ib}
            for test in doctest.DocTestFinder().find(module, module.__name__, globs=names):
                runner.run(test)
    assert runner.failures == 0, said.getvalue()


def test_every_name_of_the_face_stands_on_the_page_with_a_docstring():
    page = (docs.ROOT / "docs/reference/python.md").read_text()
    for module in (ib, ib.plugin, ib.units):
        for heading, names in docs_python.groups(module).items():
            for name in names if heading != "Others" else ():
                assert f"`{name}`" in page
                assert inspect.getdoc(getattr(module, name)), name
