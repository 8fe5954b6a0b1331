from __future__ import annotations

from dataclasses import replace

import pytest

from roles.preflight.python.inventory import FARGATE_SIZES, SUBNETS, Inventory, Pool, check

GOOD = Inventory(
    app_name="settlement",
    env_name="staging",
    directory="/project/inventory/staging",
    region="ap-northeast-2",
    account_id="222222222222",
    public_url="https://settlement.example.com",
    vpc_cidr="10.0.0.0/18",
    availability_zones={
        "ap-northeast-2a": {"public": "10.0.8.0/24", "private": "10.0.1.0/24", "database": "10.0.4.0/24"},
        "ap-northeast-2b": {"public": "10.0.9.0/24", "private": "10.0.2.0/24", "database": "10.0.5.0/24"},
        "ap-northeast-2c": {"public": "10.0.10.0/24", "private": "10.0.3.0/24", "database": "10.0.6.0/24"},
    },
    cpu=256,
    memory=512,
    environment={"LOG_LEVEL": "INFO", "WEB_CONCURRENCY": 2},
    secrets={
        "DATABASE_PASSWORD": "password",
        "TOKEN": "arn:aws:secretsmanager:ap-northeast-2:222222222222:secret:x-AbCdEf:token::",
    },
    pool=Pool(
        max_tasks=4,
        peak_max_tasks=4,
        maximum_percent=200,
        workers=2,
        pool_size=5,
        max_overflow=5,
        max_connections=210,
    ),
)


def problems(inventory: Inventory) -> list[str]:
    return [problem.what for problem in check(inventory).problems]


def with_blocks(zone: str, **blocks: object) -> Inventory:
    """GOOD with other blocks in this zone."""
    zones = GOOD.availability_zones
    return replace(GOOD, availability_zones={**zones, zone: {**zones[zone], **blocks}})


def with_zone(zone: str, blocks: object) -> Inventory:
    """GOOD with this zone put in place of its first."""
    _first, *others = GOOD.availability_zones.items()
    return replace(GOOD, availability_zones={zone: blocks, **dict(others)})


def test_a_good_inventory_is_summed_up() -> None:
    finding = check(GOOD)
    assert (finding.status, finding.problems) == ("OK", ())
    assert finding.summary == "9 subnets in 10.0.0.0/18, at most 165 of 210 database connections"
    assert problems(replace(GOOD, public_url="")) == []


def test_all_problems_are_found_at_once() -> None:
    bad = replace(GOOD, account_id="222", region="seoul", memory=700)
    finding = check(bad)
    assert finding.status == "NG"
    assert len(finding.problems) == 2 + 3 + 1  # two names, three zones of a region that is none, one size
    assert finding.summary == "6 values to correct"


@pytest.mark.parametrize(
    ("inventory", "what"),
    [
        (replace(GOOD, directory="/project/inventory/production/"), "in the folder production calls itself staging"),
        (replace(GOOD, app_name="Settlement"), "app_name is 'Settlement'"),
        (replace(GOOD, account_id="0"), "aws_account_id is '0'"),
        (replace(GOOD, public_url="settlement.example.com"), "public_url is 'settlement.example.com'"),
        (replace(GOOD, public_url="https://example.com/path"), "not an address without a path"),
        (
            with_zone("us-east-1a", GOOD.availability_zones["ap-northeast-2a"]),
            "us-east-1a is no zone of ap-northeast-2",
        ),
        (with_zone("ap-northeast-2a", None), "ap-northeast-2a has not exactly one block for each kind of subnet"),
        (with_zone("ap-northeast-2a", {"public": "10.0.8.0/24"}), "each kind of subnet: public, private, database"),
        (with_blocks("ap-northeast-2a", spare="10.0.12.0/24"), "has not exactly one block"),
        (replace(GOOD, vpc_cidr="10.0.0.1/18"), "'10.0.0.1/18' is no block"),
        (with_blocks("ap-northeast-2a", public="10.0.8.0/29"), "'10.0.8.0/29' is no block"),
        (with_blocks("ap-northeast-2a", public=None), "None is no block"),
        (with_blocks("ap-northeast-2a", public="10.1.8.0/24"), "10.1.8.0/24 (public) lies outside"),
        (replace(GOOD, cpu=300), "Fargate has no 300 CPU units"),
        (replace(GOOD, cpu=1024), "Fargate has no 512 MiB with 1024 CPU units"),
        (replace(GOOD, environment={"1ST": "x"}), "'1ST' cannot be a variable's name"),
        (replace(GOOD, environment={"DEBUG": True}), "The value of DEBUG is neither text nor a number"),
        (replace(GOOD, environment={"A": None}), "The value of A is neither text nor a number"),
        (replace(GOOD, environment={"SMTP_PASSWORD": "x"}), "SMTP_PASSWORD looks like a secret"),
        (replace(GOOD, environment={"A": "x"}, secrets={"A": "key"}), "A is in both"),
        (replace(GOOD, secrets={"A": "two words"}), "The value of A names no secret"),
        (replace(GOOD, secrets={"A": 1}), "The value of A names no secret"),
    ],
)
def test_each_problem_is_named(inventory: Inventory, what: str) -> None:
    found = problems(inventory)
    assert len(found) == 1
    assert what in found[0]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_any_number_of_zones_from_two_on(count: int) -> None:
    zones = {
        f"ap-northeast-2{letter}": {kind: f"10.0.{10 * number + place}.0/24" for place, kind in enumerate(SUBNETS)}
        for number, letter in enumerate("abcd"[:count])
    }
    assert problems(replace(GOOD, availability_zones=zones)) == []


def test_one_zone_is_too_few() -> None:
    one = dict(list(GOOD.availability_zones.items())[:1])
    assert problems(replace(GOOD, availability_zones=one)) == [
        "There is one zone; the load balancer and the database need two."
    ]


def test_overlapping_subnets_are_named_with_a_block_that_is_free() -> None:
    finding = check(with_blocks("ap-northeast-2b", public="10.0.1.128/25"))
    assert finding.problems[0].what == (
        "The subnets 10.0.1.0/24 (ap-northeast-2a, private) and 10.0.1.128/25 (ap-northeast-2b, public) overlap."
    )
    assert "10.0.0.0/24 is free" in finding.problems[0].next_step


@pytest.mark.parametrize("vpc", ["10.0.0.0/23", "10.0.0.0/25", "broken"])
def test_without_a_free_block_the_rule_is_told(vpc: str) -> None:
    blocks = {"public": "10.0.0.0/24", "private": "10.0.0.0/24", "database": "10.0.1.0/24"}
    full = replace(GOOD, vpc_cidr=vpc, availability_zones={"ap-northeast-2a": blocks})
    overlap = next(problem for problem in check(full).problems if "overlap" in problem.what)
    assert "no two may share an address" in overlap.next_step


def test_the_pool_budget_counts_a_rolling_update() -> None:
    # 4 tasks x 200 % x 2 workers x 10 + 5 = 165; 80 % of 206 is 164.8
    finding = check(replace(GOOD, pool=replace(GOOD.pool, max_connections=206)))
    assert "165 database connections, and 164 is 80 %" in finding.problems[0].what
    assert "raise database_max_connections to 207" in finding.problems[0].next_step
    assert problems(replace(GOOD, pool=replace(GOOD.pool, max_connections=207))) == []
    assert problems(replace(GOOD, pool=replace(GOOD.pool, maximum_percent=150, max_connections=157))) == []


def test_behind_a_proxy_its_limit_is_the_budget() -> None:
    few = replace(GOOD.pool, max_connections=206, proxy_percent=75)
    assert check(replace(GOOD, pool=few)).summary.endswith("at most 159 of 206 database connections")
    assert "The tasks could ask for 165" in problems(replace(GOOD, pool=replace(few, direct_access=True)))[0]
    # 78 % of 210 are 163, and 5; 80 % are 168: the last that fits.
    assert problems(replace(GOOD, pool=replace(GOOD.pool, proxy_percent=78))) == []
    (found,) = check(replace(GOOD, pool=replace(GOOD.pool, proxy_percent=79))).problems
    assert found.what.startswith("The proxy could hold 170 database connections, and 168 is 80 % of what it has: 79 %")


def test_the_pool_budget_counts_the_months_end() -> None:
    finding = check(replace(GOOD, pool=replace(GOOD.pool, peak_max_tasks=6)))
    assert "245 database connections" in finding.problems[0].what
    assert "6 tasks at 200 %" in finding.problems[0].what
    assert problems(replace(GOOD, pool=replace(GOOD.pool, peak_max_tasks=0))) == []


def test_fargates_sizes() -> None:
    assert {cpu: (memory[0], memory[-1], len(memory)) for cpu, memory in FARGATE_SIZES.items()} == {
        256: (512, 2048, 3),
        512: (1024, 4096, 4),
        1024: (2048, 8192, 7),
        2048: (4096, 16384, 13),
        4096: (8192, 30720, 23),
        8192: (16384, 61440, 12),
        16384: (32768, 122880, 12),
    }
