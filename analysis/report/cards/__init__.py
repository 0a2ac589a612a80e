"""The cards: for each cell what to use, how sure that is, and the code to copy."""

from phitune.analysis.report.cards.card import Answer, Card, cards

__all__ = ["Answer", "Card", "cards"]
