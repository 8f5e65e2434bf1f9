"""Edits of several files made into one rewriting: a diff, instructions, and the writing of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from livegrad.treat.remedy import Edit
from livegrad.treat.rewrite.diff import unified_diff
from livegrad.treat.rewrite.source import CannotRewrite, Source, require_libcst
from livegrad.treat.rewrite.write import Written, write_files

if TYPE_CHECKING:
    from livegrad.treat.rewrite.find import Page
    from livegrad.treat.rewrite.plan import FilePlan

_WORDS = re.compile(r"\{(\w+)(?::(\w+))?\}")
_IN_WORDS = {
    "model": "model", "root": "model", "target": "model", "input": "x", "receiver": "optimizer",
    "arguments": "…", "0": "…", "1": "…",
}  # fmt: skip
_DEFINED = re.compile(r"^(?:async def|def|class) +(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Rewriting:
    """What becomes of the files of a project. before, files: path -> bytes on disk, and in their place.
    diff: both as one unified diff, paths relative to `root`; raw_diff: the same in the encoding of each file,
    as git and patch need it. instructions: what is left to do by hand.
    """

    root: Path
    before: Mapping[Path, bytes] = field(default_factory=dict)
    files: Mapping[Path, bytes] = field(default_factory=dict)
    diff: str = ""
    raw_diff: bytes = b""
    instructions: tuple[str, ...] = ()

    def write(self) -> Written:
        """Write all files or none. Raises UsageError where one has changed since, or cannot be written."""
        return write_files(self.before, self.files)


@dataclass
class _Task:
    """An edit, and the helpers it may use: name -> code."""

    edit: Edit
    helpers: dict[str, Edit]


def propose(edits: Sequence[Edit], root: Path | str | None = None) -> Rewriting:
    """Work out what `edits` make of the files they name, relative names being those of files in `root` (by
    default the working directory). Only Python files inside `root` that belong to no installed package are
    changed.

    Raises UsageError if libcst is not installed.
    """
    require_libcst()
    folder = Path.cwd() if root is None else Path(root).absolute()
    return _Proposal(folder).of(edits)


class _Proposal:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._plans: dict[Path, FilePlan] = {}
        self._failed: dict[Path, CannotRewrite] = {}
        self._instructions: list[str] = []

    def of(self, edits: Sequence[Edit]) -> Rewriting:
        from livegrad.treat.rewrite.shared_names import share_names

        for task in _tasks(share_names(edits, self._page_and_line)):
            self._take(task)
        before: dict[Path, bytes] = {}
        files: dict[Path, bytes] = {}
        for path, plan in self._plans.items():
            raw = self._changed(plan)
            if raw is not None and raw != plan.page.source.raw:
                before[path], files[path] = plan.page.source.raw, raw
        parts = [(self._diff(p, before[p], files[p]), self._plans[p].page.source) for p in files]
        return Rewriting(
            self._root,
            before,
            files,
            "".join(text for text, _ in parts),
            b"".join(source.encoded(text) for text, source in parts),
            tuple(dict.fromkeys(self._instructions)),
        )

    def _diff(self, path: Path, before: bytes, after: bytes) -> str:
        source = self._plans[path].page.source
        name = path.relative_to(self._root.resolve())
        return unified_diff([(name, source.text(before), source.text(after))])

    def _changed(self, plan: "FilePlan") -> bytes | None:
        from livegrad.treat.rewrite.apply import applied

        try:
            return plan.page.source.bytes_of(applied(plan))
        except CannotRewrite as error:
            name = plan.page.source.path.relative_to(self._root.resolve())
            self._instructions.append(f"{name} was left as it is: {error}")
            return None

    def _take(self, task: _Task) -> None:
        edit: Edit | None = task.edit
        reason: CannotRewrite | None = None
        while edit is not None:
            if edit.kind == "instruction":
                self._instruct(edit, None, task.helpers)
                return
            try:
                self._add(edit, task.helpers)
                return
            except CannotRewrite as error:
                # What was wanted first is what is said if nothing else can be done either.
                reason, last = reason or error, edit
                edit = edit.otherwise
        self._instruct(task.edit if reason is not None else last, reason, task.helpers)

    def _add(self, edit: Edit, helpers: Mapping[str, Edit]) -> None:
        from livegrad.treat.rewrite.names import renamed

        path, line = _place(edit)
        plan = self._plan(path)
        used = _used(edit.code, helpers)
        own = plan.helper_names(used)
        code = edit.code
        for name, new in own.items():
            code = renamed(code, name, new)
        plan.define(used, own, plan.add(edit, code, line))

    def _page_and_line(self, edit: Edit) -> "tuple[Page, int]":
        path, line = _place(edit)
        return self._plan(path).page, line

    def _plan(self, path: Path) -> "FilePlan":
        from livegrad.treat.rewrite.plan import FilePlan

        full = (path if path.is_absolute() else self._root / path).resolve()
        if full in self._failed:
            raise self._failed[full]
        if full not in self._plans:
            try:
                self._plans[full] = FilePlan(Source.read(path, self._root))
            except CannotRewrite as error:
                self._failed[full] = error
                raise
        return self._plans[full]

    def _instruct(self, edit: Edit, reason: CannotRewrite | None, helpers: Mapping[str, Edit]) -> None:
        self._instructions.append(_in_words(edit, reason))
        for helper in dict.fromkeys(_used(edit.code, helpers).values()):
            self._instructions.append(f"with this helper above it:\n\n{helper.code.rstrip()}\n")


def _tasks(edits: Sequence[Edit]) -> list[_Task]:
    """Each edit that is no helper, with the helpers that stand before it; later ones of a name hide earlier
    ones.
    """
    helpers: dict[str, Edit] = {}
    tasks = []
    for edit in edits:
        if edit.kind == "define":
            helpers = {**helpers, **dict.fromkeys(_DEFINED.findall(edit.code), edit)}
        else:
            tasks.append(_Task(edit, helpers))
    return tasks


def _used(code: str, helpers: Mapping[str, Edit]) -> dict[str, Edit]:
    """The helpers that `code` calls, and those that they call, in the order in which they were defined."""
    found: set[str] = set()
    waiting = [code]
    while waiting:
        text = waiting.pop()
        new = [n for n in helpers if n not in found and helpers[n].code != text and _mentions(text, n)]
        found.update(new)
        waiting += [helpers[name].code for name in new]
    return {name: helper for name, helper in helpers.items() if name in found}


def _place(edit: Edit) -> tuple[Path, int]:
    file, _, line = (edit.source or "").rpartition(":")
    if not file or not line.isdigit():
        raise CannotRewrite("the line to change is not known")
    return Path(file), int(line)


def _mentions(code: str, name: str) -> bool:
    return re.search(rf"(?<![\w.]){name}\b", code) is not None


def _in_words(edit: Edit, reason: CannotRewrite | None) -> str:
    where = f"{edit.source}: " if edit.source else ""
    if edit.kind == "instruction":
        return edit.code if edit.source is None or edit.source in edit.code else where + edit.code
    words = {**_IN_WORDS, "call": f"{edit.target}(…)"}
    code = _WORDS.sub(lambda found: words.get(found[1], found[2] or found[1]), edit.code)
    helper = re.fullmatch(r"(\w+)\(\{(call|model|root|target)\}\)", edit.code)
    if helper is not None:
        by_hand = f"before training, call {helper[1]}(model)"
    else:
        by_hand = {
            "next-element": f"behind {edit.target} put {code}",
            "argument": f"give {edit.target}={code}",
            "before": f"above this statement put {code}",
            "after": f"below this statement put {code}",
        }.get(edit.kind, f"in the place of {edit.target}(…) put {code}")
    return f"{where}{by_hand} (no edit: {reason})"
