"""Renders text and values as HTML. All input is escaped, so that a description cannot become a script."""

from __future__ import annotations

import html
import json
import re
from typing import Any

_CODE = re.compile(r"``(.+?)``|`(.+?)`", re.DOTALL)
_STRONG = re.compile(r"\*\*(\S(?:.*?\S)?)\*\*", re.DOTALL)
_EMPHASIS = re.compile(r"(?<![\w*])\*(\S(?:[^*]*\S)?)\*(?![\w*])", re.DOTALL)
_BULLET = re.compile(r"[*\-+] +")
# Tokens of JSON: keys, strings, numbers and literals.
_TOKEN = re.compile(r'(?P<text>"(?:[^"\\]|\\.)*")(?P<colon>\s*:)?|(?P<number>-?\d[\d.eE+-]*)|(?P<word>true|false|null)')


def escaped(text: object) -> str:
    """Return *text* escaped for HTML content and attributes."""
    return html.escape(str(text), quote=True)


def prose(text: str) -> str:
    """Return a description as HTML: paragraphs, lists, code, emphasis. Other CommonMark is shown as written."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.splitlines()
        if lines and all(_BULLET.match(line.strip()) or line.startswith((" ", "\t")) for line in lines):
            blocks.append(f"<ul>{_items(lines)}</ul>")
        elif block.strip():
            blocks.append(f"<p>{inline(block)}</p>")
    return "".join(blocks)


def inline(text: str) -> str:
    """Return text without blocks as HTML, with code and emphasis."""
    parts: list[str] = []
    at = 0
    for match in _CODE.finditer(text):
        parts += [_emphasised(text[at : match.start()]), f"<code>{escaped(match[1] or match[2])}</code>"]
        at = match.end()
    return "".join([*parts, _emphasised(text[at:])])


def json_block(value: Any) -> str:
    """Return a value as JSON with syntax highlighting."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    parts: list[str] = []
    at = 0
    for match in _TOKEN.finditer(text):
        parts.append(escaped(text[at : match.start()]))
        kind = "key" if match["colon"] else next(name for name in ("text", "number", "word") if match[name])
        parts.append(f'<span class="{kind[0]}">{escaped(match["text"] or match[0])}</span>')
        parts.append(escaped(match["colon"] or ""))
        at = match.end()
    return f'<pre class="json"><code>{"".join(parts)}{escaped(text[at:])}</code></pre>'


def _emphasised(text: str) -> str:
    return _EMPHASIS.sub(r"<em>\1</em>", _STRONG.sub(r"<strong>\1</strong>", escaped(text)))


def _items(lines: list[str]) -> str:
    items: list[str] = []
    for line in lines:
        if _BULLET.match(line.strip()) or not items:
            items.append(_BULLET.sub("", line.strip(), count=1))
        else:
            items[-1] += f" {line.strip()}"
    return "".join(f"<li>{inline(item)}</li>" for item in items)
