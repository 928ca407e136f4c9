"""The dashboard of a town, drawn from a replay."""

__all__ = []
