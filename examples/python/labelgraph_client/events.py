"""Server-sent events."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class EventParser:
    """Put in lines, and get each event (its name and data) with the empty line behind it. Comments are skipped."""

    name: str = "message"
    data: list[str] = field(default_factory=list)

    def feed(self, line: str) -> tuple[str, str] | None:
        if line:
            key, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if key == "event":
                self.name = value
            elif key == "data":
                self.data.append(value)
            return None
        event = self.name, "\n".join(self.data)
        is_empty = self.name == "message" and not self.data
        self.name, self.data = "message", []
        return None if is_empty else event
