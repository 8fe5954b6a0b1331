import json

import pytest

from local_cloud.cloudwatch.log_pattern import PatternError, compile_pattern

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


EVENT = json.dumps(
    {
        "level": "ERROR",
        "status": 404,
        "code": "404",
        "milliseconds": 12.5,
        "retried": True,
        "user": None,
        "path": "/v1/accounts",
        "tags": [{"name": "till 4"}],
        "cluster.name": "main",
    }
)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ('{ $.level = "ERROR" }', True),
        ("{ $.level = ERROR }", True),
        ('{$.level="ERROR"}', True),
        ('{ $.level = "error" }', False),
        ('{ $.level != "INFO" }', True),
        ('{ $.level = "ERR*" }', True),
        ('{ $.level = "ERR" }', False),
        ("{ $.path = /v1/* }", True),
        ("{ $.path = %^/v[0-9]/% }", True),
        ("{ $.path != %^/v[0-9]/% }", False),
        ("{ $.status = 404 }", True),
        ("{ $.status >= 400 && $.status < 5e2 }", True),
        ("{ $.status > 404 || $.milliseconds > 12 }", True),
        ("{ ($.status > 404 || $.status < 400) && $.level = ERROR }", False),
        ('{ $.status = "404" }', False),
        ('{ $.code = "404" }', True),
        ("{ $.retried IS TRUE }", True),
        ("{ $.retried IS FALSE }", False),
        ("{ $.user IS NULL }", True),
        ("{ $.level IS NULL }", False),
        ("{ $.user NOT EXISTS }", False),
        ("{ $.nobody NOT EXISTS }", True),
        ('{ $.nobody != "x" }', False),
        ('{ $.tags[0].name = "till 4" }', True),
        ('{ $.tags[1].name = "till 4" }', False),
        ("{ $.['cluster.name'] = \"main\" }", True),
        ('" 4"', True),
        ('"till 5"', False),
    ],
)
def test_json_matches_as_documented(pattern: str, matches: bool) -> None:
    assert compile_pattern(pattern)(EVENT) is matches


@pytest.mark.parametrize("message", ["ERROR", '["ERROR"]', "{", ""])
def test_a_json_pattern_matches_json_objects_only(message: str) -> None:
    assert not compile_pattern("{ $.level NOT EXISTS }")(message)


ACCESS = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("[ip, id, user, timestamp, request, status, bytes]", True),
        ("[ip, id, user, timestamp, request, status = 404, bytes]", True),
        ("[ip, id, user, timestamp, request, status = 4*, bytes]", True),
        ("[ip, id, user, timestamp, request =*.html*, status = 4*, bytes > 1000]", True),
        ("[ip, id, user, timestamp, request, status != 404, bytes]", False),
        ("[ip, id, user, timestamp, request, status = 500 || status = 404, bytes]", True),
        ("[..., status = %^4%, bytes]", True),
        ("[ip = 127.0.0.1, ...]", True),
        ("[ip, ..., bytes < 1000]", False),
        ("[ip, id]", False),
        ("[ip, id, user, timestamp, request, status, bytes, more]", False),
    ],
)
def test_fields_match_as_documented(pattern: str, matches: bool) -> None:
    assert compile_pattern(pattern)(ACCESS) is matches


@pytest.mark.parametrize(
    "pattern",
    [
        *("duration:", '"open', "a,b", "%(a)%", "%é%", "%a{2,1}%"),
        *(
            "{ }",
            "{ $.level }",
            "{ level = 1 }",
            "{ $.level = }",
            "{ $.level > ERROR }",
            '{ $.level = "E"',
            "{ $ = 1 }",
        ),
        *("{ $.level IS NOTHING }", "{ $.level NOT NULL }", "{ ($.a = 1 }", "{ $.a = 1 $.b = 2 }", "{ $.a = 1 } x"),
        *("[]", "[ip, ]", "[ip", "[..., ...]", "[ip user]"),
    ],
)
def test_what_aws_refuses_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_pattern(pattern)
