"""The paths of an application's routes, as far as its code writes them out."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fargate_ops.adopt.code import Code, Module, Ref, argument, calls
from fargate_ops.adopt.entry import Entry

_DECORATORS = ("get", "api_route")
#: Last parts of paths, the most usual first.
HEALTH = (
    "healthz",
    "health",
    "livez",
    "live",
    "liveness",
    "healthcheck",
    "health-check",
    "health_check",
    "ping",
    "alive",
)
READINESS = ("readyz", "ready", "readiness")
VERSION = ("version",)


@dataclass(frozen=True)
class Route:
    """A path that answers GET, and where it is written: ``app/main.py:12``. `function` handles it, if known."""

    path: str
    where: str
    function: ast.AST | None = None


@dataclass
class _Router:
    """An application or a router: its own prefix, its routes, and the routers in it with their prefixes."""

    prefix: str | None = ""
    routes: list[Route] = field(default_factory=list)
    inner: list[tuple[Ref, str | None]] = field(default_factory=list)


def routes(code: Code, entry: Entry) -> list[Route]:
    """Return the routes below `entry`, and those of routers that are included in a way that is not recognised."""
    routers: dict[Ref, _Router] = {}
    for module in code.modules.values():
        _collect(code, module, routers)
    included = {ref for router in routers.values() for ref, _ in router.inner}
    # In a function the object has another name than the function that returns it.
    tops = [ref for ref in routers if ref == entry.ref or ref not in included]
    return [route for top in tops for route in _below(routers, top, "", frozenset())]


def _collect(code: Code, module: Module, routers: dict[Ref, _Router]) -> None:
    def router(owner: ast.expr) -> _Router | None:
        ref = code.resolve(module.path, owner)
        return routers.setdefault(ref, _Router(_prefix(code, ref))) if ref else None

    for node in ast.walk(module.tree):
        decorators = node.decorator_list if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else []
        for call in decorators:
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _DECORATORS:
                _add(code, module, router(call.func.value), argument(call, "path", 0), node)
    for method, call in calls(module.tree, ["add_api_route", "add_route"]):
        _add(code, module, router(method.value), argument(call, "path", 0), argument(call, "endpoint", 1))
    for method, call in calls(module.tree, ["include_router", "mount"]):
        outer = router(method.value)
        mounted = method.attr == "mount"
        inner = code.resolve(module.path, argument(call, "app", 1) if mounted else argument(call, "router", 0))
        prefix = argument(call, "path", 0) if mounted else argument(call, "prefix")
        if outer and inner:
            outer.inner.append((inner, "" if prefix is None else code.text(module.path, prefix)))


def _prefix(code: Code, ref: Ref) -> str | None:
    """Return the prefix that a router is made with; None if it is not written out."""
    made = code.modules[ref.path].values.get(ref.name)
    if not isinstance(made, ast.Call) or not code.calls(ref.path, made, "fastapi", "APIRouter"):
        return ""
    prefix = argument(made, "prefix")
    return "" if prefix is None else code.text(ref.path, prefix)


def _add(code: Code, module: Module, router: _Router | None, path: ast.expr | None, handler: ast.AST | None) -> None:
    text = code.text(module.path, path)
    if router and text is not None and path is not None:
        router.routes.append(Route(text, f"{module.path}:{path.lineno}", handler))


def _below(routers: dict[Ref, _Router], ref: Ref, before: str, seen: frozenset[Ref]) -> Iterator[Route]:
    router = routers.get(ref)
    if router is None or router.prefix is None or ref in seen:
        return
    start = before + router.prefix
    for route in router.routes:
        yield Route(start + route.path, route.where, route.function)
    for inner, prefix in router.inner:
        if prefix is not None:
            yield from _below(routers, inner, start + prefix, seen | {ref})


def best(found: Sequence[Route], names: Sequence[str]) -> Route | None:
    """Return the route whose last part is the first of `names`, the shortest if there are several."""

    def last(route: Route) -> str:
        return route.path.rstrip("/").rpartition("/")[2].lower()

    fitting = [route for route in found if last(route) in names and "{" not in route.path]
    return min(fitting, key=lambda route: (names.index(last(route)), len(route.path)), default=None)
