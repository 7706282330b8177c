"""The code samples of README.md and docs/, and the example programs: blocks, programs, and files beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>.*)$")
_TITLE = re.compile(r'title="([^"]+)"')
_PROGRAM = re.compile(r"main\.py|test_\w+\.py")


@dataclass
class Block:
    """One fenced block. `line` is that of its first line of content, from 1."""

    page: Path
    line: int
    language: str
    traits: set[str]
    title: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass
class Program:
    """Blocks that are run together."""

    page: Path
    blocks: list[Block] = field(default_factory=list)
    output: list[str] = field(default_factory=list)

    @property
    def where(self) -> str:
        return self.blocks[0].where

    @property
    def traits(self) -> set[str]:
        return set().union(*(block.traits for block in self.blocks))

    def source(self) -> str:
        """The blocks, at the line numbers that they have in their page."""
        lines: list[str] = []
        for block in self.blocks:
            lines += [""] * (block.line - 1 - len(lines)) + block.text.splitlines()
        return "\n".join(lines) + "\n"


def blocks_of(page: Path) -> Iterator[Block]:
    opened: Block | None = None
    indent = 0
    content: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is None and fence:
            opened, indent, content = _open(page, number + 1, fence["info"]), len(fence["indent"]), []
        elif opened is not None and fence and not fence["info"]:
            opened.text = "\n".join(content)
            yield opened
            opened = None
        elif opened is not None:
            content.append(line[indent:])
    assert opened is None, f"{page}: a block is not closed"


def _open(page: Path, line: int, info: str) -> Block:
    title = _TITLE.search(info)
    words = re.findall(r"[\w-]+", _TITLE.sub("", info))
    assert words, f"{page}:{line}: a block without a language"
    return Block(page, line, words[0], set(words[1:]), title[1] if title else "", "")


def programs_of(page: Path) -> list[Program]:
    programs: list[Program] = []
    for block in blocks_of(page):
        if block.language == "text" and "output" in block.traits:
            programs[-1].output.append(block.text)
        elif block.language == "python" and (not block.title or _PROGRAM.fullmatch(block.title)):
            if not programs or programs[-1].page != page or block.traits & {"new", "broker", "tls"} or block.title:
                programs.append(Program(page))
            programs[-1].blocks.append(block)
    return programs


def files_of(page: Path) -> dict[str, str]:
    return {
        block.title: block.text + "\n"
        for block in blocks_of(page)
        if block.title and not _PROGRAM.fullmatch(block.title)
    }


PROGRAMS = [program for page in PAGES for program in programs_of(page)]
