"""Files on disk, read into migrations; the plan."""
