import pytest

from roles.local_cloud.cloud.log_pattern import PatternError, compile_pattern

LINE = "2026-01-31 14:00:00 UTC:10.0.1.7(51234):app@settlement:[42]:LOG:  duration: 3000.000 ms  statement: SELECT 1"


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("", True),
        ('"duration:"', True),
        ('"LOG:  duration:"', True),
        ('"LOG: duration:"', False),  # a phrase has as many spaces as it has
        ("LOG duration", True),
        ("duration LOG", True),
        ("log", False),  # case counts
        ("LOG ERROR", False),
        ("?ERROR ?LOG", True),
        ("?ERROR ?FATAL", False),
        ("LOG -statement", False),
        ("LOG -execute", True),
        ('-"SELECT 1"', False),
        (r"%duration: \d{4,}\.%", True),
        (r"%duration: \d{5,}\.%", False),
        (r'"a \"quoted\" word"', False),
    ],
)
def test_matches_as_documented(pattern: str, matches: bool) -> None:
    assert compile_pattern(pattern)(LINE) is matches


@pytest.mark.parametrize("pattern", ["duration:", '"open', '{ $.level = "ERROR" }', "[ip, user]", "a,b"])
def test_what_aws_refuses_or_is_not_emulated_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_pattern(pattern)
