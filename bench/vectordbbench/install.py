#!/usr/bin/env python3
#-------------------------------------------------------------------------
#
# install.py
#	  Put the client for vkindex into an installed VectorDBBench.
#
# Usage: install.py [FOLDER]     FOLDER is the package vectordb_bench, otherwise
#                                that which this Python imports
#
# NOTES
#	  VectorDBBench knows its clients by an enumeration and a list of commands;
#	  this copies the folder vkindex among them and adds the lines that name it.
#	  What is there already is left as it is.
#
# IDENTIFICATION
#	  bench/vectordbbench/install.py
#
#-------------------------------------------------------------------------
import importlib.util
import pathlib
import re
import shutil
import sys

MEMBER = '    VkIndex = "VkIndex"\n\n'
BRANCH = '''        if self == DB.VkIndex:
            from .vkindex.{module} import {name}

            return {name}

'''
# the property of the enumeration, and what it returns for this client
PROPERTIES = {"init_cls": ("vkindex", "VkIndex"), "config_cls": ("config", "VkIndexConfig"),
              "case_config_cls": ("config", "VkIndexCaseConfig")}


def insert(text, pattern, addition):
    """The addition before the first match."""
    place = re.search(pattern, text)
    if place is None:
        sys.exit(f"install.py: this VectorDBBench has no place for: {addition.strip()}")
    return text[:place.start()] + addition + text[place.start():]


def name_client(path):
    text = path.read_text(encoding="utf-8")
    if "VkIndex" in text:
        return
    text = insert(text, r"    @property\n    def init_cls", MEMBER)
    for name, (module, result) in PROPERTIES.items():
        start = text.index(f"def {name}(")
        text = text[:start] + insert(text[start:], r"        if self == DB\.",
                                     BRANCH.format(module=module, name=result))
    path.write_text(text, encoding="utf-8")


def name_command(path):
    text = path.read_text(encoding="utf-8")
    if "VkIndex" in text:
        return
    text = insert(text, r"from \.cli import cli\n", "from ..backend.clients.vkindex.cli import VkIndex\n")
    text = insert(text, r"cli\.add_command", "cli.add_command(VkIndex)\n")
    path.write_text(text, encoding="utf-8")


def main():
    if len(sys.argv) > 1:
        package = pathlib.Path(sys.argv[1])
    else:
        package = pathlib.Path(importlib.util.find_spec("vectordb_bench").origin).parent
    clients = package / "backend" / "clients"
    shutil.copytree(pathlib.Path(__file__).with_name("vkindex"), clients / "vkindex",
                    dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    name_client(clients / "__init__.py")
    name_command(package / "cli" / "vectordbbench.py")
    print(f"vkindex is a client of {package}")


if __name__ == "__main__":
    main()
