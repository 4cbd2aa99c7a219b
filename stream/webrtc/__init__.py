"""Calls over WebRTC: sessions, peers, session descriptions and the score channel."""
