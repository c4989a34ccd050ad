#-------------------------------------------------------------------------
#
# flame.py
#	  Stacks of samples as a flame graph, an SVG that needs nothing else.
#
# NOTES
#	  A frame is as wide as the samples that have it are many; what it called
#	  stands above it.  Its title, which viewers show under the pointer, has its
#	  name and share.  Colors are those of the stages.
#
# IDENTIFICATION
#	  bench/flame.py
#
#-------------------------------------------------------------------------
from xml.sax.saxutils import escape, quoteattr

WIDTH, LINE, MARGIN = 1200, 17, 10
LETTER = 6.6					# width of one, of the font below
LEAST = 0.4						# narrower frames are left out
OTHER = "#d0d0d0"

HEAD = """<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"
 viewBox="0 0 {width} {height}" font-family="DejaVu Sans Mono, monospace" font-size="11">
<rect width="100%" height="100%" fill="white"/>
<text x="{margin}" y="20" font-size="14" font-weight="bold">{title}</text>
"""


class Frame:
    def __init__(self, name):
        self.name, self.samples, self.stages, self.calls = name, 0, {}, {}

    def add(self, stack, stage, count):
        self.samples += count
        self.stages[stage] = self.stages.get(stage, 0) + count
        if stack:
            called = self.calls.setdefault(stack[0], Frame(stack[0]))
            called.add(stack[1:], stage, count)

    def depth(self):
        return 1 + max((called.depth() for called in self.calls.values()), default=0)

    def stage(self):
        """That of all its samples, or None where they differ."""
        return next(iter(self.stages)) if len(self.stages) == 1 else None


def rectangle(x, y, width, color, name, title):
    shown = name if len(name) * LETTER < width - 4 else name[:max(int((width - 10) / LETTER), 0)]
    text = f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(shown)}</text>' if len(shown) > 2 else ""
    return (f'<g><title>{escape(title)}</title><rect x="{x:.1f}" y="{y}" width="{width - 0.3:.1f}" '
            f'height="{LINE - 1}" fill={quoteattr(color)} rx="1"/>{text}</g>\n')


def draw(frame, x, y, scale, total, colors):
    width = frame.samples * scale
    if width < LEAST:
        return
    yield rectangle(x, y, width, colors.get(frame.stage(), OTHER), frame.name,
                    f"{frame.name}: {frame.samples / total:.1%}")
    for called in sorted(frame.calls.values(), key=lambda called: called.name):
        yield from draw(called, x, y - LINE, scale, total, colors)
        x += called.samples * scale


def legend(shares, colors, y):
    x = MARGIN
    for stage, share in shares.items():
        label = f"{stage} {share:.1%}"
        yield (f'<rect x="{x}" y="{y}" width="11" height="11" fill="{colors.get(stage, OTHER)}"/>'
               f'<text x="{x + 15}" y="{y + 10}">{escape(label)}</text>\n')
        x += 15 + LETTER * len(label) + 16


def write(path, title, stacks, colors):
    """stacks: (outermost function first, stage, samples)."""
    root = Frame("all")
    for stack, stage, count in stacks:
        root.add(stack, stage, count)
    total = max(root.samples, 1)
    height = 70 + LINE * root.depth()
    shares = {stage: root.stages.get(stage, 0) / total for stage in colors if stage in root.stages}
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD.format(width=WIDTH, height=height, margin=MARGIN, title=escape(title)))
        file.writelines(legend(shares, colors, 32))
        file.writelines(draw(root, MARGIN, height - LINE - MARGIN,
                             (WIDTH - 2 * MARGIN) / total, total, colors))
        file.write("</svg>\n")
