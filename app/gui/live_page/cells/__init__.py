"""The Cells panel of the live page: cells as numbers, over time, and how they are labelled and marked."""
