"""Errors of the local environment.

LocalCloudError        the message says what happened and names the next command
└── CommandError       a program failed; its last lines are in the message
"""

from __future__ import annotations


class LocalCloudError(Exception):
    """The local environment cannot be brought up or down; the message names the next step."""


class CommandError(LocalCloudError):
    """A program exited with a non-zero status."""
