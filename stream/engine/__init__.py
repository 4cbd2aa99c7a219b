"""The sans-I/O core: windows, gaps, smoothing and verdicts. No torch, cv2, av, asyncio or time."""
