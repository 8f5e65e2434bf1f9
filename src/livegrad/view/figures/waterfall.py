"""The ledger as a waterfall: what each kind of operation takes from the gradient, in decades."""

from collections.abc import Mapping, Sequence
from typing import Any

from livegrad.diagnose.number import count, from_json, short
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.message import of_losses
from livegrad.view.figures.style import Figure, axis, label, layout, title, unique
from livegrad.view.palette import token

VIEWS = {"kind": "kinds", "module": "modules", "step": "segments"}
_MOST, _ROW, _AROUND = 18, 26, 104


def waterfall(book: Mapping[str, Any], by: str = "kind") -> Drawing:
    """Return the figure of one ledger of a report's document.

    by: one of VIEWS: "kind" of operation, "module", or every single "step" from the output down. Bars begin
    where the one before ended; beyond the largest few the rest stand in one bar, so the sum is always whole.
    """
    of_gradient = book["measured"] == "gradient"
    measured = "gradient of the loss" if of_gradient else "audibility"
    caption = (
        f"What becomes of the {measured} on its way from the output (top) to the deepest layer (bottom) at "
        f"step {count(book['step'])}. Each bar multiplies it by 10 to its length: −1 is a tenth of it. "
        "Diamonds: where each bar would end, had it done what theory expects of these weights and inputs."
    )
    bars = _bars(book[VIEWS[by]], keep_order=by == "step")
    title_by = {"kind": "by kind of operation", "module": "by module", "step": "step by step"}
    return Drawing(
        f"Ledger {title_by[by]}: {of_losses(sum(bar['decades'] for bar in bars))}",
        caption,
        _plot(bars, book, of_gradient),
    )


def _bars(items: Sequence[Mapping[str, Any]], keep_order: bool) -> list[dict[str, Any]]:
    bars = [
        {
            "name": item.get("label") or item["name"],
            "count": item.get("count"),
            "decades": from_json(item["decades"]) or 0.0,
            "expected": from_json(item["expected_decades"]),
            "best": from_json(item["best_decades"]),
            "source": item.get("source"),
            "rest": False,
        }
        for item in items
    ]
    if len(bars) > _MOST:
        shown = sorted(range(len(bars)), key=lambda i: -abs(bars[i]["decades"]))[: _MOST - 1]
        rest = [bars[i] for i in range(len(bars)) if i not in set(shown)]
        bars = [bars[i] for i in sorted(shown)]
        many = sum(bar["count"] or 1 for bar in rest)
        total = sum(bar["decades"] for bar in rest)
        other = {"name": f"{count(many)} others", "count": None, "decades": total, "rest": True}
        return [*bars, other | {"expected": None, "best": None, "source": None}]
    return bars if keep_order else sorted(bars, key=lambda bar: bar["decades"])


def _plot(bars: list[dict[str, Any]], book: Mapping[str, Any], of_gradient: bool) -> Figure:
    names = unique(_name(bar) for bar in bars)
    start, starts = 0.0, []
    for bar in bars:
        starts.append(start)
        start += bar["decades"]
    total = from_json(book["total_decades"])
    total = start if total is None else total
    edges = [
        *starts,
        start,
        total,
        *(s + b["expected"] for s, b in zip(starts, bars, strict=True) if b["expected"]),
    ]
    low, high = min(edges), max(edges)
    spare = max(0.2 * (high - low), 0.35)
    top, end = "output", "deepest layer<br>reached" if of_gradient else "deepest layer<br>heard"
    rows = [top, *names, end]
    traces = [
        _bar_trace(bars, names, starts, sign)
        for sign in (-1, 1)
        if any((bar["decades"] < 0) == (sign < 0) for bar in bars)
    ]
    expected = [
        (s + b["expected"], n, b)
        for s, n, b in zip(starts, names, bars, strict=True)
        if b["expected"] is not None
    ]
    if expected:
        traces.append(_expected_trace(expected))
    traces += [_values(bars, names, starts), _ends(top, end, total, to_the_right=total <= (low + high) / 2)]
    return {
        "data": traces,
        "layout": layout(
            _ROW * len(rows) + _AROUND,
            xaxis=axis(
                title=title("decades of the gradient" if of_gradient else "decades of the audibility"),
                range=[low - spare, high + spare],
                zeroline=True,
                zerolinecolor=token("faint"),
                ticksuffix="",
            ),
            yaxis=axis(
                type="category",
                categoryorder="array",
                categoryarray=rows,
                autorange="reversed",
                showgrid=False,
            ),
            shapes=_connectors(starts, bars, total, len(rows)),
            # The values beside the bars keep their size where the figure is narrow.
            meta={"beside": True},
            bargap=0.32,
            barmode="overlay",
        ),
    }


def _name(bar: Mapping[str, Any]) -> str:
    times = f" ×{count(bar['count'])}" if (bar["count"] or 1) > 1 else ""
    return label(bar["name"], 34) + times


def _bar_trace(
    bars: Sequence[Mapping[str, Any]], names: Sequence[str], starts: Sequence[float], sign: int
) -> Figure:
    chosen = [i for i, bar in enumerate(bars) if (bar["decades"] < 0) == (sign < 0)]
    losing = sign < 0
    return {
        "type": "bar",
        "orientation": "h",
        "name": "takes from it" if losing else "adds to it",
        "y": [names[i] for i in chosen],
        "base": [starts[i] for i in chosen],
        "x": [bars[i]["decades"] for i in chosen],
        "marker": {
            "color": token("quiet" if losing else "loud"),
            # A pattern tells the two apart in grey.
            "pattern": {
                "shape": "" if losing else "/",
                "bgcolor": token("quiet" if losing else "loud"),
                "fgcolor": token("paper"),
                "fillmode": "replace",
                "size": 5,
                "solidity": 0.25,
            },
            "line": {"width": 0},
        },
        "customdata": [_hover(bars[i]) for i in chosen],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _values(bars: Sequence[Mapping[str, Any]], names: Sequence[str], starts: Sequence[float]) -> Figure:
    """Return the bars' lengths in words, beyond the end of the bar and of what was expected of it."""
    at = []
    for start, bar in zip(starts, bars, strict=True):
        ends = [bar["decades"], bar["expected"] if bar["expected"] is not None else bar["decades"]]
        at.append(start + (min(ends) if bar["decades"] < 0 else max(ends)))
    return {
        "type": "scatter",
        "mode": "text",
        "showlegend": False,
        "x": at,
        "y": list(names),
        "text": [
            f"{signed(bar['decades'])}  " if bar["decades"] < 0 else f"  {signed(bar['decades'])}"
            for bar in bars
        ],
        "textposition": ["middle left" if bar["decades"] < 0 else "middle right" for bar in bars],
        "textfont": {"color": token("ink"), "size": 12},
        "cliponaxis": False,
        "hoverinfo": "skip",
    }


def signed(value: float) -> str:
    """Return decades with their sign and two digits that tell: "−14.2", "+0.03"."""
    number = f"{value:+.1f}" if abs(value) >= 0.95 else f"{value:+.2f}"
    return number.replace("-", "−") if float(number) else "0"


def _hover(bar: Mapping[str, Any]) -> str:
    lines = [f"<b>{_name(bar)}</b>", f"{short(bar['decades'], 3)} decades"]
    if bar["expected"] is not None:
        lines.append(f"theory expects {short(bar['expected'], 3)}")
    if bar["best"] is not None:
        lines.append(f"at best {short(bar['best'], 3)}")
    if bar["count"]:
        lines.append(f"each passes on {short(10 ** (bar['decades'] / bar['count']), 3)} of it")
    if bar["source"]:
        lines.append(label(bar["source"], 60))
    return "<br>".join(lines)


def _expected_trace(expected: Sequence[tuple[float, str, Mapping[str, Any]]]) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "theory expects",
        "x": [at for at, _, _ in expected],
        "y": [name for _, name, _ in expected],
        "customdata": [short(bar["expected"], 3) for _, _, bar in expected],
        "marker": {
            "symbol": "diamond",
            "size": 10,
            "color": token("paper"),
            "line": {"width": 2, "color": token("ink")},
        },
        "cliponaxis": False,
        "hovertemplate": "theory expects %{customdata} decades<extra></extra>",
    }


def _ends(top: str, end: str, total: float, to_the_right: bool) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers+text",
        "showlegend": False,
        "x": [0.0, total],
        "y": [top, end],
        "text": ["", f"  <b>{signed(total)} in all</b>  "],
        "textposition": "middle right" if to_the_right else "middle left",
        "textfont": {"color": token("ink"), "size": 13},
        "marker": {"symbol": "line-ns", "size": 16, "line": {"width": 3, "color": token("ink")}},
        "cliponaxis": False,
        "hoverinfo": "skip",
    }


def _connectors(
    starts: Sequence[float], bars: Sequence[Mapping[str, Any]], total: float, rows: int
) -> list[Figure]:
    at = [*starts, starts[-1] + bars[-1]["decades"]] if bars else [0.0]
    return [
        {
            "type": "line",
            "x0": x,
            "x1": x,
            "y0": row + 0.0,
            "y1": row + 1.0,
            "line": {"color": token("faint"), "width": 1, "dash": "dot"},
            "layer": "below",
        }
        for row, x in enumerate(at)
        if row + 1 < rows
    ]
