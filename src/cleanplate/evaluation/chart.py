"""Line charts as SVG, without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

Line = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 130, 48, 52
# Okabe and Ito's colours, which colour-blind people can distinguish.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_STYLE = "font-family:system-ui,sans-serif;font-size:13px;background:#ffffff"


def draw_chart(title: str, x_title: str, y_title: str, lines: Mapping[str, Line]) -> str:
    """Draw each line with a dot at every point and its name at the right end; both axes begin at 0.

    Args:
        title: Title above the chart.
        x_title: Title below the horizontal axis.
        y_title: Title along the vertical axis.
        lines: Points of x >= 0 and y >= 0 by the line's name, in the order of x.
    """
    points = [point for line in lines.values() for point in line]
    x_ticks = sorted({x for x, _ in points})
    y_ticks = _nice_ticks(max((y for _, y in points), default=0.0))
    x_end, y_end = (x_ticks[-1] if x_ticks else 0) or 1.0, y_ticks[-1]

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + x / x_end * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - y / y_end * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" style="{_STYLE}">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="26" font-size="16" fill="#222222">{escape(title)}</text>',
    ]
    for tick in y_ticks:
        x, y = at(0, tick)
        parts.append(f'<path d="M{x} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#dddddd"/>')
        parts.append(_text(x - 8, y + 4, f"{tick:g}", anchor="end"))
    for tick in x_ticks:
        x, y = at(tick, 0)
        parts.append(_text(x, y + 20, f"{tick:g}", anchor="middle"))
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 10, x_title, anchor="middle"))
    turned = f' transform="rotate(-90 16 {_HEIGHT / 2})"'
    parts.append(_text(16, _HEIGHT / 2, y_title, anchor="middle", more=turned))
    names_at = _spread({name: at(*line[-1])[1] for name, line in lines.items() if line})
    for number, (name, line) in enumerate(lines.items()):
        if not line:
            continue
        colour = _COLOURS[number % len(_COLOURS)]
        dots = [at(*point) for point in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in dots]
        parts.append(_text(_WIDTH - _RIGHT + 12, names_at[name] + 4, name[-16:], colour=colour))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", colour: str = "#444444", more: str = ""
) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{more}>{escape(text)}</text>'


def _nice_ticks(highest: float) -> list[float]:
    """Choose four to eight round numbers from 0 to at least ``highest``."""
    if not highest > 0:
        return [0.0, 1.0]
    rough = highest / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(s for s in (power, 2 * power, 5 * power) if s <= rough)
    return [index * step for index in range(math.ceil(highest / step - 1e-9) + 1)]


def _spread(heights: Mapping[str, float], least: float = 16.0) -> dict[str, float]:
    """Move labels down until no two overlap."""
    placed: dict[str, float] = {}
    lowest = -math.inf
    for name, y in sorted(heights.items(), key=lambda item: item[1]):
        lowest = max(y, lowest + least)
        placed[name] = lowest
    return placed
