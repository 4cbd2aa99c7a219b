"""Second look: a heavier detector that is shown a face now and then, within a share of the time."""
