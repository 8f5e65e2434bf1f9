"""`livegrad serve`: recorded and running trainings in the browser.

Reads run folders and writes nothing but notes; what is in a run folder is never trusted.
"""
