"""A progress bar that redraws its line with a carriage return, on stderr."""

import sys


def progress(items, postfix):
    total = len(items)
    for number, item in enumerate(items, 1):
        yield item
        filled = 20 * number // total
        bar = "#" * filled + "-" * (20 - filled)
        sys.stderr.write(f"\r{100 * number // total:3d}%|{bar}| {number}/{total} loss={postfix():.4f}")
        sys.stderr.flush()
    sys.stderr.write("\n")
