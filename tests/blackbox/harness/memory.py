"""What a core dump of a running process would hold: its memory, but for the regions that it has left out of dumps."""

import re
from collections import namedtuple

Region = namedtuple("Region", "start end access name")


def regions(pid):
    """Those that may be read and are dumped."""
    found, region = [], None
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as file:
        for line in file:
            if match := re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line):
                region = Region(int(match[1], 16), int(match[2], 16), match[3], match[4])
            elif line.startswith("VmFlags:") and "r" in region.access and " dd" not in line and not region.name.startswith("[v"):
                found.append(region)
    return found


def find(pid, words, around=80):
    """Each place of each word, as text to show; file mappings that nobody can write are the program itself."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for region in regions(pid):
            if "w" not in region.access:
                continue
            try:
                memory.seek(region.start)
                data = memory.read(region.end - region.start)
            except (OSError, ValueError, OverflowError):
                continue
            for word in words:
                at = data.find(word.encode())
                while at >= 0:
                    found.append(f"{region.name or 'anonymous'} {region.start + at:#x}: {data[max(0, at - around) : at + around]!r}")
                    at = data.find(word.encode(), at + 1)
    return found
