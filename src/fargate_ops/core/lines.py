"""What a printed line is for. An action plugin passes these to Ansible's display, which takes them as any text."""

from __future__ import annotations


class Answer(str):
    """What a reading command was asked for. The screen shows all of it, at once."""

    __slots__ = ()


class Progress(str):
    """How far a step is. The screen shows it until the step's next line."""

    __slots__ = ()


class Note(str):
    """A line for the log. The screen does not show it."""

    __slots__ = ()
