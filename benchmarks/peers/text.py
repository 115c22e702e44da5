"""The context that all candidates get: lines of prose with one needle at 95%."""

LINE = "On this day nothing of note was written down by anyone who was there to see it.\n"
NEEDLE = "The needle lies here.\n"


def text(chars: int) -> str:
    """Exactly `chars` characters, ASCII."""
    before = int(chars * 0.95) // len(LINE)
    lines = LINE * before + NEEDLE + LINE * (chars // len(LINE) + 1 - before)
    return lines[:chars]
