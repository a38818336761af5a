"""Feature extractors: what images are turned into before they are compared. One file each."""
