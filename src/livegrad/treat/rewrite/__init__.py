"""The diff: what a treatment did to a live model, written into the user's own source.

    edits of a treatment -> propose(edits, root) -> Rewriting: its diff, its instructions, write()

source         one file as it is on disk, parsed so that all of it can be written back unchanged
find           the calls and the statement that a "file:line" means
names          what the file calls torch.nn, and what must be imported
fill           placeholders of an edit's code
guard          whether a layer may get a neighbour, or go into a Sequential
plan           edits of one file, checked against it: what can be done where, and what cannot
shared_names   variables that one edit assigns and another one uses
arguments, layout, apply   the plan, carried out on the tree
propose        edits of several files -> Rewriting; diff, write
edits_of_…     how each remedy says what it did; anchor, layers, undecayed, compact: what they share

libcst, which does the parsing, is imported only when a file is looked at.
"""
