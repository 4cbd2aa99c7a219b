"""What every test run shares."""

import os

# Toy networks gain nothing from a second thread, and on a busy machine waiting for it made the
# device tests six times slower. torch reads this when it is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
