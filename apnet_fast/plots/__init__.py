"""Figures of catalogues. They need matplotlib, the extra `plots`; nothing here touches pyplot or its state."""
