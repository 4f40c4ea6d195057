"""The codes of errors in the source, and the names of their details, read from the syntax of calls that make one."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache

from tests.conftest import ROOT

REFUSALS = {"refusal", "with_code"}  # their second argument is the code
CODE = re.compile(r"[A-Z]+(_[A-Z]+)+|FORBIDDEN|CONFLICT|UNAVAILABLE|UNAUTHENTICATED")


@cache
def _modules() -> tuple[ast.Module, ...]:
    files = [path for layer in ("api", "schema", "db") for path in sorted((ROOT / layer).rglob("*.py"))]
    return tuple(ast.parse(path.read_text()) for path in files)


def _classes() -> dict[str, ast.ClassDef]:
    return {node.name: node for module in _modules() for node in ast.walk(module) if isinstance(node, ast.ClassDef)}


@cache
def _constants() -> dict[str, str]:
    """Codes by their names: those of requests in `schema/errors.py`, and whatever is its own name."""
    found = {}
    requests = ast.parse((ROOT / "schema" / "errors.py").read_text())
    for module in (*_modules(), requests):
        for node in module.body:
            target = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]
            match target, getattr(node, "value", None):
                case ast.Name(id=name), ast.Constant(value=str(text)) if module is requests or name == text:
                    if CODE.fullmatch(text):
                        found[name] = text
    return found


def _code_of_class(name: str, classes: Mapping[str, ast.ClassDef]) -> str | None:
    """The code of a DomainError, which may be that of the class it is derived from."""
    if name not in classes:
        return None
    for node in classes[name].body:
        target = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and target.id == "code" and isinstance(value, ast.Constant):
            return str(value.value)
    bases = (base.id for base in classes[name].bases if isinstance(base, ast.Name))
    return next(filter(None, (_code_of_class(base, classes) for base in bases)), None)


def _texts(node: ast.expr, constants: Mapping[str, str]) -> list[str]:
    """The codes that an expression may be."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp():
            return _texts(node.body, constants) + _texts(node.orelse, constants)
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in constants:
            return [constants[name]]
    return []


def _of_call(call: ast.Call, inside: str, classes: Mapping[str, ast.ClassDef]) -> Iterator[tuple[str, set[str]]]:
    """The codes of the error that a call makes, if it makes one, and the names of its details."""
    constants, given = _constants(), {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    is_own = isinstance(call.func, ast.Attribute) and call.func.attr == "__init__"
    of_class = _code_of_class(inside if is_own else name, classes)
    codes: list[str] = []
    if name in REFUSALS and len(call.args) > 1:
        codes = _texts(call.args[1], constants)
    elif of_class is not None:
        codes = _texts(given["code"], constants) if "code" in given else [of_class]
    functions = (node for node in getattr(classes.get(name), "body", ()) if isinstance(node, ast.FunctionDef))
    parameters = {argument.arg for function in functions for argument in function.args.kwonlyargs}
    for code in filter(CODE.fullmatch, codes):
        yield code, given.keys() - {"code"} - parameters


def _raised(node: ast.AST, classes: Mapping[str, ast.ClassDef], inside: str = "") -> Iterator[tuple[str, set[str]]]:
    """Codes and details of all errors that are made below a node."""
    match node:
        case ast.ClassDef(name=name):
            inside = name
        case ast.Call():
            yield from _of_call(node, inside, classes)
        case ast.AugAssign(target=ast.Attribute(attr="details"), value=ast.Dict(keys=keys)):  # of a shape
            yield "VALIDATION_FAILED", {str(key.value) for key in keys if isinstance(key, ast.Constant)}
    for child in ast.iter_child_nodes(node):
        yield from _raised(child, classes, inside)


@cache
def details_by_code() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set, {code: set() for code in _constants().values()})
    classes = _classes()
    for module in _modules():
        for code, details in _raised(module, classes):
            found[code] |= details
    return dict(found)
