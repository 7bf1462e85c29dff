"""Write the golden prompts anew, and say which of them changed."""

import sys
from pathlib import Path

from tests.specs.golden import FOLDER, all_specs, compiled, names, path_of, spoken


def write(folder: Path = FOLDER) -> None:
    for spec in all_specs():
        path = path_of(spec, folder)
        text = spoken(compiled(spec))
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"written: {path.name}\n")
    for spec in sorted(set(names(folder)) - set(all_specs())):
        path_of(spec, folder).unlink()
        sys.stdout.write(f"removed, there is no such spec: {spec}\n")


if __name__ == "__main__":
    write()
