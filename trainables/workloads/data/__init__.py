"""Data sets: bundled tables, published images, folders of images, text."""
