"""Pages that stand alone: text that is escaped, tables, and one style; no request to anywhere leaves them."""

from __future__ import annotations

import unicodedata
from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

from q_store.drawing.palette import DARK, LIGHT

MARK = "<!doctype html><!-- q-store report -->"
"""What a page begins with; a file that does not is somebody's."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
STYLE = (
    f"""
:root{{color-scheme:light dark;{LIGHT.page}}}
@media(prefers-color-scheme:dark){{:root{{{DARK.page}}}}}
"""
    """\
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:1080px;padding:16px;background:var(--back);color:var(--ink);
font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.25;margin:.4em 0}
h2{font-size:1.15rem;margin:1.8em 0 .6em}
p{margin:.5em 0;max-width:75ch}
.soft{color:var(--soft)}
.warn{color:var(--warn);border-left:4px solid;padding-left:.7em;font-weight:600}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:8px 12px}
.scroll:focus-visible{outline:2px solid}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:12px;align-items:start;
margin:12px 0}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:8px}
figure>svg,figure>img{width:100%;height:auto;display:block}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:3px 18px 3px 0;border-bottom:1px solid var(--line);
overflow-wrap:normal}
td{overflow-wrap:anywhere;min-width:4em}
tr:last-child>*{border-bottom:0}
th{font-weight:500;color:var(--soft)}
.right :is(td,th):not(:first-child){text-align:right;white-space:nowrap}
.scroll+.scroll{margin-top:8px}
summary{cursor:pointer;padding:4px 0}
pre{margin:0;font-size:.9rem;white-space:pre-wrap}
@media print{body{max-width:none;background:none}figure,tr{break-inside:avoid}}
"""
)


def clean(value: object) -> str:
    """As text that any file and any terminal can hold: control characters and halves of pairs become U+FFFD."""
    return "".join(
        "\ufffd" if unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t" else c for c in str(value)
    ).translate({0xFFFE: 0xFFFD, 0xFFFF: 0xFFFD})


def text(value: object) -> str:
    """Escaped, for an element or an attribute."""
    return escape(clean(value))


def page(title: str, body: Iterable[str]) -> str:
    """A whole page of parts that are markup already."""
    return (
        f'{MARK}\n<html lang="en"><head><meta charset="utf-8"><title>{text(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{STYLE}</style></head>\n<body><main>\n{chr(10).join(body)}\n</main></body></html>\n"
    )


def heading(title: str) -> str:
    """Of a section."""
    return f"<h2>{text(title)}</h2>"


def paragraph(words: str, kind: str = "") -> str:
    """Of plain text; `kind` is `soft` or `warn`."""
    return f"<p{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}>{text(words)}</p>"


def facts(rows: Iterable[tuple[str, object]], label: str) -> str:
    """Names and what they are, a row each."""
    cells = "".join(f'<tr><th scope="row">{text(name)}</th><td>{text(value)}</td></tr>' for name, value in rows)
    return _scroll(f"<table><tbody>{cells}</tbody></table>", label)


def table(titles: Sequence[str], rows: Iterable[Sequence[object]], label: str) -> str:
    """Names in the first column, figures on the right in the others."""
    head = "".join(f'<th scope="col">{text(title)}</th>' for title in titles)
    lines = "".join(
        f'<tr><th scope="row">{text(first)}</th>{"".join(f"<td>{text(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    whole = f'<table class="right"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'
    return _scroll(whole, label)


def code(line: str, label: str) -> str:
    """A command to copy."""
    return _scroll(f"<pre><code>{text(line)}</code></pre>", label)


def figures(pictures: Iterable[str]) -> str:
    """Pictures side by side, where there is room."""
    return f'<div class="grid">{"".join(f"<figure>{each}</figure>" for each in pictures)}</div>'


def wide(picture: str, label: str) -> str:
    """A picture in its own size, to be pushed aside where there is no room."""
    return _scroll(picture, label)


def picture(svg: bytes, label: str) -> str:
    """An SVG file of anybody: as an image, in which no script runs and no request is made."""
    data = b64encode(svg).decode()
    return _scroll(f'<img src="data:image/svg+xml;base64,{data}" alt="{text(label)}">', label)


def folded(title: str, inner: str) -> str:
    """What is shown when somebody asks."""
    return f"<details><summary>{text(title)}</summary>{inner}</details>"


def _scroll(inner: str, label: str) -> str:
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{text(label)}">{inner}</div>'
