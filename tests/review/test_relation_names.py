import pytest

from pgyoyo.review.relation_names import is_called


@pytest.mark.parametrize(
    ("name", "called", "is_so"),
    [
        ('"Seq"', '"Seq"', True), ('"Seq"', 'public."Seq"', False), ('app."Seq"', '"Seq"', True),
        ('app."Seq"', 'APP . "Seq"', True), ('app."Seq"', ' "app"."Seq" ', True), ('"Seq"', "Seq", False),
        ("seq", "SEQ", True), ("seq", '"SEQ"', False), ("app.seq", "other.seq", False), ('"a.b"', '"a.b"', True),
        ('"a.b"', "a.b", False), ('"a""b"', '"a""b"', True), ("seq", "", False),
    ],
)  # fmt: skip
def test_text_means_a_relation_as_the_server_reads_it(name: str, called: str, is_so: bool) -> None:
    assert is_called(name, called) is is_so
