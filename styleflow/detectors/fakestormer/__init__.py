"""FakeSTormer (ICCV 2025), as published."""
