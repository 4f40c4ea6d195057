"""Every code that an error can have is in the schema, and what its details are is in docs/clients.md."""

import re

from schema.enums import ErrorCode
from tests.conftest import ROOT
from tests.schema.error_codes import details_by_code

ROW = re.compile(r"^\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \| (`.*)\|$", re.MULTILINE)
WORD = re.compile(r"`(\w+)`")


def test_the_schema_has_every_code_that_can_come_and_no_other() -> None:
    assert {code.name for code in ErrorCode} == details_by_code().keys()


def test_the_details_of_each_code_are_documented() -> None:
    text = (ROOT / "docs" / "clients.md").read_text()
    table = text[text.index("| code | details |") :].partition("\n\n")[0]
    documented = {
        code: {word for part in row[2].split(";") for word in WORD.findall(part.partition(":")[0])}
        for row in ROW.finditer(table)
        for code in WORD.findall(row[1])
    }
    assert documented == {code: details for code, details in details_by_code().items() if details}
