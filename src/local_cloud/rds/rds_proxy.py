"""A DB proxy is a real connection pool in front of its DB instance: see ``database_proxy``.

What AWS does: the proxy's endpoint accepts connections on port 5432 from the roles with credentials in its secrets. It
reads a secret when it needs it. Its target is unavailable (``AUTH_FAILURE``) as long as no secret has a value
(https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.html,
https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_TargetHealth.html).

Without this patch: the emulator stores the metadata, and nothing listens at the endpoint.

The endpoint is the gateway of the network, so only one proxy for PostgreSQL can exist; a second exceeds the quota.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import tempfile
import threading
from collections.abc import Coroutine, Mapping
from typing import Any

from local_cloud.core import authority, emulator
from local_cloud.core.patching import Handler, extends, install
from local_cloud.core.runtime import Cloud
from local_cloud.rds.database_proxy.connection import Target
from local_cloud.rds.database_proxy.proxy import DatabaseProxy

logger = logging.getLogger(__name__)

PORT = 5432
"""The port of every RDS Proxy for PostgreSQL."""
_TIMEOUT_SECONDS = 60.0


def apply(cloud: Cloud) -> None:
    runner = _Runner(cloud, emulator.service("rds"))
    install(Handlers(runner))
    cloud.at_start(runner.start_all)
    cloud.at_stop(runner.stop)


def credentials(auth: list[dict[str, str]]) -> dict[str, str]:
    """Return the passwords by role, from the secrets that have a value."""
    secretsmanager = emulator.service("secretsmanager")
    found = {}
    for entry in auth:
        _, secret = secretsmanager._resolve(entry.get("SecretArn", ""), use_arn_scope=True)
        for version in (secret or {}).get("Versions", {}).values():
            if "AWSCURRENT" in version.get("Stages", ()) and version.get("SecretString"):
                value = json.loads(version["SecretString"])
                found[value["username"]] = value["password"]
    return found


class _Runner:
    """Runs the proxy in a thread with its own event loop."""

    def __init__(self, cloud: Cloud, rds: Any) -> None:
        self._cloud = cloud
        self._rds = rds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._proxy: DatabaseProxy | None = None

    @property
    def taken(self) -> bool:
        return self._proxy is not None

    @property
    def endpoint(self) -> str:
        return self._cloud.config.gateway_address

    def proxy_of(self, target: Mapping[str, Any]) -> dict[str, Any] | None:
        return next((proxy for proxy in self._rds._db_proxies._data.values() if target in proxy["Targets"]), None)

    def start_all(self) -> None:
        """Start the proxy again after a restart of the cloud."""
        for proxy in list(self._rds._db_proxies._data.values()):
            if proxy["EngineFamily"] == "POSTGRESQL" and not self.taken:
                _set_endpoint(self._rds, proxy, self.endpoint)  # the configured network may have changed
                self.start(proxy)

    def start(self, record: dict[str, Any]) -> None:
        """Start this proxy. Raises OSError if the address is taken."""
        proxy = DatabaseProxy(lambda: self._target(record), lambda role: credentials(record["Auth"]).get(role))
        self._run(proxy.start(self.endpoint, PORT, self._tls()))
        self._proxy = proxy
        logger.info("RDS Proxy %s: listening on %s:%d", record["DBProxyName"], self.endpoint, PORT)

    def stop(self) -> None:
        if self._proxy is not None:
            proxy, self._proxy = self._proxy, None
            self._run(proxy.stop())

    def limits_changed(self) -> None:
        if self._proxy is not None:
            self._proxy.limits_changed()

    def _target(self, record: Mapping[str, Any]) -> Target | None:
        config = record["TargetGroup"]["ConnectionPoolConfig"]
        for target in record["Targets"]:
            view = self._rds._db_proxy_target_view(target)
            if view["Endpoint"]:
                return Target(
                    host=view["Endpoint"],
                    port=int(view["Port"]),
                    authority=authority.ensure(self._cloud.config)[0],
                    max_connections_percent=config["MaxConnectionsPercent"],
                    borrow_timeout=config["ConnectionBorrowTimeout"],
                    require_tls=record["RequireTLS"],
                    idle_timeout=record["IdleClientTimeout"],
                )
        return None

    def _tls(self) -> ssl.SSLContext:
        certificate, key = self._rds._pg_server_material(["localhost"], [self.endpoint])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with tempfile.NamedTemporaryFile("w", dir=self._cloud.config.work_dir) as bundle:  # readable by the owner only
            bundle.write(key + certificate)
            bundle.flush()
            context.load_cert_chain(bundle.name)
        return context

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="database-proxy", daemon=True).start()
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_TIMEOUT_SECONDS)


class Handlers:
    """The actions on proxies."""

    def __init__(self, runner: _Runner) -> None:
        self._rds = emulator.service("rds")
        self._runner = runner

    @extends("rds", "CreateDBProxy")
    def create_db_proxy(self, create: Handler, request: Mapping[str, Any]) -> Any:
        mine = self._rds._p(request, "EngineFamily") == "POSTGRESQL"
        name = self._rds._p(request, "DBProxyName")
        if mine and self._runner.taken and not self._rds._db_proxies.get(name):
            message = (
                "The local cloud has one address for RDS Proxies, and it is taken: one proxy for PostgreSQL at a time."
            )
            return self._rds._error("DBProxyQuotaExceededFault", message, 400)
        answer = create(request)
        if not mine or answer[0] != 200:
            return answer
        proxy = self._rds._db_proxies[name]
        _set_endpoint(self._rds, proxy, self._runner.endpoint)
        try:
            self._runner.start(proxy)
        except OSError as error:
            self._rds._db_proxies.pop(name, None)
            self._rds._db_proxy_endpoints.pop(name, None)
            return self._rds._error("InternalFailure", f"Cannot listen on {self._runner.endpoint}:{PORT}: {error}", 500)
        return _answer(self._rds, "CreateDBProxy", proxy)

    @extends("rds", "ModifyDBProxy")
    def modify_db_proxy(self, modify: Handler, request: Mapping[str, Any]) -> Any:
        answer = modify(request)
        proxy = self._rds._get_db_proxy(self._rds._p(request, "NewDBProxyName") or self._rds._p(request, "DBProxyName"))
        if answer[0] != 200 or proxy["EngineFamily"] != "POSTGRESQL":
            return answer
        _set_endpoint(self._rds, proxy, self._runner.endpoint)  # the emulator changes it with the name
        return _answer(self._rds, "ModifyDBProxy", proxy)

    @extends("rds", "ModifyDBProxyTargetGroup")
    def modify_db_proxy_target_group(self, modify: Handler, request: Mapping[str, Any]) -> Any:
        answer = modify(request)
        self._runner.limits_changed()
        return answer

    @extends("rds", "DeleteDBProxy")
    def delete_db_proxy(self, delete: Handler, request: Mapping[str, Any]) -> Any:
        proxy = self._rds._get_db_proxy(self._rds._p(request, "DBProxyName"))
        answer = delete(request)
        if answer[0] == 200 and proxy["EngineFamily"] == "POSTGRESQL":
            self._runner.stop()
        return answer

    @extends("rds", "_db_proxy_target_view")
    def target_view(self, view_of: Handler, target: Mapping[str, Any]) -> dict[str, Any]:
        view: dict[str, Any] = view_of(target)
        proxy = self._runner.proxy_of(target)
        if proxy is not None and view["TargetHealth"]["State"] == "AVAILABLE" and not credentials(proxy["Auth"]):
            view["TargetHealth"] = {
                "State": "UNAVAILABLE",
                "Reason": "AUTH_FAILURE",
                "Description": "Proxy does not have any registered credentials",
            }
        return view


def _set_endpoint(rds: Any, proxy: dict[str, Any], address: str) -> None:
    proxy["Endpoint"] = address
    rds._db_proxy_endpoints[proxy["DBProxyName"]]["Endpoint"] = address


def _answer(rds: Any, action: str, proxy: Mapping[str, Any]) -> Any:
    body = f"<{action}Result><DBProxy>{rds._db_proxy_xml(proxy)}</DBProxy></{action}Result>"
    return rds._xml(200, f"{action}Response", body)
