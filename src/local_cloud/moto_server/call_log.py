"""Log each signed call of moto's server: see ``core/call_log.py``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from io import BytesIO

from local_cloud.core import call_log
from local_cloud.moto_server.costs import Application, Environ, StartResponse

_SIGNED = re.compile(r"Credential=(?P<key>[^/]+)/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/")


class Logged:
    """WSGI: logs each signed call before `application` answers it.

    `resource` returns the ARN and the tags of the resource in the parameters. Calls signed by `account` are the local
    cloud's own and are not logged.
    """

    def __init__(
        self,
        application: Application,
        log: call_log.CallLog,
        account: str,
        resource: Callable[[call_log.Parameters], tuple[str, dict[str, str]]],
    ) -> None:
        self._application, self._log, self._account, self._resource = application, log, account, resource

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        signed = _SIGNED.search(environ.get("HTTP_AUTHORIZATION", ""))
        if signed and signed["key"] != self._account:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = BytesIO(body)
            self._write(signed, environ, body)
        return self._application(environ, start_response)

    def _write(self, signed: re.Match[str], environ: Environ, body: bytes) -> None:
        target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        operation = target or kubernetes_operation(environ.get("PATH_INFO", "/"))
        parameters, given = call_log.from_json(body)
        arn, tags = self._resource(parameters)
        self._log.write(
            key=signed["key"],
            principal=call_log.principal(signed["key"]),
            region=signed["region"],
            account=self._account,
            action=f"{signed['service']}:{operation}",
            resource=arn,
            parameters=parameters,
            request_tags=given,
            tags={arn: tags} if tags else {},
        )


def kubernetes_operation(path: str) -> str:
    """Return EKS's operation, which is in the path."""
    kind, _, name = path.strip("/").partition("/")
    if kind == "cluster-versions":
        return "DescribeClusterVersions"
    return "DescribeCluster" if name else "ListClusters"
