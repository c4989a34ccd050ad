"""Whether links between the manual's files lead somewhere."""

import glob
import os
import re


def anchors(path):
    """The names of a file's headings, as GitHub makes them."""
    with open(path, encoding="utf-8") as f:
        text = re.sub(r"^```.*?^```", "", f.read(), flags=re.S | re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", text, flags=re.M)}


def broken(top):
    """Links of README.md and doc/*.md to files or headings that are not there."""
    for path in [os.path.join(top, "README.md")] + sorted(glob.glob(os.path.join(top, "doc/*.md"))):
        with open(path, encoding="utf-8") as f:
            links = re.findall(r"\]\(([^)\s]+)\)", f.read())
        for link in links:
            if re.match(r"\w+:", link):
                continue
            file, _, heading = link.partition("#")
            target = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
            if not os.path.exists(target) or heading and heading not in anchors(target):
                yield f"{os.path.relpath(path, top)}: {link}"
