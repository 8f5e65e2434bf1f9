"""A zoo of small labelled trainings: sick ones with one known fault each, and healthy ones that look sick.

    from tests.zoo import load_cases

    for case in load_cases("tuning"):
        training = case.build()
        for _ in range(case.steps):
            training.step()

The label of every case is confirmed by plain training: `python -m tests.zoo.verify`.
"""

from importlib import import_module
from pathlib import Path

from tests.zoo.case import CODES, TRUTHS, Case, Training, registered

__all__ = ["CODES", "TRUTHS", "Case", "Training", "load_cases"]


def load_cases(half: str | None = None, names: tuple[str, ...] = ()) -> list[Case]:
    """Every case, or those of one half ('tuning' or 'evaluation') or with a name part in `names`."""
    for file in sorted(Path(__file__).parent.glob("*_*.py")):
        if file.stem.startswith(("sick_", "healthy_")):
            import_module(f"tests.zoo.{file.stem}")
    return registered(half, names)
