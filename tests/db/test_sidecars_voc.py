"""PASCAL VOC files as tools, people and enemies write them."""

import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.formats import shapes as shapes_
from db.formats.annotations import Attributes, ParsedAnnotation
from db.formats.names import LABEL, label_name
from db.formats.shapes import BoundingBox, Circle, Point, Polygon, Polyline, Position, Raster, Shape
from db.formats.sidecars import VOC, Sidecar, format_of
from db.formats.sidecars.content import GUESSED
from db.formats.sidecars.voc import MAX_BYTES, MAX_OBJECTS, parse, write
from tests.db.test_shapes import shapes
from tests.waiting import cost_ratio

CELLS = Path(__file__).parents[2] / "examples" / "cells"
BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"


EXACT = "<exact><xmin>1.5</xmin><ymin>2</ymin><xmax>29.25</xmax><ymax>40</ymax></exact>"
POLYGON = "<polygon><x1>1</x1><y1>2</y1><x2>30</x2><y2>20</y2><x3>9</x3><y3>40</y3></polygon>"


def thing(inside: str = BOX, name: str = "cat") -> str:
    return f"<object><name>{name}</name>{inside}</object>"


def file(*objects: str, size: str = "", top: str = "") -> bytes:
    """Objects a line each, the first of them in line 2."""
    return "\n".join([f"<annotation>{top}{size}", *objects, "</annotation>"]).encode()


def shape_of(inside: str) -> Shape | None:
    sidecar = parse(file(thing(inside)))
    assert sidecar.problems == ()
    assert sidecar.annotations is not None
    [mark] = sidecar.annotations
    return mark.shape


def on_image(sidecar: Sidecar, kind: str = "OBJECT_DETECTION") -> Sidecar:
    return sidecar.on(kind=kind, raster=Raster(640, 480))


def positions(*numbers: float) -> tuple[Position, ...]:
    return tuple(Position(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True))


@pytest.mark.parametrize(
    ("inside", "shape"),
    [
        (BOX, BoundingBox(1, 2, 30, 40)),
        (BOX.replace(">1<", "> 1.5\n<"), BoundingBox(1.5, 2, 30, 40)),
        (BOX.replace(">30<", ">3.0e+01<"), BoundingBox(1, 2, 30, 40)),
        ("<polygon><x1>1</x1><y1>2</y1><x2>9</x2><y2>2</y2></polygon>", Polygon(positions(1, 2, 9, 2))),
        ("<polygon><y1>2</y1><x2>9</x2><y2>2</y2><x1>1</x1></polygon>", Polygon(positions(1, 2, 9, 2))),
        ("<polyline><x1>1</x1><y1>2</y1><x2>9</x2><y2>2</y2></polyline>", Polyline(positions(1, 2, 9, 2))),
        ("<line><x1>1</x1><y1>2</y1><x2>9</x2><y2>2</y2></line>", Polyline(positions(1, 2, 9, 2))),
        ("<dashed><x1>1</x1><y1>2</y1><x2>9</x2><y2>2</y2></dashed>", Polyline(positions(1, 2, 9, 2))),
        ("<circle><cx>5</cx><cy>6</cy><r>3</r></circle>", Circle(Position(5, 6), 3)),
        ("<point><x>5</x><y>6</y></point>", Point(Position(5, 6))),
        ("<point><x1>5</x1><y1>6</y1></point>", Point(Position(5, 6))),
        (f"{BOX}<part><name>tail</name>{BOX}</part><pose>Left</pose><occluded>0</occluded>", BoundingBox(1, 2, 30, 40)),
        (f"{BOX}<point><x>5</x><y>6</y></point>", BoundingBox(1, 2, 30, 40)),
        (f"<actions><jumping>1</jumping></actions>{BOX}<point><x>5.5</x><y>6</y></point><part><name>head</name>{BOX}</part>",
         BoundingBox(1, 2, 30, 40)),
        (f"<point><x>5</x><y>6</y></point><point><x>7</x><y>6</y></point>{BOX}", BoundingBox(1, 2, 30, 40)),
        (f"{BOX}{POLYGON}", Polygon(positions(1, 2, 30, 20, 9, 40))),
        (f"{POLYGON}<point><x>5</x><y>6</y></point>{BOX}", Polygon(positions(1, 2, 30, 20, 9, 40))),
        (POLYGON.replace(">1<", ">1.6<") + BOX.replace(">30<", ">31<"), Polygon(positions(1.6, 2, 30, 20, 9, 40))),
        (("<circle><cx>5</cx><cy>6</cy><r>3</r></circle>"
         "<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>8</xmax><ymax>9</ymax></bndbox>"), Circle(Position(5, 6), 3)),
        (f"{BOX}{EXACT}", BoundingBox(1.5, 2, 29.25, 40)),
        (f"{BOX.replace('>30<', '>31<')}{EXACT}", BoundingBox(1, 2, 31, 40)),
        (f"<properties><property><key>k</key><value>v</value></property></properties>{BOX}", BoundingBox(1, 2, 30, 40)),
        (f"<mask_color>12,34,56</mask_color>{BOX}", BoundingBox(1, 2, 30, 40)),
        (f"<difficult-coefficient>0.3</difficult-coefficient><!-- no --><![CDATA[ ]]>{BOX}", BoundingBox(1, 2, 30, 40)),
    ],
)  # fmt: skip
def test_reads_every_shape_and_passes_over_the_rest(inside: str, shape: Shape) -> None:
    assert shape_of(inside) == shape


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        ("", "must have a shape"),
        (f"<part>{BOX}</part>", "must have a shape"),
        (BOX + POLYGON + POLYGON, "one shape, and this one has 3"),
        (POLYGON + "<point><x>5</x><y>6</y></point>", "one shape, and this one has 2"),
        (BOX.replace(">1<", ">4<") + POLYGON, "The `bndbox` is not that of the `polygon`"),
        (BOX + "<polygon/>", "The `bndbox` is not that of the `polygon`"),
        (BOX + BOX, "one shape, and this one has 2"),
        ("<bndbox/>", "`bndbox` has xmin, ymin, xmax, ymax; xmin is missing"),
        (BOX.replace(">30<", ">NaN<"), "`xmax` must be a number"),
        (BOX.replace(">30<", ">Infinity<"), "`xmax` must be a number"),
        (BOX.replace(">30<", ">1_0<"), "`xmax` must be a number"),
        (BOX.replace(">30<", ">３０<"), "`xmax` must be a number"),
        (BOX.replace(">30<", "><"), "`xmax` must be a number"),
        (BOX.replace(">30<", "><b>3</b>0<"), "`xmax` must be a number"),
        (BOX.replace("</bndbox>", "<xmin>2</xmin></bndbox>"), "`xmin` occurs twice"),
        ("<circle><cx>5</cx><cy>6</cy></circle>", "r is missing"),
        ("<point><x>5</x></point>", "y is missing"),
        ("<polygon><x1>1</x1><y1>2</y1><x3>9</x3><y3>2</y3></polygon>", "without a gap"),
        ("<polygon><x1>1</x1><y1>2</y1><x2>9</x2></polygon>", "without a gap"),
        ("<polygon><x0>1</x0><y0>2</y0></polygon>", "nothing else"),
        ("<polygon><pt><x>1</x><y>2</y></pt></polygon>", "`pt` must be a number"),
    ],
)
def test_an_object_without_one_good_shape_is_a_problem_and_the_others_count(inside: str, reason: str) -> None:
    sidecar = parse(file(thing(), thing(inside, "dog"), thing(name="bird")))
    assert sidecar.labels == ("cat", "bird")
    assert [problem.line for problem in sidecar.problems] == [3]
    assert reason in sidecar.problems[0].message


@pytest.mark.parametrize("name", ["", " ", "dining table", "x" * 33, "café", "a&amp;b"])
def test_an_object_without_a_good_name_is_a_problem(name: str) -> None:
    sidecar = parse(file(thing(name=name), thing()))
    assert (sidecar.labels, [problem.line for problem in sidecar.problems]) == (("cat",), [2])
    nameless = parse(file(f"<object>{BOX}</object>"))
    assert nameless.annotations is None
    assert [(problem.line, problem.message) for problem in nameless.problems] == [
        (2, "An object must have a `name`, and this one has none.")
    ]


def test_one_label_many_times_is_as_many_annotations() -> None:
    sidecar = parse(file(thing(), thing(), thing(BOX.replace(">1<", ">3<")), thing(name="dog")))
    assert sidecar.annotations is not None
    assert [mark.label for mark in sidecar.annotations] == ["cat", "cat", "cat", "dog"]
    assert sidecar.labels == ("cat", "dog")


@pytest.mark.parametrize(
    ("text", "hard"), [("1", True), ("0", False), ("true", True), ("", False), ("Unspecified", False), (" 1 ", True)]
)
def test_an_image_with_something_difficult_is_hard(text: str, hard: bool) -> None:
    sidecar = parse(file(thing(), thing(f"<difficult>{text}</difficult>{BOX}")))
    assert sidecar.annotations is not None
    assert [mark.attributes.difficult for mark in sidecar.annotations] == [False, hard]
    assert sidecar.hard is hard


@pytest.mark.parametrize(
    ("text", "confidence", "problems"),
    [
        ("0.7", 0.7, 0),
        ("1", 1.0, 0),
        ("0", 0.0, 0),
        ("", None, 0),
        ("1.1", None, 1),
        ("-0.1", None, 1),
        ("nan", None, 1),
    ],
)
def test_a_wrong_confidence_is_a_problem_and_the_object_counts(text: str, confidence: float, problems: int) -> None:
    sidecar = parse(file(thing(f"<confidence>{text}</confidence>{BOX}")))
    assert sidecar.annotations is not None
    assert sidecar.annotations[0].confidence == confidence
    assert [problem.line for problem in sidecar.problems] == [2] * problems


def test_a_file_without_objects_says_none_and_one_of_mistakes_says_nothing() -> None:
    assert parse(file()).annotations == ()
    assert parse(file(thing(""))).annotations is None
    assert on_image(parse(file(thing(BOX.replace("30", "3000"))))).annotations is None
    assert on_image(parse(file())).annotations == ()


@pytest.mark.parametrize(
    ("size", "messages"),
    [
        ("<size><width>640</width><height>480</height><depth>3</depth></size>", []),
        ("<size><width>640.0</width><height>480</height></size>", []),
        ("<size><width/><height/></size>", []),
        ("", []),
        ("<size><width>0</width><height>0</height></size>", []),
        (
            "<size><width>480</width><height>640</height></size>",
            ["`size` says 480 × 640. The file was not used"],
        ),
        (
            "<size><width>320</width><height>240</height></size>",
            ["`size` says 320 × 240. The file was not used"],
        ),
    ],
)
def test_a_file_for_an_image_of_another_size_says_nothing(size: str, messages: list[str]) -> None:
    sidecar = on_image(parse(file(thing(), size=size)))
    assert (sidecar.labels, sidecar.hard) == ((("cat",), False) if not messages else (None, None))
    assert len(sidecar.problems) == len(messages)
    assert all(words in problem.message for words, problem in zip(messages, sidecar.problems, strict=True))


@pytest.mark.parametrize(("old", "new"), [("30", "641"), (">1<", ">-1<"), ("30", "1"), ("40", "1e999"), ("40", "1")])
def test_a_shape_that_cannot_be_there_is_a_problem_in_its_line_and_the_others_count(old: str, new: str) -> None:
    bad = thing(f"<difficult>1</difficult>{BOX.replace(old, new)}", "dog")
    sidecar = on_image(parse(file(thing(), bad)))
    assert (sidecar.labels, sidecar.hard) == (("cat",), False)
    assert [problem.line for problem in sidecar.problems] == [3]


def test_segmentation_takes_polygons_alone_and_opens_closed_ones() -> None:
    closed = "".join(
        f"<x{n}>{x}</x{n}><y{n}>{y}</y{n}>" for n, (x, y) in enumerate([(1, 1), (5, 1), (5, 5), (1, 1)], 1)
    )
    data = file(thing(f"<polygon>{closed}</polygon>"), thing(name="dog"), top="<mask_source>a.png</mask_source>")
    sidecar = on_image(parse(data), "IMAGE_SEGMENTATION")
    assert sidecar.annotations == (ParsedAnnotation("cat", Polygon(positions(1, 1, 5, 1, 5, 5))),)
    assert [(problem.line, problem.message[-8:]) for problem in sidecar.problems] == [(3, "Polygon.")]


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", None), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("gb18030", "GBK"), ("gb18030", "gb2312"),
        ("gb18030", "UTF-8"), ("gb18030", None), ("big5", "Big5"), ("utf-8", "us-ascii"), ("utf-8", "utf-16"),
        ("euc-jp", "EUC-JP"), ("shift_jis", "Shift_JIS"), ("utf-16", "no-such-encoding"),
    ],
)  # fmt: skip
def test_reads_it_in_the_encoding_it_is_in(encoding: str, declared: str | None) -> None:
    prologue = f"<?xml version='1.0' encoding='{declared}'?>\n" if declared else ""
    data = (prologue + file(thing(name="紅血球")).decode()).encode(encoding)
    sidecar = parse(data)
    assert sidecar.labels == ("紅血球",)
    is_guessed = encoding == "gb18030" and declared in ("UTF-8", None)
    assert [problem.message for problem in sidecar.problems] == [GUESSED] * is_guessed


@pytest.mark.parametrize(
    ("encoding", "data", "label"),
    [
        ("ISO-8859-1", b"caf\xe9", "café"),
        ("windows-1251", "клетка".encode("cp1251"), "клетка"),
        ("gb18030", b"\xc3\xa8", "猫"),
        ("GBK", b"\xc3\xa8", "猫"),
        ("iso-8859-1", b"\xc3\xa9", "Ã©"),
    ],
)
def test_the_encoding_that_is_named_goes_before_utf_8(encoding: str, data: bytes, label: str) -> None:
    prologue = f'<?xml version="1.0"\r\nencoding="{encoding}"?>'.encode()
    sidecar = parse(prologue + file(thing(name="@")).replace(b"@", data), None)
    assert sidecar.labels == (label,)
    assert ["in UTF-8, too" in each.message for each in sidecar.problems] == [True] * data.startswith(b"\xc3")


@pytest.mark.parametrize("name", ["no-such-encoding", "rot13", "zlib", "utf-7", "punycode", "unicode_escape", "mbcs"])
def test_an_encoding_that_is_not_known_is_refused_by_its_name(name: str) -> None:
    sidecar = parse(f"<?xml version='1.0' encoding='{name}'?>".encode() + file(thing()))
    assert sidecar.annotations is None
    assert [each.message for each in sidecar.problems] == [
        f"The file names the encoding `{name}`, which is not read; save it as UTF-8."
    ]


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"", 1, "not well-formed"),
        (b"\xff\xff<annotation/>", 0, "neither in UTF-8"),
        ("<annotation/>".encode("utf-16-le"), 0, "neither in UTF-8"),
        (b"<annotation>\n<object>\n", 3, "not well-formed"),
        (b"<annotation>\n&nbsp;</annotation>", 2, "not well-formed"),
        (b"<annotation/>\n<annotation/>", 2, "not well-formed"),
        (b'{"no": "xml"}', 1, "not well-formed"),
        (b"\n<html></html>", 2, "outermost element"),
        (b"<annotation>\n" + b"<a>" * 20 + b"</a>" * 20 + b"</annotation>", 2, "nested at most 16"),
        (b'<!DOCTYPE annotation SYSTEM "voc.dtd">\n<annotation/>', 1, "no document type definition"),
        (
            b'<!DOCTYPE a [\n<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<annotation>&x;</annotation>',
            1,
            "no document type",
        ),
        (b"<annotation>" + b" " * MAX_BYTES + b"</annotation>", 0, "at most 1 MiB"),
    ],
)
def test_a_file_that_cannot_be_read_says_nothing_and_where(data: bytes, line: int, reason: str) -> None:
    sidecar = parse(data)
    assert sidecar.annotations is None
    [problem] = sidecar.problems
    assert (problem.line, reason in problem.message) == (line, True), problem


LAUGHS = '<!DOCTYPE a [<!ENTITY l0 "ha">{}]><annotation><object><name>&l9;</name></object></annotation>'.format(
    "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
)
FULL = MAX_BYTES - 100
LARGE = file(*[thing()] * 8_000)  # an honest one of about that size


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(LAUGHS.encode(), id="billion laughs"),
        pytest.param(
            b'<!DOCTYPE a [<!ENTITY x "' + b"x" * 50_000 + b'">]><annotation>' + b"&x;" * 50_000, id="quadratic"
        ),
        pytest.param(b"<annotation>" + b"<a>" * 300_000, id="deep"),
        pytest.param(b"<annotation>" + b"<object>" * 100_000, id="deep objects"),
        pytest.param(b"<annotation><object>" + b"<a/>" * (FULL // 4), id="wide"),
        pytest.param(b"<annotation>" + b"<object/>" * (FULL // 9), id="many"),
        pytest.param(b"<annotation><object><name>" + b"x" * FULL + b"</name></object></annotation>", id="long name"),
        pytest.param(b"<annotation " + b"".join(b'a%d="" ' % n for n in range(FULL // 14)) + b"/>", id="attributes"),
        pytest.param(b"<annotation>" + b"x" * 10_000_000, id="10 MB"),
        pytest.param(b"<" * FULL, id="brackets"),
    ],
)
def test_an_attack_takes_neither_time_nor_memory(data: bytes) -> None:
    data = data[: VOC.max_bytes + 1]
    gc.collect()
    tracemalloc.start()
    sidecar = parse(data)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not sidecar.annotations
    assert most < 32 * 1024 * 1024
    assert cost_ratio(lambda: parse(data), lambda: parse(LARGE), rounds=2) < 3


def test_objects_and_told_problems_are_bounded() -> None:
    tiny = "<object><name>a</name><point><x>1</x><y>1</y></point></object>"
    sidecar = parse(file(*[tiny] * (MAX_OBJECTS + 5)))
    assert sidecar.annotations is not None
    assert len(sidecar.annotations) == MAX_OBJECTS
    assert [problem.line for problem in sidecar.problems] == [MAX_OBJECTS + 2]
    wrong = on_image(parse(file(*[tiny.replace(">1<", ">999<")] * 500)))
    assert (len(wrong.reported), wrong.reported[-1].message) == (101, "And 400 more problems.")


names = st.from_regex(LABEL, fullmatch=True).map(label_name)
poses = st.none() | st.text("abc é", min_size=1, max_size=64).map(str.strip).filter(bool)
attributes = st.builds(Attributes, difficult=st.booleans(), truncated=st.booleans(), occluded=st.booleans(), pose=poses)
sure = st.none() | st.floats(0, 1).map(lambda number: number + 0.0)
marks = st.lists(
    st.builds(ParsedAnnotation, label=names, shape=shapes, confidence=sure, attributes=attributes), max_size=8
)


@given(marks, st.text(max_size=20), st.booleans())
def test_what_was_written_is_read_back(given: list[ParsedAnnotation], text: str, segmented: bool) -> None:
    text = text.encode("utf-8", "replace").decode()
    data = write(given, folder=text, file_name=text, size=(640, 480), segmented=segmented)
    sidecar = on_image(parse(data))
    assert sidecar.annotations == tuple(given)
    assert (sidecar.problems, sidecar.size, sidecar.hard) == (
        (),
        (640, 480),
        any(mark.attributes.difficult for mark in given),
    )
    assert data == write(given, folder=text, file_name=text, size=(640, 480), segmented=segmented)


def test_writes_what_other_readers_expect() -> None:
    mark = ParsedAnnotation("RBC", BoundingBox(1, 2, 30.5, 40), 0.5, attributes=Attributes(difficult=True))
    text = write(
        [mark, ParsedAnnotation("whole")], folder="a", file_name="<1&2>.jpg", size=(64, 48), segmented=True
    ).decode()
    for words in (
        f"<filename>{escape('<1&2>.jpg')}</filename>",
        "<size><width>64</width><height>48</height><depth>3</depth></size>",
        "<segmented>1</segmented>",
        "<difficult>1</difficult>",
        "<confidence>0.5</confidence>",
        "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>31</xmax><ymax>40</ymax></bndbox>",
        "<exact><xmin>1</xmin><ymin>2</ymin><xmax>30.5</xmax><ymax>40</ymax></exact>",
        "<mask_color>",
    ):
        assert words in text
    assert "whole" not in text


def test_real_cells_are_read_to_the_last_box() -> None:
    for path in sorted(CELLS.glob("*.xml")):
        sidecar = on_image(parse(path.read_bytes()))
        assert sidecar.problems == ()
        assert len(sidecar.annotations or ()) == path.read_text().count("<bndbox>") > 0


def test_a_dataset_reads_one_format() -> None:
    suffixes = {
        kind: format_of(kind).suffix for kind in ("IMAGE_CLASSIFICATION", "OBJECT_DETECTION", "IMAGE_SEGMENTATION")
    }
    assert suffixes == {"IMAGE_CLASSIFICATION": ".txt", "OBJECT_DETECTION": ".xml", "IMAGE_SEGMENTATION": ".xml"}


WAYS: dict[int, Callable[[float, float], tuple[float, float]]] = {
    2: lambda x, y: (64 - x, y),
    3: lambda x, y: (64 - x, 48 - y),
    4: lambda x, y: (x, 48 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (48 - y, x),
    7: lambda x, y: (48 - y, 64 - x),
    8: lambda x, y: (y, 64 - x),
}  # of a point of an image of 64 × 48 pixels to its place on the upright picture


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@given(st.lists(st.tuples(st.integers(0, 64), st.integers(0, 48)), min_size=4, max_size=9, unique=True))
def test_shapes_drawn_on_the_upright_picture_are_turned_exactly(
    orientation: int, points: list[tuple[int, int]]
) -> None:
    way = WAYS[orientation]
    drawn = [Position(*way(*point)) for point in points]
    here = [Position(*point) for point in points]
    raster = Raster(64, 48, orientation)
    assert [shapes_.to_stored(Point(point), raster) for point in drawn] == list(map(Point, here))
    assert shapes_.to_stored(Polygon(tuple(drawn)), raster) == Polygon(tuple(here))
    assert shapes_.to_stored(Polyline(tuple(drawn)), raster) == Polyline(tuple(here))
    assert shapes_.to_stored(Circle(drawn[0], 2.5), raster) == Circle(here[0], 2.5)
    hull = BoundingBox(*shapes_.extent(Polygon(tuple(drawn))))
    assert shapes_.to_stored(hull, raster) == BoundingBox(*shapes_.extent(Polygon(tuple(here))))


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_the_even_turns_are_exact_too(orientation: int) -> None:
    raster = Raster(64, 48, orientation)
    for point in ((0, 0), (64, 48), (10, 30)):
        turned = Point(Position(*WAYS[orientation](*point)))
        assert shapes_.to_stored(turned, raster) == Point(Position(*point))


SIZES = "<size><width>{}</width><height>{}</height></size>"


@pytest.mark.parametrize(
    ("size", "raster", "box", "message"),
    [
        ((48, 64), Raster(64, 48, 6), BoundingBox(2, 18, 40, 47), "drawn on the rotated image;"),
        ((48, 64), Raster(64, 48, 8), BoundingBox(24, 1, 62, 30), "drawn on the rotated image;"),
        ((64, 48), Raster(64, 48, 6), BoundingBox(1, 2, 30, 40), None),
        ((64, 48), Raster(64, 48, 3), BoundingBox(1, 2, 30, 40), "does not say"),
        ((64, 64), Raster(64, 64, 6), BoundingBox(1, 2, 30, 40), "does not say"),
        (None, Raster(64, 48, 6), BoundingBox(1, 2, 30, 40), "does not say"),
        ((48, 64), Raster(64, 48, 1), None, "The file was not used"),
        ((48, 64), Raster(64, 48, 3), None, "The file was not used"),
        ((96, 128), Raster(64, 48, 6), None, "The file was not used"),
    ],
)
def test_size_tells_which_picture_was_drawn_on(
    size: tuple[int, int] | None, raster: Raster, box: BoundingBox | None, message: str | None
) -> None:
    said = parse(file(thing(), size=SIZES.format(*size) if size else ""))
    sidecar = said.on(kind="OBJECT_DETECTION", raster=raster)
    assert [mark.shape for mark in sidecar.annotations or ()] == ([] if box is None else [box])
    assert [message in problem.message for problem in sidecar.problems] == ([] if message is None else [True])  # type: ignore[operator]


def test_labels_of_a_turned_image_raise_no_doubts() -> None:
    said = format_of("IMAGE_CLASSIFICATION").parse(b"cat\ndog", "STANDARD")
    assert said.on(kind="IMAGE_CLASSIFICATION", raster=Raster(64, 48, 6)).problems == ()
    assert parse(file()).on(kind="OBJECT_DETECTION", raster=Raster(64, 48, 3)).problems == ()


def test_each_object_keeps_what_is_said_of_it() -> None:
    left = "<pose>Left</pose><truncated>1</truncated><occluded>1</occluded><difficult>0</difficult>"
    sidecar = parse(
        file(thing(left + BOX), thing("<difficult>1</difficult>" + BOX), thing(f"<pose>{'x' * 65}</pose>{BOX}"))
    )
    assert [mark.attributes for mark in sidecar.annotations or ()] == [
        Attributes(truncated=True, occluded=True, pose="Left"), Attributes(difficult=True), Attributes(),
    ]  # fmt: skip
    assert [(problem.line, problem.message[:6]) for problem in sidecar.problems] == [(4, "`pose`")]


def test_boxes_with_fractions_are_whole_numbers_to_other_readers() -> None:
    box = BoundingBox(12.5, 30.5, 88.25, 91)
    data = write([ParsedAnnotation("cat", box)], folder="f", file_name="n", size=(640, 480), segmented=False)
    [found] = ElementTree.fromstring(data).findall("object/bndbox")  # noqa: S314
    assert [int(edge.text or "") for edge in found] == [12, 30, 89, 91]
    assert on_image(parse(data)).annotations == (ParsedAnnotation("cat", box),)
