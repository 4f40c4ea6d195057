"""The parts of a VOC file as small trees that know their lines, each passed on as soon as it is whole.

No file is trusted. One with a DTD is refused before an entity can be declared; what is nested deeper than VOC nests is
refused, and what has more parts than the largest shape. Only one part is in memory at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from io import StringIO
from typing import Final
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl, InputSource

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from db.formats.shapes import MAX_POINTS

MAX_DEPTH: Final = 16
MAX_ELEMENTS: Final = 2 * (MAX_POINTS + 1) + 100  # below one part; a closed shape of the most points has fewer
PARTS: Final = frozenset({"size", "object"})


class Wrong(Exception):
    """Something in a file that is not as it should be, its line, and the label's name if that is what is wrong."""

    def __init__(self, message: str, line: int, name: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.name = name


@dataclass(slots=True)
class Element:
    name: str
    line: int
    texts: list[str] = field(default_factory=list)
    children: list["Element"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its own text; white space around it means nothing."""
        return "".join(self.texts).strip()

    def child(self, name: str) -> "Element | None":
        """The first one of this name."""
        return next((child for child in self.children if child.name == name), None)


def read(text: str, add: Callable[[Element], None]) -> None:
    """Give each part of the annotation to `add`, in order. Raises Wrong, also what `add` raises."""
    parser = DefusedExpatParser(forbid_dtd=True)
    parser.setContentHandler(_Reader(parser, add))
    source = InputSource()
    source.setCharacterStream(StringIO(text))
    try:
        parser.parse(source)
    except SAXParseException as broken:
        raise Wrong("This is not well-formed XML.", broken.getLineNumber() or 0) from None
    except DefusedXmlException:
        raise Wrong("A sidecar has no document type definition.", parser.getLineNumber() or 0) from None


class _Reader(ContentHandler):
    def __init__(self, parser: DefusedExpatParser, add: Callable[[Element], None]) -> None:
        super().__init__()
        self.parser = parser
        self.add = add
        self.depth = 0
        self.elements = 0
        self.open: list[Element] = []  # from a part down to where the file is being read

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Wrong(f"Elements are nested at most {MAX_DEPTH} deep.", self._line())
        if self.depth == 1 and name != "annotation":
            raise Wrong("The outermost element of a sidecar is `annotation`.", self._line())
        if not self.open and not (self.depth == 2 and name in PARTS):
            return
        element = Element(name, self._line())
        if self.open:
            self.open[-1].children.append(element)
        self.open.append(element)
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise Wrong(f"An object has at most {MAX_ELEMENTS:,} elements.", element.line)

    def characters(self, content: str) -> None:
        if self.open:
            self.open[-1].texts.append(content)

    def endElement(self, name: str) -> None:  # noqa: N802
        self.depth -= 1
        if self.open:
            element = self.open.pop()
            if not self.open:
                self.elements = 0
                self.add(element)

    def _line(self) -> int:
        return self.parser.getLineNumber() or 0
