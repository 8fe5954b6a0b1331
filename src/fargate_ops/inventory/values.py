"""Each variable of the inventory that a deployment reads, with its kind.

The limits are those of the validations in terraform/; a test compares the two. Rules that need more
than one variable are in the modules beside this one.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from datetime import date
from typing import Any

from fargate_ops.inventory.kinds import (
    Kind,
    flag,
    list_of,
    mapping,
    network,
    number,
    one_of,
    optional,
    tenths,
    text,
    whole,
    with_default,
)

_NAME = text(
    r"[a-z](?:-?[a-z0-9])*",
    "lower-case letters, digits and single hyphens, a letter first",
    example="storefront",
)
_ANY_TEXT = text(r"(?s).*", "text", example="text")
_PATH = r"/[^\s?#]*"
_PATH_OR_NONE = "a path that begins with a slash and has no query, or empty"
_EMAILS = list_of(text(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address", example="on-call@example.com"), "addresses")
_GITHUB_NUMBER = optional(whole(1, example=123456))
_POOL = "(to SQLAlchemy, less means no limit)"


def _time_zone(value: Any) -> str:
    # What Application Auto Scaling takes of them, as terraform/modules/autoscaling says it.
    if not isinstance(value, str) or ("/" not in value and value != "UTC"):
        raise ValueError
    if value not in zoneinfo.available_timezones():
        raise ValueError
    return str(value)


def _day(value: Any) -> str:
    return date.fromisoformat(str(value)).isoformat()


def _exception(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = _EXCEPTION.read(value)
    if bool(found["package"]) == bool(found["digest"]):
        raise ValueError
    return found


_EXCEPTION = mapping(
    "an exception",
    example='{id: CVE-2026-12345, package: libssl3, until: 2026-12-31, reason: "TLS ends at the load balancer"}',
    id=text(r"\S+", "a vulnerability's id, or the status of a scan", example="CVE-2026-12345"),
    package=with_default(text(r"\S+", "a package's name", example="libssl3"), ""),
    digest=with_default(text(r"sha256:[0-9a-f]{64}", "an image's digest", example=f"sha256:{'0' * 64}"), ""),
    until=Kind(_day, "a day", "2026-12-31"),
    reason=text(r"(?s).*\S.*", "a reason", example="TLS ends at the load balancer"),
)


def _replaced(kind: Kind, must_be: str) -> Kind:
    return Kind(kind.read, must_be, kind.example)


VALUES: Mapping[str, Kind] = {
    # aws.yml
    "env_name": _NAME,
    "aws_region": text(r"[a-z]{2}(?:-[a-z]+)+-\d", "the code of an AWS region", example="ap-northeast-2"),
    "aws_account_id": text(r"\d{12}", "12 digits in quotes", example='"012345678901"'),
    "aws_environment": mapping("a map of variables", example="{AWS_REGION: ap-northeast-2}"),
    "aws_tags": mapping("a map of tags", example="{Team: payments}"),
    # app.yml
    "app_name": _NAME,
    "app_source_dir": text(r"/.+", "the absolute path of a folder", example='"{{ project_dir }}/app/api"'),
    "app_port": whole(1024, 65535, example=8000),
    "app_health_path": text(_PATH, "a path that begins with a slash and has no query", example="/healthz"),
    "app_ready_path": text(f"(?:{_PATH})?", _PATH_OR_NONE, example="/readyz"),
    "app_version_path": text(f"(?:{_PATH})?", _PATH_OR_NONE, example="/version"),
    "app_admin_command": list_of(
        text(r"\S+", "a word", example="python"), "a list of words, [] for an application without one"
    ),
    "app_schema_file": text(
        r"(?:[^\s/]\S*)?", "a path in the image without a slash at its beginning, or empty", example="srv/schema.json"
    ),
    "app_load_file": text(
        r"(?:/.+)?", "the absolute path of a file, or empty", example='"{{ app_source_dir }}/load.json"'
    ),
    "app_cpu": whole(1, example=256),
    "app_memory": whole(1, example=512),
    "app_cpu_architecture": one_of("X86_64", "ARM64"),
    "app_min_tasks": whole(1, example=2),
    "app_max_tasks": whole(1, example=4),
    "app_scheduled_scaling": flag(),
    "app_peak_min_tasks": whole(1, example=3),
    "app_peak_max_tasks": whole(1, example=4),
    "app_peak_starts_at": text(r"(?:[01]\d|2[0-3]):[0-5]\d", "HH:MM in quotes", example='"22:30"'),
    "app_peak_ends_at": text(r"(?:[01]\d|2[0-3]):[0-5]\d", "HH:MM in quotes", example='"22:30"'),
    "app_scaling_timezone": Kind(_time_zone, "the name of an IANA time zone", "Asia/Seoul"),
    "app_health_check_grace_period_seconds": whole(0, 2147483647, example=60),
    "app_deployment_maximum_percent": whole(101, 200, example=200),
    "app_execute_command": flag(),
    "app_workers": whole(1, example=2),
    "app_pool_size": _replaced(whole(1, example=5), f"a whole number, 1 or more {_POOL}"),
    "app_max_overflow": _replaced(whole(0, example=5), f"a whole number, 0 or more {_POOL}"),
    "app_environment": mapping("a map of variables", example="{LOG_LEVEL: INFO}"),
    "app_locks": list_of(
        text(r"[^\s/]+", "the name of a file", example="requirements.txt"), "a list of files beside the Dockerfile"
    ),
    "app_plain_environment": list_of(_ANY_TEXT, "a list of names"),
    "app_secrets": mapping("a map of variables", example="{PGPASSWORD: password}"),
    "app_secret_arns": list_of(
        text(
            r"arn:[a-z-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:[^*?:]+",
            "the full ARN of a secret",
            example="arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:storefront/slack-AbCdEf",
        ),
        "a list of full ARNs of secrets, each without wildcard, JSON key, stage or version",
    ),
    "secret_recovery_window_days": one_of(0, *range(7, 31)),
    "log_retention_days": one_of(
        *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
    ),
    "image_findings_gate": flag(),
    "image_findings_exceptions": list_of(
        Kind(_exception, _EXCEPTION.must_be, _EXCEPTION.example),
        "a list of exceptions, each with id, either package or digest, until (a day) and reason",
    ),
    # network.yml
    "network_vpc_cidr": network(16, 24, "an IPv4 range from /16 to /24 with no host bits set", example="10.0.0.0/18"),
    "network_availability_zones": mapping(
        "a map of zones, each with the ranges of its subnets",
        example="{ap-northeast-2a: {public: 10.0.8.0/24, private: 10.0.1.0/24, database: 10.0.4.0/24}, …}",
    ),
    "network_nat_gateways": one_of("single", "per_az"),
    "network_flow_logs": flag(),
    "network_client_cidrs": list_of(
        network(0, 32, "an IPv4 range", example="203.0.113.0/24"),
        "a list of one IPv4 range or more, with no host bits set",
        at_least=1,
    ),
    "network_proxy_cidrs": list_of(
        network(0, 32, "an IPv4 range", example="10.0.0.0/18"), "a list of IPv4 ranges with no host bits set"
    ),
    "network_allow_plain_http": flag(),
    "vpc_endpoints_enabled": flag(),
    "vpc_endpoint_services": list_of(
        one_of("ecr.api", "ecr.dkr", "logs", "secretsmanager", "ssmmessages"),
        "a list of ecr.api, ecr.dkr, logs, secretsmanager and ssmmessages",
    ),
    "https_certificate_arn": optional(
        text(
            r"arn:[a-z-]+:acm:[a-z0-9-]+:\d{12}:certificate/.+",
            "the ARN of an ACM certificate",
            example="arn:aws:acm:ap-northeast-2:123456789012:certificate/12345678-1234-1234-1234-123456789012",
        )
    ),
    "https_hosted_zone_id": optional(
        text(r"Z[A-Z0-9]+", "the ID of a Route 53 hosted zone", example="Z0123456789ABCDEFGHIJ")
    ),
    "https_domain_name": optional(
        text(
            r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}",
            "a full domain name in lower case with no dot at its end",
            example="storefront.example.com",
        )
    ),
    "public_url": optional(
        text(r"https?://[^/\s]+", "an address without a path", example="https://storefront.example.com")
    ),
    "public_url_authority": optional(
        text(r"/.+", "the absolute path of a PEM file", example="/etc/ssl/certs/company-ca.pem")
    ),
    "alb_internal": flag(),
    "service_verify_from": one_of("public", "targets"),
    "alb_access_logs": flag(),
    "alb_access_logs_retention_days": whole(1, example=90),
    # database.yml
    "app_database": flag(),
    "database_name": text(
        r"[a-z][a-z0-9_]{0,62}",
        "1 to 63 lower-case letters, digits and underscores, a letter first",
        example="storefront",
    ),
    "database_engine_version": whole(14, 19, example=17),
    "database_instance_class": text(r"db\.[a-z0-9]+\.[a-z0-9]+", "a class of RDS", example="db.t4g.medium"),
    "database_free_memory_minimum_mb": number(0, example=200),
    "database_allocated_storage_gb": whole(20, 65536, example=20),
    "database_max_allocated_storage_gb": whole(21, 65536, example=100),
    "database_max_connections": whole(6, 8388607, example=210),
    "database_slow_query_milliseconds": whole(1, 2147483647, example=3000),
    "database_multi_az": flag(),
    "database_backup_retention_days": whole(1, 35, example=7),
    "database_apply_immediately": flag(),
    "database_skip_final_snapshot": flag(),
    "database_restores": mapping("a map that make restore writes", example="{}"),
    "database_serving": _ANY_TEXT,
    "deletion_protection": flag(),
    "rds_proxy_enabled": flag(),
    "rds_proxy_direct_access": flag(),
    "rds_proxy_max_connections_percent": whole(1, 100, example=75),
    "rds_proxy_max_idle_connections_percent": whole(0, 100, example=25),
    "ecs_release_through_proxy": with_default(flag(), True),
    # releases
    "release_strategy": one_of("rolling", "blue_green", "canary", "linear"),
    # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CanaryConfiguration.html
    "release_canary_percent": tenths(0.1, 100, example=10),
    "release_canary_minutes": whole(0, 1440, example=5),
    # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LinearConfiguration.html
    "release_step_percent": tenths(3, 100, example=20),
    "release_step_minutes": whole(0, 1440, example=5),
    "release_bake_minutes": whole(0, 1440, example=5),
    "release_pause": flag(),
    "release_pause_minutes": whole(1, 20160, example=60),
    "release_test_header": mapping(
        "the name and the value of a header",
        example='{name: X-Release-Test, value: "1"}',
        name=text(r"[A-Za-z0-9-]{1,40}", "letters, digits and hyphens", example="X-Release-Test"),
        value=text(r"[A-Za-z0-9._-]{1,128}", "letters, digits, points, hyphens and underscores", example="1"),
    ),
    "release_smoke_checks": list_of(
        mapping(
            "a path, and the status and JSON of its answer",
            example="{path: /healthz, status: 200}",
            path=text(r"/[^\s#]*", "a path that begins with a slash", example="/healthz"),
            status=with_default(whole(100, 599, example=200), 200),
            json=with_default(mapping("a map", example="{status: ok}"), {}),
        ),
        "a list of requests with what is expected of their answers",
    ),
    "release_gate_error_percent": whole(1, 100, example=5),
    "release_gate_p99_seconds": number(0, example=2),
    # monitoring.yml, notifications.yml
    "container_insights": one_of("enhanced", "enabled", "disabled"),
    "error_rate_minimum_requests": whole(2, example=20),
    "deployment_alarms": list_of(
        one_of("error-rate", "errors-5xx", "no-healthy-targets"),
        "a list of error-rate, errors-5xx and no-healthy-targets",
    ),
    "notification_emails": mapping(
        "e-mail addresses by urgency",
        example="{urgent: [on-call@example.com], warning: []}",
        urgent=with_default(_EMAILS, []),
        warning=with_default(_EMAILS, []),
    ),
    "notifications_required": flag(),
    "notifications_slack": flag(),
    "query_bot_window_seconds": whole(1, 604800, example=3600),
    "query_bot_redact_literals": flag(),
    # account.yml, github.yml
    "detection_enabled": flag(),
    "detection_resource_types": list_of(
        text(r"AWS::[A-Za-z0-9]+::[A-Za-z0-9]+", "a type of AWS Config", example="AWS::S3::Bucket"),
        "a list of one type of AWS Config or more",
        at_least=1,
    ),
    "detection_required_tags": list_of(
        text(r"[^,]{1,128}", "a tag's key without a comma", example="Application"),
        "a list of tags' keys without a comma",
    ),
    "ecr_untagged_retention_days": whole(1, example=14),
    "account_home_region": text(r"[a-z]{2}(?:-[a-z]+)+-\d", "the code of an AWS region", example="ap-northeast-2"),
    "budget_monthly_usd": optional(number(0, example=400)),
    "cost_anomaly_enabled": flag(),
    "cost_anomaly_minimum_usd": number(0, including=True, example=20),
    "github_repository": optional(
        text(
            r"[A-Za-z0-9](?:-?[A-Za-z0-9])*/[A-Za-z0-9._-]+",
            "owner/name in GitHub's spelling",
            example="example/storefront",
        )
    ),
    "github_owner_id": _GITHUB_NUMBER,
    "github_repository_id": _GITHUB_NUMBER,
    "github_names_trusted": flag(),
    "github_environments": list_of(_NAME, "a list of names of environments"),
    # Derived by the playbooks and this role.
    "state_bucket": _ANY_TEXT,
    "config_delivery_bucket": _ANY_TEXT,
    "image_registry": text(
        r"\S+", "the address of a registry", example="123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"
    ),
    "preflight_inventory_dir": _ANY_TEXT,
}
