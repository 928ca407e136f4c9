"""replaykit (see the end of this build for the story)."""
