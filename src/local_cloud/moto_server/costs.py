"""APIs of costs, which no emulator has: Cost Explorer, Compute Optimizer and EKS's clusters.

What AWS does: it reports the account's spending and usage, a day later.
Without this module: neither emulator has these APIs.

This WSGI application answers from a document that a drill or a test uploads (``PUT /_costs``; its keys are those of
`EMPTY`), with AWS's arithmetic, filters, groups and pages. It passes all other requests, such as those for anomaly
monitors, on to moto's server.

https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_Operations_AWS_Cost_Explorer_Service.html
https://docs.aws.amazon.com/compute-optimizer/latest/APIReference/API_Operations.html
https://docs.aws.amazon.com/eks/latest/APIReference/API_DescribeClusterVersions.html
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import escape

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

DOCUMENT_PATH = "/_costs"

EMPTY: Mapping[str, Any] = {
    # [{"date": "2026-11-18", "service": "Amazon Elastic…", "usage_type": "APN2-…", "amount": "12.34"}]
    "costs": [],
    # The forecast for the rest of the month; null: Cost Explorer has too little data for one.
    "forecast": None,
    # {service: {"2026-11": {"covered": "1.00", "on_demand": "2.00"}}} in USD
    "savings_plans": {},
    # {service: {"2026-11": {"reserved_hours": "1", "on_demand_hours": "2", "on_demand_cost": "3.00"}}}
    "reservations": {},
    # Groups on a page of GetCostAndUsage, recommendations on a page of Compute Optimizer.
    "page_size": 1000,
    "optimizer": {
        "status": "Inactive",
        "instanceRecommendations": [],
        "volumeRecommendations": [],
        "lambdaFunctionRecommendations": [],
        "ecsServiceRecommendations": [],
        "rdsDBRecommendations": [],
        "idleRecommendations": [],
    },
    # In the form of DescribeCluster and DescribeClusterVersions; dates are days.
    "clusters": [],
    "cluster_versions": [],
    # In the form of DescribeDBMajorEngineVersions, if this application is in front of an emulator of RDS.
    "engine_versions": [],
    # {"GetCostForecast": "AccessDeniedException"}: these operations are refused.
    "refused": {},
    # The error for an account that has never enabled Cost Explorer:
    # https://docs.aws.amazon.com/cost-management/latest/userguide/ce-enable.html
    "cost_explorer_enabled": True,
}

_COST_EXPLORER = "AWSInsightsIndexService."
_OPTIMIZER = "ComputeOptimizerService."
_DIMENSIONS = {"SERVICE": "service", "USAGE_TYPE": "usage_type", "RECORD_TYPE": "record_type"}
_RECOMMENDATIONS = {
    "GetEC2InstanceRecommendations": "instanceRecommendations",
    "GetEBSVolumeRecommendations": "volumeRecommendations",
    "GetLambdaFunctionRecommendations": "lambdaFunctionRecommendations",
    "GetECSServiceRecommendations": "ecsServiceRecommendations",
    "GetRDSDatabaseRecommendations": "rdsDBRecommendations",
    "GetIdleRecommendations": "idleRecommendations",
}


class Refused(Exception):
    """AWS refuses the call with this code."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Costs:
    """WSGI: answers the document's APIs, and passes other requests to `application`. A `file` keeps the document."""

    def __init__(self, application: Application, file: Path | None = None) -> None:
        self._application = application
        self._file = file
        self._lock = threading.Lock()
        self._document: dict[str, Any] = deepcopy(dict(EMPTY))
        if file is not None and file.exists():
            self._document |= json.loads(file.read_text(encoding="utf-8"))

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path, method = unquote(environ.get("PATH_INFO", "/")), environ["REQUEST_METHOD"]
        if path == DOCUMENT_PATH:
            if method == "PUT":
                self.put(json.loads(_body(environ) or b"{}"))
            return _json(start_response, self._document)
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if target.startswith(_OPTIMIZER):
            return self._answer(start_response, target.removeprefix(_OPTIMIZER), self._optimizer, _body(environ))
        operation = target.removeprefix(_COST_EXPLORER)
        if target.startswith(_COST_EXPLORER) and operation in _EXPLORED:
            return self._answer(start_response, operation, self._explorer, _body(environ))
        if method == "GET" and (path == "/cluster-versions" or path == "/clusters" or path.startswith("/clusters/")):
            name = path.removeprefix("/clusters").strip("/")
            operation = "DescribeCluster" if name else "ListClusters"
            operation = "DescribeClusterVersions" if path == "/cluster-versions" else operation
            return self._answer(start_response, operation, self._kubernetes, name.encode())
        if method == "POST" and b"Action=DescribeDBMajorEngineVersions" in _peek(environ):
            return _xml(start_response, major_engine_versions(self._document["engine_versions"]))
        return self._application(environ, start_response)

    def put(self, document: Mapping[str, Any]) -> None:
        """Replace the document. Keys that it leaves out are empty."""
        with self._lock:
            self._document = deepcopy(dict(EMPTY)) | dict(document)
            if self._file is not None:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._file.write_text(json.dumps(self._document), encoding="utf-8")

    def _answer(
        self, start_response: StartResponse, operation: str, handle: Callable[[str, bytes], Any], body: bytes
    ) -> Iterable[bytes]:
        try:
            self._check(operation)
            return _json(start_response, handle(operation, body))
        except Refused as refusal:
            error = {"__type": refusal.code, "message": str(refusal)}
            return _json(start_response, error, status=refusal.status, error=refusal.code)

    def _check(self, operation: str) -> None:
        code = self._document["refused"].get(operation)
        if code:
            raise Refused(code, f"not for you: {operation}", 403 if "Denied" in code else 400)

    def _explorer(self, operation: str, body: bytes) -> dict[str, Any]:
        if not self._document["cost_explorer_enabled"]:
            raise Refused("AccessDeniedException", "User not enabled for cost explorer access")
        return _EXPLORED[operation](self._document, json.loads(body))

    def _optimizer(self, operation: str, body: bytes) -> dict[str, Any]:
        document, request = self._document["optimizer"], json.loads(body or b"{}")
        if operation == "GetEnrollmentStatus":
            return {"status": document["status"], "memberAccountsEnrolled": False}
        if operation not in _RECOMMENDATIONS:
            raise Refused("InvalidParameterValueException", f"this emulator has no {operation}")
        if document["status"] != "Active":
            raise Refused("OptInRequiredException", "this account is not enrolled")
        key = _RECOMMENDATIONS[operation]
        page, following = _page(document.get(key, []), request.get("nextToken"), self._document["page_size"])
        return {key: page, "errors": [], **({"nextToken": following} if following else {})}

    def _kubernetes(self, operation: str, body: bytes) -> dict[str, Any]:
        if operation == "DescribeClusterVersions":
            return {"clusterVersions": self._document["cluster_versions"]}
        clusters = self._document["clusters"]
        if operation == "ListClusters":
            return {"clusters": [cluster["name"] for cluster in clusters]}
        for cluster in clusters:
            if cluster["name"] == body.decode():
                return {"cluster": cluster}
        raise Refused("ResourceNotFoundException", f"No cluster found for name: {body.decode()}.", 404)


def major_engine_versions(versions: Iterable[Mapping[str, Any]]) -> str:
    """Return the answer of RDS's DescribeDBMajorEngineVersions in the query protocol."""
    members = []
    for version in versions:
        lives = "".join(
            "<SupportedEngineLifecycle>"
            + "".join(f"<{key}>{escape(str(value))}</{key}>" for key, value in life.items())
            + "</SupportedEngineLifecycle>"
            for life in version["SupportedEngineLifecycles"]
        )
        members.append(
            f"<DBMajorEngineVersion><Engine>{escape(version['Engine'])}</Engine>"
            f"<MajorEngineVersion>{escape(version['MajorEngineVersion'])}</MajorEngineVersion>"
            f"<SupportedEngineLifecycles>{lives}</SupportedEngineLifecycles></DBMajorEngineVersion>"
        )
    return (
        '<DescribeDBMajorEngineVersionsResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/">'
        f"<DescribeDBMajorEngineVersionsResult><DBMajorEngineVersions>{''.join(members)}</DBMajorEngineVersions>"
        "</DescribeDBMajorEngineVersionsResult><ResponseMetadata><RequestId>costs</RequestId></ResponseMetadata>"
        "</DescribeDBMajorEngineVersionsResponse>"
    )


def _cost_and_usage(document: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    period, metric = request["TimePeriod"], request["Metrics"][0]
    if period["Start"] >= period["End"]:
        raise Refused("ValidationException", "Start date (and hour) should be before end date (and hour)")
    keys = [_DIMENSIONS[group["Key"]] for group in request.get("GroupBy", [])]
    sums: dict[str, dict[tuple[str, ...], Decimal]] = {}
    for cost in document["costs"]:
        record = {"record_type": "Usage", **cost}
        if period["Start"] <= record["date"] < period["End"] and _passes(record, request.get("Filter")):
            day = record["date"] if request["Granularity"] == "DAILY" else f"{record['date'][:7]}-01"
            groups = sums.setdefault(day, {})
            name = tuple(record[key] for key in keys)
            groups[name] = groups.get(name, Decimal(0)) + Decimal(record["amount"])
    rows = [(day, name, sums[day][name]) for day in sorted(sums) for name in sorted(sums[day])]
    page, following = _page(rows, request.get("NextPageToken"), document["page_size"])
    results: dict[str, list[dict[str, Any]]] = {}
    for day, name, amount in page:
        metrics = {metric: {"Amount": str(amount), "Unit": "USD"}}
        results.setdefault(day, []).append({"Keys": list(name), "Metrics": metrics})
    answer: dict[str, Any] = {
        "ResultsByTime": [
            {"TimePeriod": {"Start": day, "End": day}, "Total": {}, "Groups": groups, "Estimated": True}
            for day, groups in results.items()
        ]
    }
    return answer | ({"NextPageToken": following} if following else {})


def _passes(record: Mapping[str, Any], expression: Mapping[str, Any] | None) -> bool:
    if not expression:
        return True
    if "Not" in expression:
        return not _passes(record, expression["Not"])
    if "And" in expression:
        return all(_passes(record, item) for item in expression["And"])
    if "Or" in expression:
        return any(_passes(record, item) for item in expression["Or"])
    dimensions = expression["Dimensions"]
    return record[_DIMENSIONS[dimensions["Key"]]] in dimensions["Values"]


def _cost_forecast(document: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    if document["forecast"] is None:
        raise Refused("DataUnavailableException", "Insufficient amount of historical data to generate forecast.")
    amount = {"Amount": str(document["forecast"]), "Unit": "USD"}
    period = request["TimePeriod"]
    return {"Total": amount, "ForecastResultsByTime": [{"TimePeriod": period, "MeanValue": amount["Amount"]}]}


def _savings_plans(document: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    period = request["TimePeriod"]
    found = []
    for service, months in document["savings_plans"].items():
        for month, spent in _within(months, period):
            covered, on_demand = Decimal(spent["covered"]), Decimal(spent["on_demand"])
            coverage = {
                "SpendCoveredBySavingsPlans": str(covered),
                "OnDemandCost": str(on_demand),
                "TotalCost": str(covered + on_demand),
                "CoveragePercentage": str(covered * 100 / (covered + on_demand)),
            }
            start = {"Start": f"{month}-01", "End": period["End"]}
            found.append({"Attributes": {"SERVICE": service}, "Coverage": coverage, "TimePeriod": start})
    page, following = _page(found, request.get("NextToken"), document["page_size"])
    return {"SavingsPlansCoverages": page, **({"NextToken": following} if following else {})}


def _reservations(document: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    services = request.get("Filter", {}).get("Dimensions", {}).get("Values", ["Amazon Elastic Compute Cloud - Compute"])
    period = request["TimePeriod"]
    found = []
    for service in services:
        for month, used in _within(document["reservations"].get(service, {}), period):
            hours = {"ReservedHours": used["reserved_hours"], "OnDemandHours": used["on_demand_hours"]}
            total = {"CoverageHours": hours, "CoverageCost": {"OnDemandCost": used["on_demand_cost"]}}
            start = {"Start": f"{month}-01", "End": period["End"]}
            found.append({"TimePeriod": start, "Groups": [], "Total": total})
    return {"CoveragesByTime": found}


def _within(months: Mapping[str, Any], period: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for month, value in sorted(months.items()):
        if period["Start"] <= f"{month}-01" < period["End"]:
            yield month, value


_EXPLORED: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]] = {
    "GetCostAndUsage": _cost_and_usage,
    "GetCostForecast": _cost_forecast,
    "GetSavingsPlansCoverage": _savings_plans,
    "GetReservationCoverage": _reservations,
}


def _page(items: list[Any], token: str | None, size: int) -> tuple[list[Any], str | None]:
    first = int(token or 0)
    following = first + size
    return items[first:following], str(following) if following < len(items) else None


def _body(environ: Environ) -> bytes:
    return bytes(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))


def _peek(environ: Environ) -> bytes:
    """Return the form in the body, which stays readable for the next application."""
    if not environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        return b""
    body = _body(environ)
    environ["wsgi.input"] = BytesIO(body)
    return body


def _json(
    start_response: StartResponse, document: Any, *, status: int = 200, error: str | None = None
) -> Iterable[bytes]:
    body = json.dumps(document).encode()
    headers = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(body)))]
    start_response(f"{status} {'OK' if status == 200 else 'Refused'}", headers + _error(error))
    return [body]


def _error(code: str | None) -> list[tuple[str, str]]:
    return [("x-amzn-ErrorType", code)] if code else []


def _xml(start_response: StartResponse, text: str) -> Iterable[bytes]:
    body = text.encode()
    start_response("200 OK", [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))])
    return [body]
