"""Widgets: the only folder that imports ipywidgets."""
