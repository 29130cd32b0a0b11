"""The compiled reader: what it takes, what it declines, and that nothing makes it fail."""

from __future__ import annotations

import contextlib
import gc
import re
import sys
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.pubmed.regular import COMPILED
from evidence.pubmed.regular_text import ATTRIBUTES, Irregular, parsed
from evidence.pubmed.xml_text import text as text_of
from evidence.pubmed.xml_text import tree

if not COMPILED:
    pytest.skip("no C compiler when the package was installed", allow_module_level=True)

from evidence.pubmed._shapes import PARTS, TEXT, WHOLE, Shape
from tests.full_record import FULL

NOTHING_SAID: dict[str, Any] = {
    "slots": (0,),
    "many": False,
    "required": False,
    "known": None,
    "given": None,
    "given_slots": (-1,),
    "usual": None,
    "exact": None,
    "made": None,
    "defaults": (),
    "text": -1,
    "place": -1,
    "needs": -1,
}


def shape(name: str, content: int, *parts: Shape, **more: Any) -> Shape:
    return Shape(name=name.encode(), content=content, parts=parts, **{**NOTHING_SAID, **more})


def around(*parts: Shape, defaults: tuple[Any, ...], **more: Any) -> Shape:
    return shape("x", PARTS, *parts, made=tuple, defaults=defaults, **more)


def no_markup(text: str) -> str:
    raise AssertionError(text)


def markup(text: str) -> str:
    return text_of(parsed(f"<t>{text}</t>"))


class Pair(NamedTuple):
    first: str
    second: str = "none"


# --- what goes where -------------------------------------------------------------------------


def test_parts_go_to_their_slots_in_any_order_and_defaults_to_the_others():
    found = around(
        shape("a", TEXT),
        shape("b", TEXT, slots=(1,)),
        shape("c", TEXT, slots=(2,)),
        defaults=(*"ABC",),
    )
    assert found.read(b"<x><b>2</b>\n  <a>1</a></x>", no_markup) == ("1", "2", "C")
    assert found.read(b"  <x/>\n", no_markup) == ("A", "B", "C")
    assert found.read(b"<x><a></a><b/><c> \n </c></x>", no_markup) == ("A", "B", "C")


def test_one_that_may_be_there_once_is_not_taken_twice():
    found = around(shape("a", TEXT), defaults=("",))
    assert found.read(b"<x><a>1</a></x>", no_markup) == ("1",)
    assert found.read(b"<x><a>1</a><a>2</a></x>", no_markup) is None
    assert found.read(b"<x><a></a><a>2</a></x>", no_markup) is None


def test_many_are_collected_and_numbered_and_those_without_what_they_need_left_out():
    each = shape(
        "a",
        PARTS,
        shape("t", TEXT),
        many=True,
        made=tuple,
        defaults=("", 0),
        needs=0,
        place=1,
    )
    found = around(each, defaults=((),))
    text = b"<x><a><t>p</t></a><a/><a><t> </t></a><a><t>q</t></a></x>"
    assert found.read(text, no_markup) == ((("p", 1), ("q", 2)),)
    assert found.read(b"<x></x>", no_markup) == ((),)


def test_a_part_without_a_tuple_of_its_own_gives_its_parts_to_what_is_around():
    inner = shape("g", PARTS, shape("a", TEXT, many=True), many=True)
    found = around(inner, defaults=((),))
    assert found.read(b"<x><g><a>1</a><a>2</a></g><g><a>3</a></g></x>", no_markup) == (
        ("1", "2", "3"),
    )


def test_the_tuple_is_of_the_kind_asked_for():
    kind = shape("x", TEXT, made=Pair, defaults=("", "none"), text=0)
    found = kind.read(b"<x>words</x>", no_markup)
    assert type(found) is Pair
    assert found == Pair("words")


def test_attributes_are_looked_up_as_they_are_written():
    given = {' k="1"': "one", "": "nothing"}
    found = shape(
        "x",
        TEXT,
        given=given,
        given_slots=(0,),
        usual=b' k="u"',
        made=tuple,
        defaults=("usual", ""),
        text=1,
    )
    assert found.read(b'<x k="1">t</x>', no_markup) == ("one", "t")
    assert found.read(b'<x k="u">t</x>', no_markup) == ("usual", "t")
    assert found.read(b'<x k="1"/>', no_markup) == ("one", "")
    assert found.read(b"<x>t</x>", no_markup) == ("nothing", "t")
    with pytest.raises(KeyError):
        found.read(b'<x k="2">t</x>', no_markup)
    assert (
        around(shape("a", TEXT), defaults=("",)).read(b'<x><a k="1">t</a></x>', no_markup) is None
    )


def test_a_value_is_spread_on_several_slots():
    known = {"<a>1</a>": ("one", 1), "<a>2</a>": ("two", 2)}
    each = shape("a", WHOLE, slots=(0, 1), many=True, known=known)
    found = around(each, defaults=((), ()))
    assert found.read(b"<x><a>1</a> <a>2</a></x>", no_markup) == (("one", "two"), (1, 2))
    known["<a>3</a>"] = ("three",)  # type: ignore[assignment]
    with pytest.raises(TypeError, match="as many"):
        found.read(b"<x><a>3</a></x>", no_markup)


def test_a_whole_element_is_looked_up_or_given_as_text():
    found = around(shape("a", WHOLE), defaults=("",))
    assert found.read(b'<x><a k="1"><b/>\xc3\xa9</a></x>', no_markup) == ('<a k="1"><b/>é</a>',)
    assert found.read(b"<x><a/></x>", no_markup) is None


def test_attributes_may_make_a_shape_and_the_first_of_them_takes_the_place():
    found = around(
        shape("i", TEXT, exact=b' k="a"'),
        shape("i", TEXT, exact=b' k="b"', slots=(1,)),
        shape(
            "i",
            TEXT,
            many=True,
            given=ATTRIBUTES,
            slots=(2,),
            given_slots=(0,),
            made=tuple,
            defaults=("", ""),
            text=1,
        ),
        defaults=(None, None, ()),
    )
    text = b'<x><i k="b">1</i><i k="a">2</i><i k="b">3</i><i k="c">4</i></x>'
    assert found.read(text, no_markup) == ("2", "1", (({"k": "b"}, "3"), ({"k": "c"}, "4")))


def test_what_is_required_must_be_there():
    found = around(shape("a", TEXT, required=True), shape("b", TEXT, slots=(1,)), defaults=("", ""))
    assert found.read(b"<x><b>1</b><a/></x>", no_markup) == ("", "1")
    assert found.read(b"<x><b>1</b></x>", no_markup) is None
    assert found.read(b"<x/>", no_markup) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<",
        "<x",
        "<x>",
        "<x></x",
        "<x></y>",
        "<x></x><x></x>",
        "<x></x>y",
        "y<x></x>",
        "<xx></xx>",
        "<x>y</x>",
        "<x><b>1</b></x>",
        "<x><aa>1</aa></x>",
        "<x><a>1</ a></x>",
        "<x><a>1</a ></x>",
        "<x><!-- a --></x>",
        "<x><![CDATA[1]]></x>",
        "<x><?xml version='1.0'?></x>",
        "<x><?Name?></x>",
        "<x><?a <b?></x>",
        "<x><a>1]]></a></x>",
        "<x><a>&nbsp;</a></x>",
        "<x><a>&amp</a></x>",
        "<x><a>&#0;</a></x>",
        "<x><a>&#10;</a></x>",
        "<x><a>&#xD800;</a></x>",
        "<x><a>&#xFFFE;</a></x>",
        "<x><a>&#x110000;</a></x>",
        "<x><a>&#99999999;</a></x>",
        "<x><a>&#x1000000;</a></x>",
        "<x><a>&#;</a></x>",
        "<x><a>&#x;</a></x>",
        "<x><a>\t</a></x>",
        "<x><a>\r\n</a></x>",
        "<x><a>\0</a></x>",
        "<x><a>\x1f</a></x>",
        "<x><a>\ufffe</a></x>",
        "<x><a>\uffff</a></x>",
    ],
)
def test_what_has_another_shape_is_declined(text):
    assert around(shape("a", TEXT), defaults=("",)).read(text.encode(), no_markup) is None


def test_instructions_between_elements_say_nothing():
    found = around(shape("a", TEXT), defaults=("",))
    assert found.read(b"<x><?some one?> <a>1</a><?other?></x>", no_markup) == ("1",)


def test_bytes_that_are_no_utf_8_are_an_error_wherever_they_are_read():
    found = around(shape("a", TEXT), shape("w", WHOLE, slots=(1,)), defaults=("", ""))
    for text in (b"<x><a>\xff</a></x>", b"<x><a>\xc3  </a></x>", b"<x><w>\xed\xa0\x80</w></x>"):
        with pytest.raises(UnicodeDecodeError):
            found.read(text, no_markup)


# --- texts -----------------------------------------------------------------------------------

MARKUP = (
    *("a", " ", "  ", "\n", "é", "–", "\u00a0", "😀", "<", ">", "&", ";", "]]>"),
    *("&lt;", "&amp;", "&quot;", "&apos;", "&#x2009;", "&#65;", "&#32;", "&#x1F600;"),
    *("<i>", "</i>", "<sup>", "</sup>", "<sub>", "</sub>", "<b>", "</b>", "<u>", "</u>"),
    *("<mml:mi>", "</mml:mi>", "<b/>", "<i >"),
)
WORDS = shape("t", TEXT, made=tuple, defaults=("",), text=0)


@given(st.lists(st.sampled_from(MARKUP), max_size=12).map("".join))
def test_a_text_is_as_the_parser_gives_it_or_declined(raw):
    written = f"<t>{raw}</t>".encode()
    try:
        found = WORDS.read(written, markup)
    except Irregular:
        return
    if found is not None:
        assert found == (text_of(tree(written)),)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=700))
def test_any_text_that_is_escaped_is_read(text):
    raw = text.translate({ord(c): f"&#{ord(c)};" for c in "<>&\ufffe\uffff"})
    if "&#65534;" in raw or "&#65535;" in raw:
        return
    squeezed = re.sub(" +", " ", text).strip(" ")
    assert WORDS.read(f"<t>{raw}</t>".encode(), no_markup) == (squeezed,)


def test_usual_markup_needs_no_parser_and_other_markup_is_given_to_it_as_it_stands():
    nested = "<i>" * 16 + "x" + "</i>" * 16
    for raw, text in (
        ("H<sub>2</sub>O", "H2O"),
        ("<i> a </i> <b>b</b>", "a b"),
        ("&lt;<i>p</i> &#x3c; .05", "<p < .05"),
        (nested, "x"),
    ):
        assert WORDS.read(f"<t>{raw}</t>".encode(), no_markup) == (text,)
    asked = []

    def other(text: str) -> str:
        asked.append(text)
        return "said"

    for raw in (
        " <mml:mi>x</mml:mi> ",
        "<i>x",
        "</i>",
        "<i><b>x</i></b>",
        f"<i>{nested}</i>",
        "<i/>",
    ):
        assert WORDS.read(f"<t>{raw}</t>".encode(), other) == ("said",)
        assert asked.pop() == raw
    assert WORDS.read(b"<t>&<i>amp;</i></t>", no_markup) is None  # what stood apart is no reference


def test_what_is_raised_on_the_way_reaches_who_asked():
    def fault(text: str) -> str:
        raise LookupError(text)

    with pytest.raises(LookupError, match="<q/>"):
        WORDS.read(b"<t><q/></t>", fault)
    with pytest.raises(TypeError, match="must give a text"):
        WORDS.read(b"<t><q/></t>", lambda text: 1)  # type: ignore[arg-type,return-value]


# --- nothing makes it fail -------------------------------------------------------------------


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_declined(data):
    found = around(
        shape("a", TEXT, many=True), shape("w", WHOLE, slots=(1,), many=True), defaults=((), ())
    )
    for text in (
        data,
        b"<x><a>" + data,
        b"<x><w " + data + b"</w></x>",
        b"<x><a>" + data + b"</a></x>",
    ):
        try:
            read = found.read(text, lambda text: text)
        except UnicodeDecodeError:
            continue
        assert read is None or len(read) == 2


def test_a_record_that_ends_anywhere_is_declined():
    from evidence.pubmed.shapes import ARTICLE

    whole = FULL.strip().encode()
    assert ARTICLE.read(whole, markup) is not None
    for end in range(len(whole)):
        with contextlib.suppress(Irregular, UnicodeDecodeError):
            assert ARTICLE.read(whole[:end], markup) is None


def test_reading_keeps_nothing():
    """Not of what is read, nor of what is declined or fails on the way."""
    from evidence.pubmed.shapes import ARTICLE

    whole = FULL.strip().encode()
    texts = [whole, whole[:-20], whole.replace(b"</Title>", b"</Title><x/>", 1)]
    texts += [whole[:end] for end in range(0, len(whole), 97)]

    def read_all() -> None:
        for text in texts:
            with contextlib.suppress(Irregular, UnicodeDecodeError):
                ARTICLE.read(text, markup)

    def held() -> int:
        gc.collect()
        return sys.getallocatedblocks()

    for _ in range(3):  # what is looked up is kept
        read_all()
    before = held()
    for _ in range(20):
        read_all()
    assert held() - before < 100


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"slots": ()}, "1 to 64 slots"),
        ({"slots": (64,)}, "-1 to 63"),
        ({"slots": (-2,)}, "-1 to 63"),
        ({"content": 3}, "TEXT, WHOLE or PARTS"),
        ({"content": -1}, "TEXT, WHOLE or PARTS"),
        ({"name": b""}, "needs a name"),
        ({"made": str}, "kind of tuple"),
        ({"made": tuple, "text": 0}, "more slots"),
        ({"made": tuple, "needs": 0}, "more slots"),
        ({"made": tuple, "given_slots": (0,)}, "more slots"),
        ({"made": tuple, "defaults": ("",) * 65}, "more slots"),
        ({"made": tuple, "slots": (0, 1)}, "one slot"),
        ({"made": tuple, "defaults": ("",), "place": 0}, "one of many"),
        ({"made": tuple, "parts": (shape("a", TEXT),)}, "more slots"),
        (
            {"made": tuple, "parts": (shape("g", PARTS, shape("a", TEXT), slots=(-1,)),)},
            "more slots",
        ),
        ({"parts": ("a",)}, "parts are shapes"),
        ({"parts": (shape("a", TEXT),) * 65}, "64 parts"),
    ],
)
def test_a_shape_that_would_write_outside_of_its_tuple_is_refused(more, why):
    fields = {"name": b"x", "content": PARTS, "parts": (), **NOTHING_SAID}
    with pytest.raises(ValueError, match=why):
        Shape(**{**fields, **more})


def test_a_shape_without_a_tuple_reads_nothing_by_itself():
    for other in (shape("x", TEXT), around(defaults=(), slots=(-1,))):
        with pytest.raises(TypeError, match="by itself"):
            other.read(b"<x>1</x>", no_markup)
    with pytest.raises(TypeError, match="bytes and a callable"):
        WORDS.read("<t>1</t>", no_markup)  # type: ignore[arg-type]
