"""The account has the hosted zones of its configuration.

What AWS does: a hosted zone gets its ID when somebody creates it, long before an environment names it in its settings
(https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/CreatingHostedZone.html).
Without this patch: a new emulator has no zone, and would give a new one another ID each time.
"""

from __future__ import annotations

from local_cloud.core import emulator
from local_cloud.core.runtime import Cloud


def apply(cloud: Cloud) -> None:
    cloud.at_start(lambda: _create(cloud))


def _create(cloud: Cloud) -> None:
    route53 = emulator.service("route53")
    for zone, domain in cloud.config.hosted_zones.items():
        name, key = route53._normalise_name(domain), (cloud.config.account_id, zone)
        if key not in route53._zones._data:
            record = {"id": zone, "name": name, "caller_reference": zone, "comment": "", "private": False, "vpcs": []}
            route53._zones._data[key] = record
            route53._records._data[key] = route53._default_records(name)
