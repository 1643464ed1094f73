"""What a notebook shows of an object (`_repr_html_`): some markup that brings its style along and stands alone.

There is no script, no request, and no id, so that any number of cards fits into a page. A card has its own background:
it is readable also where a notebook says nothing of its theme. It follows the themes of JupyterLab, VS Code and Colab,
and otherwise the screen.
"""

from __future__ import annotations

from collections.abc import Iterable

from q_store.drawing.markup import text
from q_store.drawing.palette import DARK, LIGHT

POINTS = 200
"""Of a line."""
LARGEST = 32_000
"""Characters of a picture of a circuit; a larger one is left out."""
THEMES = (
    (("body[data-jp-theme-light=true]", "body.vscode-light", "html[theme=light]"), LIGHT),
    (("body[data-jp-theme-light=false]", "body.vscode-dark", "html[theme=dark]"), DARK),
)
"""Where a notebook says which one it has."""


def _themed() -> str:
    return "".join(
        f"{','.join(f'{place} .qn{inner}' for place in places)}{{{variables}}}"
        for places, palette in THEMES
        for inner, variables in (("", palette.page), (" .qs", palette.chart), (" .qc", palette.circuit))
    )


STYLE = (
    f".qn{{{LIGHT.page}}}@media(prefers-color-scheme:dark){{.qn{{{DARK.page}}}}}{_themed()}"
    ".qn{background:var(--card);color:var(--ink);border:1px solid var(--line);border-radius:8px;padding:10px 14px;"
    "max-width:1000px;box-sizing:border-box;font:14px/1.45 system-ui,sans-serif;overflow-wrap:anywhere}"
    ".qn.qn.qn p{margin:.2em 0}.qn .qn-t{font-weight:600;font-size:15px}"
    ".qn .qn-s{color:var(--soft)}.qn .qn-w{color:var(--warn);border-left:3px solid;padding-left:.6em}"
    ".qn.qn.qn table{border-collapse:collapse;margin:.4em 0;font-size:inherit;color:inherit;table-layout:auto}"
    ".qn.qn.qn tr{background:none}.qn.qn.qn :is(th,td){text-align:left;vertical-align:top;padding:2px 18px 2px 0;"
    "border:0;max-width:none;white-space:normal;color:inherit}.qn.qn.qn th{font-weight:500;color:var(--soft);"
    "white-space:nowrap}"
    ".qn .qn-g{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,290px),1fr));gap:8px;"
    "align-items:start}.qn .qn-g svg{width:100%;height:auto}"
    ".qn .qn-c{overflow-x:auto}.qn summary{cursor:pointer}"
)


def card(
    title: str,
    rows: Iterable[tuple[str, object]],
    *,
    pictures: Iterable[str] = (),
    circuit: str = "",
    warnings: Iterable[str] = (),
    soft: str = "",
) -> str:
    """A card.

    Args:
        title: of it.
        rows: names and what they are.
        pictures: SVG; empty ones are left out.
        circuit: SVG, folded; left out where it is large.
        warnings: to be read first.
        soft: a line that explains.
    """
    parts = [f'<p class="qn-t">{text(title)}</p>']
    parts += [f'<p class="qn-w">{text(each)}</p>' for each in warnings]
    cells = "".join(f'<tr><th scope="row">{text(name)}</th><td>{text(value)}</td></tr>' for name, value in rows)
    if cells:
        parts.append(f"<table><tbody>{cells}</tbody></table>")
    if soft:
        parts.append(f'<p class="qn-s">{text(soft)}</p>')
    drawn = "".join(pictures)
    if drawn:
        parts.append(f'<div class="qn-g">{drawn}</div>')
    if 0 < len(circuit) <= LARGEST:
        parts.append(f'<details><summary>Circuit</summary><div class="qn-c">{circuit}</div></details>')
    return f'<div class="qn"><style>{STYLE}</style>{"".join(parts)}</div>'
