"""Results of functions of what clients send."""

from api.kept_results import MAX_LENGTH, kept


def test_results_of_short_texts_are_kept_and_none_of_long_ones() -> None:
    asked = []

    @kept(2)
    def length(text: str, *, twice: bool = False) -> int:
        asked.append(text)
        return len(text) * (2 if twice else 1)

    short, long = "x" * MAX_LENGTH, "x" * (MAX_LENGTH + 1)
    for text in (short, long):
        assert [length(text), length(text), length(text, twice=True)] == [len(text), len(text), 2 * len(text)]
    assert asked == [short, short, long, long, long]
