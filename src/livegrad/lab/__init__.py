"""`livegrad lab`: textbook experiments on real digits and text, each in seconds to minutes, with a figure."""
