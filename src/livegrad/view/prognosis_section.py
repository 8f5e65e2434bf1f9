"""The report's section on what the first steps of a training foretell."""

from collections.abc import Mapping
from typing import Any

from livegrad.diagnose.number import from_json, short

VERDICT_WORDS = {"trains": "trains", "doubtful": "doubtful", "will-not-train": "will not train"}
_SIGNS = {"trains": "✓", "doubtful": "▲", "will-not-train": "✗"}
_CLASSES = {"trains": "healthy", "doubtful": "warning", "will-not-train": "error"}
_NO_LIMIT = 10_000


def prognosis_section(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the template shows, one entry a model; nothing for a report that foretells nothing."""
    prognosis = document.get("prognosis")
    return [] if prognosis is None else [_entry(subject) for subject in prognosis["subjects"]]


def change_cells(change: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return a change's factor per layer, its decades over the depth and its reach, as text."""
    decades = from_json(change["decades"]) or 0.0
    reach = from_json(change["reach"]) or 0.0
    return (
        short(change["factor"], 3),
        f"{decades:+.1f} decades" if abs(decades) >= 0.05 else "0 decades",
        f"{reach:.0f}" if reach < _NO_LIMIT else "no limit",
    )


def time_words(time: Mapping[str, Any]) -> str:
    """Return how far back one recurrence hears, in words."""
    factor = short(time["factor"], 3)
    hears = f"it hears about the latest {time['reach']}"
    return f"{time['name']}: {time['steps']} time steps; at {factor} per step {hears}"


def _entry(subject: Mapping[str, Any]) -> dict[str, Any]:
    depth, jacobian = subject["depth"], subject.get("jacobian")
    sentences = [depth["sentence"]] if depth is not None else []
    sentences += [time_words(time) for time in subject["time"]]
    sentences += [jacobian["sentence"]] if jacobian is not None else []
    verdict = subject["verdict"]
    return {
        "name": subject["subject"],
        "verdict": VERDICT_WORDS[verdict],
        "sign": _SIGNS[verdict],
        "class": _CLASSES[verdict],
        "reasons": [reason["text"] for reason in subject["reasons"]],
        "sentences": sentences,
        "layers": (subject["design"] or {}).get("layers"),
        "changes": [
            {"text": change["text"], "trains": change["trains"], "cells": change_cells(change)}
            for change in subject["what_if"]
        ],
    }
