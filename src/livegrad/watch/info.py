"""What run.json says of a run at each moment."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livegrad.watch.environment import command_line, describe_environment
from livegrad.watch.options import WatchOptions
from livegrad.watch.record import Record, open_run
from livegrad.watch.recorder import Recorder


def open_record(recorder: Recorder, options: WatchOptions, more: Mapping[str, Any]) -> Record:
    """Start the run: its folder is named after the script, or after the model where there is none.

    more: further fields of run.json.
    """
    name = Path(options.script).stem if options.script else recorder.table.subjects[0].name
    info = {
        **describe_environment(),
        "command": list(options.command or command_line()),
        "mode": options.mode,
        "script": options.script,
        "budget": options.budget,
        "every": options.every,
        **everything(recorder),
        **more,
    }
    return Record(open_run(options.path, name, info))


def counters(recorder: Recorder) -> dict[str, Any]:
    """The fields that change with every step."""
    record = recorder.record
    seconds, spent = recorder.costs.opening or (None, None)
    return {
        "steps": max((subject.iteration for subject in recorder.table.subjects), default=-1) + 1,
        "seconds": time.perf_counter() - recorder.costs.started if record is not None else 0.0,
        "overhead_seconds": recorder.costs.total(),
        "opening_seconds": seconds,
        "opening_overhead_seconds": spent,
        "scan_count": record.scan_count if record is not None else 0,
    }


def everything(recorder: Recorder) -> dict[str, Any]:
    """The counters, and all that is known of models, tensors and layers."""
    tensors = recorder.table.tensors.entries
    return {
        **counters(recorder),
        "subjects": [subject.to_json() for subject in recorder.table.subjects],
        "tensors": tensors,
        "layers": recorder.scans.layers.entries,
        "origins": recorder.forensics.to_json(),
        "device": next((tensor["device"] for tensor in tensors), "?"),
    }
