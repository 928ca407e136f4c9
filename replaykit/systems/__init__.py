"""The systems that ship with replaykit: reconcilers of real programs, one module or package each."""
