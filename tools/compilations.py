#!/usr/bin/env python3
"""What a build folder compiles, from its compile_commands.json.

tools/compilations.py BUILD [--without PATTERN]: the sources, one a line; --without leaves out those whose object file's path, relative
to BUILD, matches.
"""
import argparse
import json
import pathlib
import re


def compilations(build):
    """(source, object relative to the build folder, command, directory) of each. The object is read from the command: Debian 12's CMake
    (3.25) does not write it as an entry of its own."""
    table = pathlib.Path(build) / "compile_commands.json"
    assert table.is_file(), f"expected a build in {build}"
    for entry in json.loads(table.read_text()):
        yield entry["file"], re.search(r" -o (\S+)", entry["command"])[1], entry["command"], entry["directory"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--without")
    arguments = parser.parse_args()
    for source, output, *_ in compilations(arguments.build):
        if not arguments.without or not re.search(arguments.without, output):
            print(source)
