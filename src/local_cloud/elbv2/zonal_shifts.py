"""Zonal shift of Amazon Application Recovery Controller (ARC) for load balancers.

What AWS does: a load balancer with the attribute ``zonal_shift.config.enabled`` is a managed resource of ARC. A shift
moves its traffic away from one zone until it expires, after at most three days, or is cancelled; a load balancer has
one active shift at a time
(https://docs.aws.amazon.com/arc-zonal-shift/latest/api/API_StartZonalShift.html,
https://docs.aws.amazon.com/r53recovery/latest/dg/arc-zonal-shift.resource-types.app-load-balancers.html).
Without this patch: the emulator does not know the service.

Differences from AWS: no autoshift and no practice runs. Shifts end with the local cloud.
"""

from __future__ import annotations

import dataclasses
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends, install
from local_cloud.core.runtime import Cloud
from local_cloud.core.service_request import ServiceRequest

ATTRIBUTE = {"Key": "zonal_shift.config.enabled", "Value": "true"}
LONGEST_SECONDS = 72 * 3600
_EXPIRES_IN = re.compile(r"([1-9][0-9]*)([mh])")


class ShiftError(Exception):
    """An error of the API: its HTTP status, its name, and what its body says beside the message."""

    def __init__(self, status: int, name: str, message: str, **body: str) -> None:
        super().__init__(message)
        self.status, self.name, self.body = status, name, {"message": message, **body}


@dataclasses.dataclass
class Shift:
    """One zonal shift. Times are seconds since 1970."""

    id: str
    resource: str
    away_from: str
    """The zone's id (``apne2-az1``), not its name."""
    start: float
    expiry: float
    comment: str
    canceled: bool = False

    def status(self, now: float) -> str:
        if self.canceled:
            return "CANCELED"
        return "ACTIVE" if now < self.expiry else "EXPIRED"


class Shifts:
    """All zonal shifts; safe to use from any thread.

    Args:
        zones: returns the zone ids of a managed resource by its ARN; None if ARC does not manage it.
    """

    def __init__(self, zones: Callable[[str], list[str] | None], *, clock: Callable[[], float] = time.time) -> None:
        self._zones, self._clock = zones, clock
        self._shifts: list[Shift] = []
        self._lock = threading.Lock()
        self._observers: list[Callable[[], None]] = []

    def observe(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when a shift starts, changes or is cancelled; not when it expires."""
        self._observers.append(callback)

    def away_from(self, resource: str) -> str | None:
        """Return the id of the zone from which a resource's traffic is shifted away now."""
        shift = self._active(resource)
        return shift.away_from if shift else None

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> tuple[int, Any]:
        """Return status and body of the response to a request.

        Raises:
            ShiftError: the API refuses it.
        """
        kind, _, name = path.strip("/").partition("/")
        match method, kind, bool(name):
            case "POST", "zonalshifts", False:
                return 201, self._plain(self._start(body))
            case "GET", "zonalshifts", False:
                return 200, {"items": [self._plain(shift) for shift in self._list(query)]}
            case "PATCH", "zonalshifts", True:
                return 200, self._plain(self._update(name, body))
            case "DELETE", "zonalshifts", True:
                return 200, self._plain(self._cancel(name))
            case "GET", "managedresources", True:
                return 200, self._resource(unquote(name))
        raise ShiftError(404, "ResourceNotFoundException", f"the local cloud has no {method} {path}")

    def _start(self, body: Mapping[str, Any]) -> Shift:
        resource, zone = body["resourceIdentifier"], body["awayFrom"]
        if zone not in self._managed(resource):
            raise _invalid("InvalidAz", f"{zone} is no Availability Zone of {resource}.")
        now = self._clock()
        with self._lock:
            if active := self._active(resource):
                raise ShiftError(
                    409,
                    "ConflictException",
                    "There is already an active zonal shift for this resource.",
                    reason="ZonalShiftAlreadyExists",
                    zonalShiftId=active.id,
                )
            shift = Shift(str(uuid.uuid4()), resource, zone, now, now + seconds(body["expiresIn"]), body["comment"])
            self._shifts.append(shift)
        self._changed()
        return shift

    def _list(self, query: Mapping[str, str]) -> list[Shift]:
        now = self._clock()
        return [
            shift
            for shift in self._shifts
            if query.get("status") in (None, shift.status(now))
            and query.get("resourceIdentifier") in (None, shift.resource)
        ]

    def _update(self, identifier: str, body: Mapping[str, Any]) -> Shift:
        shift = self._find_active(identifier)
        if "expiresIn" in body:
            shift.expiry = self._clock() + seconds(body["expiresIn"])
        shift.comment = body.get("comment", shift.comment)
        self._changed()
        return shift

    def _cancel(self, identifier: str) -> Shift:
        shift = self._find_active(identifier)
        shift.canceled = True
        self._changed()
        return shift

    def _resource(self, resource: str) -> dict[str, Any]:
        zones, active = self._managed(resource), self._active(resource)
        shifts = [{**self._plain(active), "appliedStatus": "APPLIED"}] if active else []
        return {
            "arn": resource,
            "name": resource.split("/")[-2],
            "appliedWeights": {zone: 0.0 if active and zone == active.away_from else 1.0 for zone in zones},
            "zonalShifts": [{name: value for name, value in shift.items() if name != "status"} for shift in shifts],
            "autoshifts": [],
            "zonalAutoshiftStatus": "DISABLED",
        }

    def _managed(self, resource: str) -> list[str]:
        zones = self._zones(resource)
        if zones is None:
            raise ShiftError(
                404, "ResourceNotFoundException", f"The resource {resource} is not managed for zonal shifts."
            )
        return zones

    def _active(self, resource: str) -> Shift | None:
        now = self._clock()
        return next(
            (shift for shift in self._shifts if shift.resource == resource and shift.status(now) == "ACTIVE"), None
        )

    def _find_active(self, identifier: str) -> Shift:
        shift = next((shift for shift in self._shifts if shift.id == identifier), None)
        if shift is None:
            raise ShiftError(404, "ResourceNotFoundException", f"There is no zonal shift {identifier}.")
        if shift.status(self._clock()) != "ACTIVE":
            raise ShiftError(
                409, "ConflictException", f"The zonal shift {identifier} is over.", reason="ZonalShiftStatusNotActive"
            )
        return shift

    def _changed(self) -> None:
        for callback in self._observers:
            callback()

    def _plain(self, shift: Shift) -> dict[str, Any]:
        return {
            "zonalShiftId": shift.id,
            "resourceIdentifier": shift.resource,
            "awayFrom": shift.away_from,
            "startTime": shift.start,
            "expiryTime": shift.expiry,
            "status": shift.status(self._clock()),
            "comment": shift.comment,
            "shiftType": "ZONAL_SHIFT",
        }


def seconds(expires_in: str) -> float:
    """Return the seconds of ``120m`` or ``20h``.

    Raises:
        ShiftError: it is neither, or longer than three days.
    """
    found = _EXPIRES_IN.fullmatch(expires_in)
    length = int(found[1]) * (60 if found[2] == "m" else 3600) if found else 0
    if not 0 < length <= LONGEST_SECONDS:
        raise _invalid("InvalidExpiresIn", "expiresIn is a number of minutes (m) or hours (h), at most 72h.")
    return length


def _invalid(reason: str, message: str) -> ShiftError:
    return ShiftError(400, "ValidationException", message, reason=reason)


def zone_ids(load_balancer: str) -> list[str] | None:
    """Return the ids of a load balancer's zones; None if it does not exist or zonal shift is not enabled on it."""
    alb, ec2 = emulator.service("alb"), emulator.service("ec2")
    record = alb._lbs.get(load_balancer)
    if record is None or ATTRIBUTE not in alb._lb_attrs.get(load_balancer, []):
        return None
    subnets = (ec2._subnets.get(subnet) for subnet in record["Subnets"])
    return sorted({subnet["AvailabilityZoneId"] for subnet in subnets if subnet})


def zone_id(name: str) -> str:
    """Return the id of a zone by its name."""
    found: str = emulator.service("ec2")._az_id_for_zone_name(name)
    return found


class Handlers:
    """Answers the requests that are signed for ARC."""

    def __init__(self, shifts: Shifts) -> None:
        self._shifts = shifts

    @extends("app", "_dispatch_service_request")
    async def dispatch_service_request(self, dispatch: Handler, *arguments: Any) -> Any:
        request = ServiceRequest.parse(*arguments)
        if request.service != "arc-zonal-shift":
            return await dispatch(*arguments)
        query = {name: values[0] if isinstance(values, list) else values for name, values in request.query.items()}
        try:
            status, body = self._shifts.answer(request.method, request.path, query, json.loads(request.body or b"{}"))
            headers = {}
        except ShiftError as error:
            status, body, headers = error.status, error.body, {"x-amzn-errortype": error.name}
        return status, {"Content-Type": "application/json", **headers}, json.dumps(body).encode()


def apply(cloud: Cloud) -> Shifts:
    shifts = Shifts(zone_ids)
    install(Handlers(shifts))
    return shifts
