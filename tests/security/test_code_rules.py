"""What production code never does: run a text, unpickle, read YAML's objects, fill templates, or start a shell."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ROOT

PACKAGES = ("edge_gateway", "router_service", "demo", "console", "launcher", "scripts")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "importlib.import_module",
    "os.system",
    "os.popen",
    "tempfile.mktemp",
    "yaml.load",
    "yaml.unsafe_load",
    "asyncio.create_subprocess_shell",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "ssl._create_unverified_context",
    "hashlib.md5",
    "hashlib.sha1",
}
IMPORTS = {"pickle", "cPickle", "marshal", "shelve", "dill", "jsonpickle", "jinja2", "mako", "xml", "telnetlib", "yaml"}
# The page is made of templates; what they are held to stands below.
TEMPLATES = ROOT / "edge_gateway" / "page"
ALLOWED = {TEMPLATES / "rendering.py": {"import jinja2"}}
# SQL is SQLAlchemy's, and Redis's scripts are files of their own: neither is put together from texts.
SQL_TEXTS = {"sqlalchemy.text", "text"}


def name_of(node: ast.expr) -> str:
    """A call's name as it is written: a, or a.b.c."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def offences(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            for module in modules:
                if module.split(".")[0] in IMPORTS:
                    yield node.lineno, f"import {module}"
        if not isinstance(node, ast.Call):
            continue
        called = name_of(node.func)
        # re.compile and its like are others' methods; the built-in stands alone.
        if called in CALLS:
            yield node.lineno, called
        if called in SQL_TEXTS and node.args and not isinstance(node.args[0], ast.Constant):
            yield node.lineno, f"{called}(…) of what is put together"
        if called.endswith((".register_script", ".eval")) and node.args and isinstance(node.args[0], ast.JoinedStr):
            yield node.lineno, f"{called}(…) of what is put together"
        for keyword in node.keywords:
            given = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
            if (keyword.arg, given) in (("shell", True), ("verify", False), ("ssl", False), ("allow_redirects", True)):
                yield node.lineno, f"{called}({keyword.arg}={given})"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_runs_a_text_or_trusts_what_it_should_not(module: Path):
    found = offences(ast.parse(module.read_text()))
    assert [entry for entry in found if entry[1] not in ALLOWED.get(module, ())] == []


def test_templates_are_files_that_escape_whatever_is_filled_in():
    code = (TEMPLATES / "rendering.py").read_text()
    assert "autoescape=True" in code
    assert "from_string" not in code
    assert "Markup" not in code
    texts = [path.read_text() for path in TEMPLATES.rglob("*.html")]
    assert texts
    for text in texts:
        assert not re.search(r"\|\s*safe|autoescape|<script(?! type=\"module\" src=)|\son[a-z]+=|\sstyle=", text)


def test_the_rule_sees_what_it_is_for():
    bad = """
import pickle
from xml.etree import ElementTree
eval(x); exec(x); os.system(x); yaml.load(x); subprocess.run(x, shell=True); httpx.get(x, verify=False)
text(f"SELECT {x}"); redis.register_script(f"return {x}")
"""
    assert len(list(offences(ast.parse(bad)))) == 10
    assert list(offences(ast.parse('re.compile("a"); text("SELECT 1"); json.loads(x)'))) == []


@pytest.mark.parametrize("path", ["edge_gateway/access/keys.py", "router_service/authentication.py"])
def test_secrets_are_compared_by_digest_in_constant_time(path: str):
    tree = ast.parse((ROOT / path).read_text())
    calls = [name_of(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert "hmac.compare_digest" in calls


@pytest.mark.parametrize("script", sorted((ROOT / "edge_gateway").rglob("*.lua")), ids=lambda path: path.name)
def test_a_script_of_redis_runs_no_text(script: Path):
    code = script.read_text()
    assert not [word for word in ("loadstring", "load(", "dofile", "setfenv") if word in code]
