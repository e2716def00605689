"""unpack.py CODE.json TARGET   write the program's source files: directory to file name to text."""

from __future__ import annotations

import json
import sys
from pathlib import Path

code, target = Path(sys.argv[1]), Path(sys.argv[2])
for directory, files in json.loads(code.read_text(encoding="utf-8")).items():
    place = target / directory
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name).write_text(text + "\n", encoding="utf-8")
