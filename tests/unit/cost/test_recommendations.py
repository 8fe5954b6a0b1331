"""Order and total of recommendations."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from fargate_ops.cost.money import cents, percent, usd
from fargate_ops.cost.prices import Prices
from fargate_ops.cost.recommendations import REMOVAL, Recommendation, rank, total_saving
from fargate_ops.cost.spending import Month


def recommendation(arn: str, aspect: str, saving: Decimal | None) -> Recommendation:
    return Recommendation(
        account="1",
        region="r",
        kind=aspect,
        source="s",
        resource=arn,
        arn=arn,
        problem="p",
        command="c",
        aspect=aspect,
        saving=saving,
    )


AMOUNTS = st.none() | st.decimals("0.00", "999999.99", places=2)
RECOMMENDATIONS = st.lists(
    st.builds(recommendation, st.sampled_from("abc"), st.sampled_from([REMOVAL, "size", "storage"]), AMOUNTS),
    max_size=12,
)


@given(RECOMMENDATIONS)
@settings(max_examples=200)
def test_the_largest_comes_first_and_each_dollar_counts_once(recommendations: list[Recommendation]) -> None:
    ranked = rank(recommendations)
    savings = [item.saving for item in ranked]
    known = [saving for saving in savings if saving is not None]
    assert known == sorted(known, reverse=True)
    assert savings == known + [None] * (len(savings) - len(known))
    assert len(ranked) == len(recommendations)
    assert total_saving(ranked) == sum((best(recommendations, arn) for arn in "abc"), Decimal(0))


def best(recommendations: list[Recommendation], arn: str) -> Decimal:
    """Return the largest possible saving of one resource: remove it, or change each aspect of it once."""
    savings = {(one.arn, one.aspect): Decimal(0) for one in recommendations} | dict.fromkeys(
        ((arn, aspect) for aspect in (REMOVAL, "size", "storage")), Decimal(0)
    )
    for one in recommendations:
        savings[one.arn, one.aspect] = max(savings[one.arn, one.aspect], one.saving or Decimal(0))
    return max(savings[arn, REMOVAL], savings[arn, "size"] + savings[arn, "storage"])


@given(RECOMMENDATIONS, st.randoms())
@settings(max_examples=50)
def test_the_order_in_which_aws_answers_does_not_matter(recommendations: list[Recommendation], random: object) -> None:
    shuffled = list(recommendations)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert total_saving(rank(shuffled)) == total_saving(rank(recommendations))
    assert [item.saving for item in rank(shuffled)] == [item.saving for item in rank(recommendations)]


def test_a_month_of_the_surcharge_is_360_usd_of_any_hour_price() -> None:
    assert Prices.of("ap-northeast-2", {}).hourly("eks_extended_hour") == 360
    assert (
        Prices.of("ap-northeast-2", {"ap-northeast-2": {"eks_extended_hour": "0.7"}}).hourly("eks_extended_hour") == 504
    )


def test_a_price_that_is_not_known_is_not_guessed() -> None:
    assert Prices.of("eu-west-1", {}).hourly("nat_gateway_hour") is None


def test_money_is_rounded_once_half_up() -> None:
    assert cents(Decimal("0.005")) == Decimal("0.01")
    assert usd(Decimal("1234.565")) == "1,234.57"
    assert percent(Decimal(1), Decimal(0)) is None
    assert percent(Decimal("1377.51"), Decimal(930)) == Decimal("48.1")


def test_the_same_days_of_a_shorter_month() -> None:
    month = Month(date(2027, 3, 31))
    assert (month.elapsed, month.days, month.days_before) == (30, 31, 28)
    assert (month.before, month.same_days_end, month.end) == (date(2027, 2, 1), date(2027, 3, 1), date(2027, 4, 1))
    assert Month(date(2027, 1, 5)).before == date(2026, 12, 1)
