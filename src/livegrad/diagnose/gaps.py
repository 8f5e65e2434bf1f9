"""What of a run's record is not there to read: files that are missing, cut off or damaged.

A run that is still being written is never said to miss anything.
"""

from livegrad.run.reader import Run


def is_blank(run: Run) -> bool:
    """Whether steps were taken and of none of them gradients and weights can be read: nothing is judged then,
    scans or no scans.
    """
    return not run.is_live and run.info.steps > 0 and not len(run)


def missing(run: Run) -> list[str]:
    """What is missing, a sentence each; empty where all is there."""
    if run.is_live:
        return []
    said = [f"part of the record cannot be read: {run.damage}"] if run.damage else []
    if is_blank(run):
        said.append(f"gradients and weights: none of the {run.info.steps} steps was recorded, or can be read")
    scans = len(run.scans())
    if scans < run.info.scan_count:
        said.append(f"{run.info.scan_count - scans} of {run.info.scan_count} scans cannot be read")
    return said
