"""Generators of images: families behind one interface, their loop, their files, and the change of one image."""
